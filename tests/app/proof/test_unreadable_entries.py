"""An added entry that nobody can read is one damage; everything but deciding goes on over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.cause import Cause
from app.cycle.standing import how_it_stands
from app.ledger.damage import record_damage, refuse_on_damage, settle_known
from app.ledger.erasures import positions_gone
from app.ledger.known_damage import known_damage
from app.ledger.store import Ledger
from app.projections.rebuild import rebuild
from app.proof import verify_bundle
from app.proof.checkpoints import Checkpoints
from app.proof.damage_watch import DamageWatch
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.canonical import canonical_bytes
from domain.decisions.damage import SettleDamage
from domain.decisions.starting import StartCycle
from domain.errors import LedgerDamaged
from domain.events.cycle_events import CycleStarted
from domain.events.events import EVENT_TYPES, DamageFound, PayloadErased, RowsRefused
from domain.events.unreadable import EntryUnreadable, Unreadable
from tests.app.planting import plant, planted_bytes
from tests.app.proof.forger import change, guards_dropped
from tests.app.proof.signed_ledger import Kept, checked, exported
from tests.ledger_events import (
    contract_adopted,
    observation,
    policy_adopted,
    put,
    refused,
    started,
)
from tests.patience import until

SOMEBODY = Cause.unauthenticated("somebody")
STREAM = "observations-cars"


def of(**other: Any) -> bytes:
    return planted_bytes(refused(), STREAM, **other)


PLANTED: dict[str, tuple[bytes, str]] = {  # what is added -> why it cannot be read
    "no JSON": (b"\xff{", "bytes that are no JSON"),
    "JSON of another kind": (b"[]", "JSON that is no envelope"),
    "no envelope": (b"{}", "an envelope that has not actor, causation_id"),
    "an envelope and more": (of(more=1), "an envelope that has also more"),
    "another envelope": (of(v=2), "an envelope of version 2, not 1"),
    "a stream that is no text": (of(stream=["a"]), "an envelope whose stream is no text"),
    "a schema that is no number": (of(schema="1"), "an envelope whose schema is no number"),
    "an unknown type": (of(type="cars.sold"), "the type 'cars.sold' schema 1, unknown"),
    "an unknown schema": (of(schema=99), "schema 99, unknown"),
    "fields that do not parse": (of(data={"rows": "many"}), "data that is none of"),
    "data of no kind": (of(data=5), "data that is none of"),
    "an older schema that is none": (
        of(type="cycle.decided", data={"verdict": 5}),
        "data that is none of 'cycle.decided' schema 1 (TypeError)",
    ),
    "another stream's": (
        planted_bytes(started(1), STREAM, stream=STREAM),
        "'cycle.started' does not belong into the stream 'observations-cars'",
    ),
    "text that holds NUL": (
        planted_bytes(refused(model="cars\0"), STREAM),
        "text that holds U+0000 (NUL)",
    ),
    "columns that say another thing": (of(stream="observations-vans"), "columns beside it"),
}


@pytest.fixture(params=PLANTED)
def planted(ledger: Ledger, request: pytest.FixtureRequest) -> str:
    """A ledger with such an entry at position 2, and one more after it; why nobody can read it."""
    content, why = PLANTED[request.param]
    put(ledger, STREAM, refused())
    with ledger.engine.begin() as connection:
        plant(connection, content, stream=STREAM, type=RowsRefused.type)
    put(ledger, STREAM, refused())
    return why


def test_appending_and_folding_go_on_over_it_and_it_is_one_alarm(
    ledger: Ledger, planted: str
) -> None:
    assert [entry.position for entry in ledger.read_stream(STREAM).entries] == [1, 3]
    ledger.fold_anew()
    assert rebuild(ledger).differing == ()
    shown = ledger.entry(2).event
    assert isinstance(shown, Unreadable)
    assert planted in shown.why
    (met,) = ledger.met.all()
    assert met.position == 2
    assert planted in met.said
    with pytest.raises(LedgerDamaged, match="position 2: the entry: expected one that can be"):
        refuse_on_damage(ledger)


def test_an_operator_lets_deciding_go_on_however_often_it_is_met_again(
    ledger: Ledger, planted: str
) -> None:
    ledger.read()
    record_damage(ledger, SOMEBODY)
    settle_known(ledger, SettleDamage(how="accepted", reason="we know who"), SOMEBODY)
    ledger.read()
    refuse_on_damage(ledger)
    record_damage(ledger, SOMEBODY)
    found = [entry.event for entry in ledger.read() if isinstance(entry.event, DamageFound)]
    assert len(found) == 1


def test_verification_names_it_in_the_words_of_whoever_met_it(ledger: Ledger, planted: str) -> None:
    ledger.read()
    (met,) = ledger.met.all()
    said = [each.sentence() for each in verify(ledger, None, read_models=False).breaks]
    assert met.said in said or "columns beside it" in met.said
    assert said[0].startswith("position 2: ")


def test_the_watch_does_not_call_it_gone(ledger: Ledger, settings: Settings) -> None:
    with ledger.engine.begin() as connection:
        plant(connection, b"no JSON", stream=STREAM, type=RowsRefused.type)
    ledger.read()
    watch = DamageWatch(ledger, settings, look_seconds=0.02, again_seconds=0.02)
    watch.start()
    until(lambda: "The last verification of" in str(watch.alarm))
    watch.close()
    with ledger.snapshot() as connection:
        assert [each.settled for each in known_damage(connection)] == [None]


@pytest.mark.parametrize("written", ["another envelope", "an unknown type", "an unknown schema"])
def test_what_a_newer_version_wrote_is_not_judged(ledger: Ledger, written: str) -> None:
    with ledger.engine.begin() as connection:
        plant(connection, PLANTED[written][0], stream=STREAM, type=RowsRefused.type)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(EntryUnreadable, match="Use a version at least as new"):
        ledger.read()
    assert ledger.met.all() == ()


def test_data_that_stands_apart_and_is_not_there_is_passed_over_too(ledger: Ledger) -> None:
    envelope = json.loads(planted_bytes(observation("car=1"), STREAM, data_commit="0" * 64))
    del envelope["data"]
    content = canonical_bytes(envelope)
    with ledger.engine.begin() as connection:
        plant(connection, content, stream=STREAM, type=observation("car=1").type)
    put(ledger, STREAM, refused())
    assert isinstance(ledger.entry(1).event, Unreadable)
    (met,) = ledger.met.all()
    assert met.said.startswith("the data of entry 1 is missing")


def test_it_is_in_the_way_of_no_cycle(ledger: Ledger) -> None:
    put(ledger, "policy-strict-and", policy_adopted())
    put(ledger, "model-cars", contract_adopted())
    with ledger.engine.begin() as connection:
        plant(connection, b"no JSON", stream="cycle-cars-1", type="cycle.health-reported")
    ledger.catch_up()
    with ledger.connect() as connection:
        command = StartCycle(model="cars", as_of=None, force=None, reason=None)
        _, history = how_it_stands(connection, command, 0)
    put(ledger, history.stream, started(1), expected=history.version)
    assert [type(entry.event) for entry in ledger.read_stream("cycle-cars-1").entries] == [
        CycleStarted
    ]


REFUSED: dict[str, dict[str, Any]] = {
    "behind a gap": {"position": 9},
    "before the first": {"position": -1},
    "behind a gap in its stream": {"stream_version": 7},
    "before the first of its stream": {"stream_version": -1},
}


@pytest.mark.parametrize("columns", REFUSED)
def test_the_database_refuses_an_entry_out_of_its_place(ledger: Ledger, columns: str) -> None:
    with ledger.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="entries only grows: by the next position"):
            plant(
                connection,
                of(),
                stream=STREAM,
                type=RowsRefused.type,
                taken_up=False,
                **REFUSED[columns],
            )


@pytest.mark.parametrize("content", [b"no JSON", b"{}", b"[]"])
def test_nobody_adds_an_erasure_that_would_stop_all_others(ledger: Ledger, content: bytes) -> None:
    put(ledger, STREAM, observation("car=1"), personal=True)
    with ledger.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            plant(connection, content, stream="ledger", type=PayloadErased.type)
    erases_entry_1(ledger)


BOTH_ENDS = b'{"actor":no JSON,"type":"ledger.payload-erased","v":1}'


# The last one is JSON, and deeper than PostgreSQL takes.
@pytest.mark.parametrize(
    "content", [b"no JSON", b"{}", b"\xff", BOTH_ENDS, b"[" * 20_000 + b"]" * 20_000]
)
def test_one_that_stood_before_the_guard_stops_no_other_either(
    ledger: Ledger, content: bytes
) -> None:
    put(ledger, STREAM, observation("car=1"), personal=True)
    with guards_dropped(ledger) as connection:
        plant(connection, content, stream="ledger", type=PayloadErased.type)
    with pytest.raises(DBAPIError, match=r"payloads only grows|malformed JSON"):
        with ledger.engine.begin() as connection:
            connection.execute(text("DELETE FROM payloads"))
    erases_entry_1(ledger)


def erases_entry_1(ledger: Ledger) -> None:
    erasure = PayloadErased(
        model="cars",
        entries=(1,),
        rows=(),
        artefacts=(),
        cycles=(),
        model_versions=(),
        reason="a reason",
        legal_basis="a basis",
    )
    put(ledger, "ledger", erasure)
    with ledger.engine.begin() as connection:
        connection.execute(text("DELETE FROM payloads"))
        assert positions_gone(connection) == {1}


def test_on_postgresql_nobody_adds_what_does_not_hash_to_its_leaf(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        wrong = {"leaf_hash": bytes(32)}
        if connection.dialect.name == "sqlite":  # it knows no SHA-256: who reads it finds it
            plant(connection, of(), stream=STREAM, type=RowsRefused.type, taken_up=False, **wrong)
            return
        with pytest.raises(DBAPIError, match="do not hash to this leaf"):
            plant(connection, of(), stream=STREAM, type=RowsRefused.type, taken_up=False, **wrong)


@pytest.mark.parametrize("planting", ["no JSON", "an unknown type", "data of no kind"])
def test_a_bundle_is_exported_over_it_and_its_verifier_names_it(
    ledger: Ledger, settings: Settings, tmp_path: Path, planting: str
) -> None:
    put(ledger, STREAM, refused())
    checkpoints = Checkpoints(ledger, settings)
    kept = Kept(checkpoints.signer.key, checkpoints.sign().note, b"")
    checkpoints.close()
    with ledger.engine.begin() as connection:
        plant(connection, PLANTED[planting][0], stream=STREAM, type=RowsRefused.type)
    code, said = checked(exported(ledger, kept, tmp_path / "bundle"), kept, tmp_path, ["note"])
    where = "line 3" if planting == "no JSON" else "position 2"
    assert (code != 0, where in said) == (True, True), said


def test_a_back_up_that_is_put_back_is_verified_again(ledger: Ledger, settings: Settings) -> None:
    with ledger.engine.begin() as connection:
        plant(connection, b"no JSON", stream=STREAM, type=RowsRefused.type)
    assert not verify(ledger, None).whole
    change(
        ledger,
        "DELETE FROM entries WHERE position = 1",
        "UPDATE ledger_head SET size = 1, frontier = (SELECT leaf_hash FROM entries)",
    )
    assert verify(ledger, None, read_models=False).whole


def test_a_cycle_that_is_started_again_by_hand_stops_no_fold(ledger: Ledger) -> None:
    put(ledger, "policy-strict-and", policy_adopted())
    put(ledger, "model-cars", contract_adopted())
    put(ledger, "cycle-cars-1", started(1))
    again = planted_bytes(started(1), "cycle-cars-1")
    with ledger.engine.begin() as connection:
        plant(connection, again, stream="cycle-cars-1", type=CycleStarted.type)
    put(ledger, STREAM, refused())
    assert rebuild(ledger).differing == ()


def test_the_bundles_verifier_knows_every_event_that_is_written() -> None:
    assert {kind.type: kind.schema for kind in EVENT_TYPES} == verify_bundle.KNOWN
