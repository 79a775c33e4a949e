"""Predictions, labels and refusals: what a window holds, and which label is in force."""

from __future__ import annotations

from app.ledger.store import Ledger
from app.projections.label_rows import LabelledRow, labelled_rows
from app.projections.labels import has_labels
from app.projections.predictions import (
    find_predictions,
    latest_predictions,
)
from app.projections.refusals import rows_between
from domain.events.envelope import Recorded
from tests import ledger_events as events

ENDS = "9999-01-01T00:00:00.000000Z"


def year(number: int) -> str:
    return f"{number}-07-01T00:00:00.000000Z"


def predict(
    ledger: Ledger, identity: str, at: int, version: str = "cars/1", value: float = 7.5
) -> Recorded:
    event = events.prediction(identity, version=version, value=value)
    return events.put(ledger, "predictions-cars", event, occurred_at=year(at))[0]


def observe(ledger: Ledger, identity: str, at: int, price: float | None = 8.0) -> Recorded:
    event = events.observation(identity, price=price)
    return events.put(ledger, "observations-cars", event, occurred_at=year(at))[0]


def come_out(ledger: Ledger, prediction: Recorded, label: float) -> Recorded:
    event = events.outcome(prediction.id, label=label)
    return events.put(ledger, "observations-cars", event, occurred_at=year(1999))[0]


def adopt(ledger: Ledger) -> None:
    events.put(ledger, "model-cars", events.contract_adopted())


def labelled(
    ledger: Ledger, before: str = ENDS, up_to: int | None = None
) -> tuple[LabelledRow, ...]:
    with ledger.connect() as connection:
        return labelled_rows(
            connection, "cars", before=before, up_to=ledger.size() if up_to is None else up_to
        )


def test_a_prediction_is_found_by_id_and_by_identity(ledger: Ledger) -> None:
    first = predict(ledger, "car=1", 1976)
    second = predict(ledger, "car=1", 1976)
    with ledger.connect() as connection:
        found = find_predictions(connection, "cars", [first.id])[first.id]
        latest = latest_predictions(connection, "cars", ["car=1", "car=9"])
        assert find_predictions(connection, "vans", [first.id]) == {}
    assert latest.keys() == {"car=1"}
    assert (found.id, latest["car=1"].id) == (first.id, second.id)
    assert (found.identity, found.event_time) == ("car=1", year(1976))


def test_an_outcome_labels_the_row_that_was_predicted(ledger: Ledger) -> None:
    adopt(ledger)
    prediction = predict(ledger, "car=1", 1976)
    outcome = come_out(ledger, prediction, 9.5)
    (row,) = labelled(ledger)
    assert row == LabelledRow(
        identity="car=1",
        event_time=year(1976),  # of the row, not of the outcome
        label=9.5,
        row={"air": 1, "car": "car=1", "hpwt": 0.5, "note": None, "price": 9.5},
        place=outcome.place,
        first_place=outcome.place,
        labels=1,
    )


def test_a_later_label_is_a_correction_and_no_new_sample(ledger: Ledger) -> None:
    adopt(ledger)
    first = observe(ledger, "car=1", 1976, price=8.0)
    other = observe(ledger, "car=2", 1975)
    correction = come_out(ledger, predict(ledger, "car=1", 1976), 9.0)
    rows = labelled(ledger)
    assert [row.identity for row in rows] == ["car=2", "car=1"]  # by event time
    assert (rows[1].label, rows[1].place, rows[1].first_place, rows[1].labels) == (
        9.0,
        correction.place,
        first.place,
        2,
    )
    assert [row.label for row in labelled(ledger, up_to=other.position)] == [8.0, 8.0]
    with ledger.connect() as connection:
        assert len(labelled_rows(connection, "cars", before="9999", up_to=1_000_000)) == 2


def test_labels_are_those_before_a_time_and_up_to_a_position(ledger: Ledger) -> None:
    adopt(ledger)
    observe(ledger, "car=1", 1975)
    second = observe(ledger, "car=2", 1976)
    observe(ledger, "car=3", 1975)
    found = labelled(ledger, before=year(1976), up_to=second.position)
    assert [row.identity for row in found] == ["car=1"]
    with ledger.connect() as connection:
        assert has_labels(connection, "cars", before=year(1976))
        assert not has_labels(connection, "cars", before=year(1975))
        assert not has_labels(connection, "vans", before=ENDS)


def test_a_row_without_the_target_is_no_labelled_row(ledger: Ledger) -> None:
    adopt(ledger)
    observe(ledger, "car=1", 1975, price=None)
    assert labelled(ledger) == ()
    with ledger.connect() as connection:
        assert not has_labels(connection, "cars", before=ENDS)


def test_a_label_of_a_prediction_nobody_made_labels_nothing(ledger: Ledger) -> None:
    adopt(ledger)
    events.put(ledger, "observations-cars", events.outcome("01a20867-eb4c-7fec-a896-66c1c2ec481c"))
    assert labelled(ledger) == ()


def test_accepted_and_refused_rows_are_counted_between_positions(ledger: Ledger) -> None:
    adopt(ledger)
    before = predict(ledger, "car=0", 1976)
    prediction = predict(ledger, "car=1", 1976)
    observe(ledger, "car=2", 1976)
    come_out(ledger, prediction, 9.0)  # is no row
    events.put(ledger, "observations-cars", events.refused(3))
    events.put(ledger, "observations-vans", events.refused(50, "vans"))
    last = ledger.size() - 1
    events.put(ledger, "observations-cars", events.refused(7))
    with ledger.connect() as connection:
        counts = rows_between(connection, "cars", after=before.position, up_to=last)
    assert (counts.accepted, counts.refused) == (2, 3)
