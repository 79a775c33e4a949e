"""Every golden ledger replays, on both databases, into the read models it must produce."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from app.database.engine import create_database
from app.ledger.store import Ledger
from app.projections.decisions import DECISIONS
from app.projections.folding import digests
from app.projections.opening import give_rows
from app.projections.rebuild import rebuild
from app.projections.runner import READ_MODELS, apply
from app.settings import Settings
from domain.blocks.ids import keyed_event_id
from domain.canonical import canonical_bytes
from domain.events.block_events import BLOCK_EVENTS
from domain.events.cycle_events import Conclusion, CycleStarted, Decided, HealthReported
from domain.events.envelope import Recorded, envelope_bytes
from domain.events.erasure import Erased
from domain.events.events import EVENT_TYPES, PayloadErased, ValueMeasured
from domain.events.expansion import expanded
from domain.events.unreadable import Unreadable
from tests.app.golden_story import named_artefacts, placed, replayed
from tests.app.older_payloads import as_first_written, undo_in_read_models
from tests.repository import REPOSITORY

GOLDEN = sorted(
    path
    for path in (REPOSITORY / "tests" / "golden").glob("*.jsonl")
    if not path.name.endswith((".payloads.jsonl", ".rows.jsonl"))
)
NAMES = [path.stem for path in GOLDEN]
DECIDED = b'"type":"cycle.decided"'
KEPT = {read_model.name for read_model in READ_MODELS}


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def payloads_of(path: Path) -> list[bytes]:
    return _apart(path.with_suffix(".payloads.jsonl"))


def rows_of(path: Path) -> list[bytes]:
    return _apart(path.with_suffix(".rows.jsonl"))


def _apart(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def entries_of(path: Path) -> list[tuple[Recorded, bytes]]:
    lines = lines_of(path)
    return list(zip(placed(lines, payloads_of(path), rows_of(path)), lines, strict=True))


def expected_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return found


def test_there_is_a_golden_ledger() -> None:
    assert "0001-first-version" in NAMES


def test_a_digest_of_every_read_model_that_is_kept_was_recorded() -> None:
    for path in GOLDEN:
        assert expected_of(path)["read_models"].keys() | expected_of(path)["since"].keys() >= KEPT


@pytest.mark.parametrize("path", GOLDEN, ids=NAMES)
def test_it_replays_into_the_same_read_models(path: Path, empty_database_url: str) -> None:
    """And but for what upcasting added they are those first recorded."""
    found = replayed(lines_of(path), empty_database_url, payloads_of(path), rows_of(path))
    expected = expected_of(path)
    assert (found["entries"], found["root"]) == (expected["entries"], expected["root"])
    for name, digest in (expected["read_models"] | expected["since"]).items():
        if name in KEPT:  # a number that is kept no more was compared as long as it was
            assert found["read_models"][name] == digest, f"{name} differs"
    engine = create_database(empty_database_url, Settings(database_url=empty_database_url))
    ledger = Ledger(engine, apply, busy_timeout_seconds=5)
    give_rows(ledger, Settings(database_url=empty_database_url))
    rebuilt = rebuild(ledger, page_entries=37)
    assert (rebuilt.differing, rebuilt.position) == ((), expected["entries"] - 1)
    assert dict(rebuilt.after) == found["read_models"]

    schemas = {json.loads(line)["schema"] for line in lines_of(path) if DECIDED in line}
    assert len(schemas) <= 1  # one version told the whole story
    with ledger.writing() as connection:
        for schema in schemas:
            undo_in_read_models(connection, schema)
    with ledger.connect() as connection:
        left = digests(connection, READ_MODELS)
    first = expected["read_models"]
    (written,) = (digest for name, digest in first.items() if name.startswith("decisions_"))
    assert left[DECISIONS.name] == written
    assert left == {name: first.get(name, left[name]) for name in left}
    ledger.close()


@pytest.mark.parametrize("path", GOLDEN, ids=NAMES)
def test_its_lines_are_canonical_and_small(path: Path) -> None:
    lines = lines_of(path)
    assert path.stat().st_size < 1_500_000
    for line in lines:
        assert canonical_bytes(json.loads(line)) == line
    for place in (b"/work", b"/tmp", b"/home", b"/root"):
        assert not any(place in line for line in lines), "a path of the machine that made it"


@pytest.mark.parametrize("path", GOLDEN, ids=NAMES)
def test_its_artefacts_are_those_its_events_name(path: Path) -> None:
    kept = [artefact["sha256"] for artefact in expected_of(path)["artefacts"]]
    assert named_artefacts(lines_of(path)) == set(kept)
    assert kept == sorted(set(kept))


def test_the_first_version_is_written_the_same_but_for_upcasts_and_ends_in_every_way() -> None:
    outcomes, conclusions = set(), set()
    for entry, line in entries_of(REPOSITORY / "tests" / "golden" / "0001-first-version.jsonl"):
        if isinstance(entry.event, Decided):
            outcomes.add(entry.event.outcome)
        if isinstance(entry.event, HealthReported):
            conclusions.add(entry.event.conclusion)
        assert not isinstance(entry.event, Erased | Unreadable)
        again = envelope_bytes(
            entry.event,
            id=entry.id,
            stream=entry.stream,
            occurred_at=entry.occurred_at,
            recorded_at=entry.recorded_at,
            actor=entry.actor,
            correlation_id=entry.correlation_id,
            causation_id=entry.causation_id,
        )
        written = json.loads(line)
        if written["schema"] != entry.event.schema:
            again = canonical_bytes(as_first_written(json.loads(again), written["schema"]))
        assert again == line, entry.event.type
    assert conclusions == set(get_args(Conclusion))
    assert outcomes >= {"bootstrap", "retrain", "override", "keep: rules not met"}


def test_every_event_there_is_stands_in_a_golden_ledger() -> None:
    found = {entry.event.type for path in GOLDEN for entry, _ in entries_of(path)}
    assert found == {event.type for event in EVENT_TYPES}


@pytest.mark.parametrize("path", GOLDEN, ids=NAMES)
def test_what_a_ledger_holds_and_not_a_rules_name_says_whether_value_was_measured(
    path: Path,
) -> None:
    """Services measured before the rules had names: ledgers with the same names differ in it."""
    events = [entry.event for entry, _ in entries_of(path)]
    named = {rule for each in events if isinstance(each, CycleStarted) for rule in each.rules}
    windows = [each.window_error for each in events if isinstance(each, HealthReported)]
    measured = path.stem in {"0003-reigns", "0004-refits"}

    assert not named & {"health", "value"}
    assert any(isinstance(each, ValueMeasured) for each in events) == measured
    assert any(error is not None for error in windows) == measured
    said = (REPOSITORY / "docs" / "semantics.md").read_text(encoding="utf-8")
    assert "a cycle without it may hold `champion.value-measured` and window errors" in said


def test_in_the_second_one_a_person_was_forgotten_and_others_were_not() -> None:
    path = REPOSITORY / "tests" / "golden" / "0002-people.jsonl"
    events = [entry.event for entry, _ in entries_of(path)]
    apart = [b'"data_commit":' in line for line in lines_of(path)]
    assert sum(isinstance(event, Erased) for event in events) == 3
    assert sum(apart) == 3 + len(payloads_of(path))
    assert (len(payloads_of(path)) > 200, b"Ada-Quixote" in path.read_bytes()) == (True, False)


def test_in_the_sixth_one_rows_of_every_kind_stand_alone_and_together_and_some_are_erased() -> None:
    path = REPOSITORY / "tests" / "golden" / "0006-rows.jsonl"
    entries = [entry for entry, _ in entries_of(path)]
    together = [entry for entry in entries if entry.rows_apart is not None]
    assert {type(entry.event) for entry in together} == set(BLOCK_EVENTS)
    alone = {entry.event.type for entry in entries if entry.rows == 1}
    assert alone >= {event.plain for event in BLOCK_EVENTS}
    gone = [(row.position, row.row) for row in expanded(together) if isinstance(row.event, Erased)]
    (erasure,) = [entry.event for entry in entries if isinstance(entry.event, PayloadErased)]
    assert gone == [(each.position, each.row) for each in erasure.rows] != []
    assert keyed_event_id("batch-1", 0) in {entry.id for entry in together}
    kept = path.read_bytes() + path.with_suffix(".rows.jsonl").read_bytes()
    assert b"Ada-Quixote" not in kept + path.with_suffix(".payloads.jsonl").read_bytes()
