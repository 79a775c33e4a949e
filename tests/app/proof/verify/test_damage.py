"""Somebody who owns the database changes it behind our back: reading notices."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from domain.canonical import leaf_hash
from domain.errors import LedgerDamaged, UnknownThing
from domain.events.unreadable import Unreadable
from tests.app.proof.forger import change
from tests.ledger_events import artefact, put, refused


def force(ledger: Ledger, statement: str, **values: object) -> None:
    """Run a statement that the triggers would refuse."""
    with ledger.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            names = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars()
            for name in list(names):
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("entries", "artefacts"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        connection.execute(text(statement), values)
        connection.commit()


def test_an_edited_entry_is_noticed_when_it_is_read(ledger: Ledger) -> None:
    (entry,) = put(ledger, "observations-cars", refused(2))
    content = ledger.stored_bytes(1, 1)[0].replace(b'"rows":2', b'"rows":9')
    force(ledger, "UPDATE entries SET bytes = :content WHERE position = 1", content=content)
    for passed_over in (ledger.entry(1), ledger.read()[1], ledger.known([entry.id])[entry.id][0]):
        assert isinstance(passed_over.event, Unreadable)
    for read in (lambda: ledger.read_stream("observations-cars"), lambda: rebuild(ledger)):
        with pytest.raises(LedgerDamaged, match="ledger entry 1: the stored bytes hash to"):
            read()


def test_a_file_that_is_no_database_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"Dear diary, " * 1000)
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'ledger.db'}")
    with pytest.raises(LedgerDamaged, match=r"no whole SQLite database.*Restore"):
        open_ledger(settings)


def test_a_missing_entry_is_noticed_by_a_rebuild(ledger: Ledger) -> None:
    put(ledger, "observations-cars", refused(), refused(), refused())
    force(ledger, "DELETE FROM entries WHERE position = 2")
    with pytest.raises(LedgerDamaged, match="entry 3 where 2 should stand"):
        rebuild(ledger)


def test_an_entry_of_an_unknown_type_is_noticed(ledger: Ledger) -> None:
    put(ledger, "observations-cars", refused())
    content = ledger.stored_bytes(1, 1)[0].replace(b"rows-refused", b"rows-invented")
    force(
        ledger,
        "UPDATE entries SET bytes = :content, leaf_hash = :hash WHERE position = 1",
        content=content,
        hash=leaf_hash(content),
    )
    ledger.entry(1)
    (met,) = ledger.met.all()
    assert "the type 'observations.rows-invented' schema 1, unknown" in met.said


def test_a_changed_artefact_is_noticed(ledger: Ledger) -> None:
    plan = artefact(b"a plan")
    put(ledger, "observations-cars", refused(), artefacts=[plan])
    change(ledger, "UPDATE artefacts SET bytes = :content", content=b"another plan")
    with pytest.raises(LedgerDamaged, match=f"artefact {plan.sha256}.*has the digest"):
        ledger.artefact(plan.sha256)


def test_what_is_not_there_is_unknown(ledger: Ledger) -> None:
    with pytest.raises(UnknownThing, match=r"no entry 7\. Its size is 1"):
        ledger.entry(7)
    assert ledger.known(["nothing"]) == {}
    with pytest.raises(UnknownThing, match="no artefact ffff"):
        ledger.artefact("ffff")
    assert ledger.read_stream("model-cars").entries == ()
    assert ledger.read_stream("model-cars").version == -1
    assert ledger.stored_bytes(5, 9) == []


def test_reading_pages_on_from_a_position(ledger: Ledger) -> None:
    put(ledger, "observations-cars", *[refused()] * 9)
    pages, after = [], -1
    while page := ledger.read(after, 4):
        pages.append([entry.position for entry in page])
        after = page[-1].position
    assert pages == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [entry.position for entry in ledger.read(2, 100, up_to=5)] == [3, 4, 5]
