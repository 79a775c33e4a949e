"""Entries of older schemas are read as the current one, and their bytes stay as they are."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from msgspec import ValidationError

from domain.errors import LedgerDamaged
from domain.events.cycle_events import Decided, DriftMeasured
from domain.events.envelope import event_data, event_from_data
from domain.events.events import EVENT_TYPES, Event, OutcomeRecorded
from domain.events.upcasting import UPCASTERS, older_schemas, upcast
from domain.events.verdicts import NodeVerdict, Verdict
from tests.app.older_payloads import as_first_written
from tests.domain.events.sample_events import decided, policy_verdict
from tests.plausible import REPORT, an


def decided_1(note: str) -> dict[str, Any]:
    """A decision as schema 1 wrote it, with this note on its one clause."""
    data = event_data(decided("retrain"))
    del data["verdict"]["never_retrained"]
    del data["verdict"]["nodes"]
    data["verdict"]["clauses"][0]["note"] = note
    return data


@pytest.mark.parametrize(
    ("verdicts", "root"),
    [
        (("met", "met"), "met"),
        (("met", "unknown"), "unknown"),
        (("unknown", "unmet"), "unmet"),
    ],
)
def test_a_decision_of_schema_2_has_the_one_node_that_asked_for_every_clause(
    verdicts: tuple[Verdict, Verdict], root: Verdict
) -> None:
    new = decided("keep: rules not met", verdict=policy_verdict(a=verdicts[0], b=verdicts[1]))
    data = event_data(new)
    del data["verdict"]["nodes"]
    read = event_from_data("cycle.decided", 2, data)
    assert read == new
    assert isinstance(read, Decided)
    assert read.verdict.nodes == (
        NodeVerdict(node="when", operator="all", of=("a", "b"), verdict=root),
    )


@pytest.mark.parametrize(
    ("note", "never"), [("never retrained", True), ("", False), ("unknown: not measured", False)]
)
def test_a_decision_of_schema_1_says_by_its_note_whether_there_was_a_retraining(
    note: str, never: bool
) -> None:
    event = event_from_data("cycle.decided", 1, decided_1(note))
    assert isinstance(event, Decided)
    assert event.verdict.never_retrained is never


def test_upcasting_adds_and_leaves_all_else_and_the_stored_payload_alone() -> None:
    stored = decided_1("never retrained")
    before = deepcopy(stored)
    schema, data = upcast("cycle.decided", 1, stored)
    assert (schema, stored) == (3, before)
    del data["verdict"]["never_retrained"]
    del data["verdict"]["nodes"]
    assert data == before


def test_drift_of_schema_2_was_judged_row_by_row() -> None:
    measured = an(DriftMeasured, report=REPORT)
    data = event_data(measured)
    del data["report"]["test"]
    del data["report"]["too_few"]
    assert event_from_data("cycle.drift-measured", 2, data) == measured
    assert (REPORT.test, REPORT.too_few) == ("chi-square", "")
    empty = an(DriftMeasured, report=None)
    assert event_from_data("cycle.drift-measured", 2, event_data(empty)) == empty


def test_what_is_current_is_read_as_it_stands() -> None:
    data = event_data(decided("retrain"))
    assert upcast("cycle.decided", 3, data) == (3, data)
    with pytest.raises(ValidationError, match="never_retrained"):
        event_from_data("cycle.decided", 3, decided_1(""))


def test_a_schema_nobody_wrote_is_unknown() -> None:
    for schema in (0, 4):
        with pytest.raises(LedgerDamaged, match=f"'cycle.decided' schema {schema} is unknown"):
            event_from_data("cycle.decided", schema, {})


def test_every_older_schema_leads_to_the_current_one() -> None:
    current = {event.type: event.schema for event in EVENT_TYPES}
    for name, schema in UPCASTERS:
        assert [number for number, _ in older_schemas(name)] == list(range(1, current[name]))
        assert schema < current[name]
    for name, number in current.items():
        assert len(older_schemas(name)) == number - 1, f"{name} has no way up from schema 1"


ASKED: dict[type[Event], dict[str, Any]] = {  # what has to be said of an event
    Decided: {"outcome": "retrain", "sentence": "RETRAIN: x"},
    OutcomeRecorded: {"prediction_id": "01a21884-4067-7d14-a967-6b9711276570"},
}


@pytest.mark.parametrize(("name", "schema"), sorted(UPCASTERS))
def test_an_entry_of_every_older_schema_is_read_and_keeps_all_that_it_says(
    name: str, schema: int
) -> None:
    [kind] = [kind for kind in EVENT_TYPES if kind.type == name]

    def undone(data: dict[str, Any]) -> Any:
        return as_first_written({"type": name, "data": deepcopy(data)}, schema)["data"]

    stored = undone(event_data(an(kind, **ASKED.get(kind, {}))))
    read = event_from_data(name, schema, deepcopy(stored))
    assert isinstance(read, kind)
    assert undone(event_data(read)) == stored
