"""Only an erasure deletes data; what is gone without one is found, and what it took is said."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from app.database.roles import APPLICATION, ERASER
from app.ledger.damage import refuse_on_damage
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.proof import verify_bundle
from app.proof.bundle import export_bundle
from app.proof.checkpoints import Checkpoints
from app.proof.verify.verification import verify
from domain.errors import LedgerDamaged, RequestInvalid
from domain.events.unreadable import Unreadable
from tests.app.car_ledger import CarLedger
from tests.app.people import MARKER, People, forgets, holders, key_of, rows_with


def test_payloads_are_deleted_only_where_an_erasure_names_them(people: People) -> None:
    cars, row = people
    statements = [
        "DELETE FROM payloads",
        "UPDATE payloads SET salt = bytes",
        "DELETE FROM artefacts WHERE kind = 'reference'",
        "DELETE FROM artefacts WHERE kind = 'identities'",
    ]

    def refused(statement: str) -> None:
        with cars.ledger.engine.connect() as connection:
            with pytest.raises(DBAPIError, match="only grows"):
                connection.execute(text(statement))

    if cars.ledger.engine.dialect.name == "sqlite":
        statements += [
            "INSERT OR REPLACE INTO payloads SELECT position, model, identity, bytes, bytes, NULL"
            " FROM payloads",
            "UPDATE OR REPLACE payloads SET position = position + 1",
        ]
    else:
        statements += [
            "TRUNCATE payloads",
            "INSERT INTO payloads SELECT * FROM payloads ON CONFLICT (position)"
            " DO UPDATE SET salt = excluded.bytes",
        ]
    for statement in statements:
        refused(statement)
    forgets(cars, row)
    for statement in [*statements[:2], *statements[4:], "DELETE FROM artefacts"]:
        refused(statement)


def test_a_payload_that_is_missing_without_an_erasure_is_damage(people: People) -> None:
    cars, _ = people
    position = _taken_without_an_erasure(cars.ledger)
    assert_damaged(cars.ledger, position, f"the data of entry {position} is missing")


def test_a_payload_that_was_changed_is_damage(people: People) -> None:
    cars, _ = people
    with cars.ledger.engine.connect() as connection:
        trigger = "payloads_refuse_update"
        if connection.dialect.name == "postgresql":
            trigger = "payloads_refuse_change ON payloads"
        connection.execute(text(f"DROP TRIGGER {trigger}"))
        position = connection.execute(text("SELECT min(position) FROM payloads")).scalar_one()
        changed = {"changed": b"{}", "position": position}
        connection.execute(
            text("UPDATE payloads SET bytes = :changed WHERE position = :position"), changed
        )
        connection.commit()
    assert_damaged(cars.ledger, position, "has the commitment")


def assert_damaged(ledger: Ledger, position: int, said: str) -> None:
    """Nobody can read it, no read model loses what it said, and nothing is decided."""
    shown = ledger.entry(position).event
    assert isinstance(shown, Unreadable)
    assert said in shown.why
    with pytest.raises(LedgerDamaged, match="which may be the last that hold it"):
        rebuild(ledger)
    assert [(met.position, said in met.said) for met in ledger.met.all()] == [(position, True)]
    with pytest.raises(LedgerDamaged, match=said):
        refuse_on_damage(ledger)


def test_verification_passes_and_says_erased(people_together: People, tmp_path: Path) -> None:
    cars, row = people_together
    checkpoints = Checkpoints(cars.ledger, cars.settings)
    checkpoints.sign()
    forgets(cars, row)
    checkpoints.sign()
    key, note = checkpoints.signer.key, checkpoints.signer.last_note() or ""
    leaves = checkpoints.signer.remembered_leaves()
    checkpoints.close()
    found = verify(cars.ledger, key, retained=[note], remembered=leaves)
    assert (found.breaks, found.erased, found.erased_rows, found.unproven) == ((), 3, 3, "")
    export_bundle(cars.ledger, tmp_path / "bundle", key)
    assert holders(tmp_path / "bundle", MARKER.encode(), key_of(row).encode()) == []
    code, said = bundle_says(tmp_path / "bundle", str(key))
    assert (code, "3 entries have no data any more" in said) == (0, True), said
    assert "3 of entries of many are gone" in said


def test_a_payload_taken_without_an_erasure_is_found_by_both_verifiers(
    people: People, tmp_path: Path
) -> None:
    cars, _ = people
    checkpoints = Checkpoints(cars.ledger, cars.settings)
    checkpoints.sign()
    key = checkpoints.signer.key
    checkpoints.close()
    position = _taken_without_an_erasure(cars.ledger)
    found = verify(cars.ledger, key, read_models=False)
    assert found.breaks[0].position == position
    export_bundle(cars.ledger, tmp_path / "bundle", key)
    code, said = bundle_says(tmp_path / "bundle", str(key))
    assert (code, f"position {position}: its data is missing" in said) == (1, True), said


def test_an_artefact_taken_without_an_erasure_is_found_by_both_verifiers(
    people: People, tmp_path: Path
) -> None:
    cars, _ = people
    checkpoints = Checkpoints(cars.ledger, cars.settings)
    checkpoints.sign()
    key = checkpoints.signer.key
    checkpoints.close()
    _without_guard(cars.ledger, "artefacts")
    with cars.ledger.engine.connect() as connection:
        connection.execute(text("DELETE FROM artefacts WHERE kind = 'reference'"))
        connection.commit()
    found = verify(cars.ledger, key, read_models=False)
    assert any("reference_sha256" in each.thing for each in found.breaks)
    export_bundle(cars.ledger, tmp_path / "bundle", key)
    code, said = bundle_says(tmp_path / "bundle", str(key))
    assert (code, "it names is missing" in said) == (1, True), said


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_on_postgresql_the_service_may_not_erase_and_a_member_of_the_eraser_role_may(
    people_together: People,
) -> None:
    cars, row = people_together
    logins = {"forgets_not": APPLICATION, "forgets": ERASER}
    url = make_url(cars.settings.ledger_url)
    with psycopg.connect(cars.settings.ledger_url, autocommit=True) as superuser:
        for name, role in logins.items():
            superuser.execute(f"CREATE ROLE {name} LOGIN IN ROLE {role}".encode())
        try:
            size = cars.ledger.size()
            for name in logins:
                as_login = url.set(username=name).render_as_string(hide_password=False)
                settings = cars.settings.model_copy(update={"database_url": as_login})
                opened = open_ledger(settings)
                told = CarLedger(opened, settings)
                if name == "forgets_not":
                    with pytest.raises(RequestInvalid, match="member of whyledger_eraser"):
                        forgets(told, row)
                    assert opened.size() == size
                else:
                    found = forgets(told, row)
                    assert found.event is not None
                    assert (len(found.event.entries), len(found.event.rows)) == (3, 3)
                    assert "VACUUM FULL" in (found.left or ""), "it does not own the tables"
                    for statement in (
                        "UPDATE entries SET bytes = leaf_hash",
                        "TRUNCATE payloads",
                        "UPDATE blocks SET bytes = salts",
                    ):
                        with opened.engine.connect() as connection:
                            with pytest.raises(DBAPIError, match="denied"):
                                connection.execute(text(statement))
                opened.close()
        finally:
            for name in logins:
                superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())
    assert set(rows_with(cars.ledger, MARKER).values()) == {0}
    assert rebuild(cars.ledger).differing == ()


def bundle_says(bundle: Path, key: str) -> tuple[int, str]:
    """Exit code and words of the stand-alone verifier."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = verify_bundle.main([str(bundle), "--key", key])
    return code, said.getvalue()


def _without_guard(ledger: Ledger, table: str) -> None:
    with ledger.engine.connect() as connection:
        on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER {table}_refuse_delete{on}"))
        connection.commit()


def _taken_without_an_erasure(ledger: Ledger) -> int:
    """The owner of the database deletes a payload; its position."""
    _without_guard(ledger, "payloads")
    with ledger.engine.connect() as connection:
        position = connection.execute(text("SELECT min(position) FROM payloads")).scalar_one()
        connection.execute(text(f"DELETE FROM payloads WHERE position = {position}"))
        connection.commit()
    return int(position)
