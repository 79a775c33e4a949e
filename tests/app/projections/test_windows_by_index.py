"""What a cycle asks of predictions and labels costs what it is answered, not what there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.ledger.store import Ledger
from app.projections.answered_rows import Reach
from app.projections.label_rows import latest_rows
from app.projections.labels_in_force import (
    corrected_among,
    first_labels,
    labelled_between,
    labelled_in,
    new_labelled_count,
)
from app.projections.predictions import last_of_each_version, latest_predictions
from app.projections.windows import Answers, rows_answered, window_predictions
from domain.identities import row_digest
from tests import ledger_events as events
from tests.app.projections.test_windows import put, year
from tests.sql_steps import machine_steps


def test_a_window_is_found_by_index_and_what_came_since_by_position(sqlite_ledger: Ledger) -> None:
    """Given ten times as many predictions and labels of other times, then as many steps of
    SQLite's machine find a window of the same rows, its labels, and what is new."""
    ledger = sqlite_ledger
    put(ledger, "model-cars", [(events.contract_adopted(), year(0))])

    def before(first: int, rows: int) -> None:
        for start in range(first, first + rows, 500):
            numbers = range(start, start + 500)
            made = [(events.prediction(f"car={n}"), year(-9)) for n in numbers]
            put(ledger, "predictions-cars", made)
            seen = [(events.observation(f"car={n}"), year(-9)) for n in numbers]
            put(ledger, "observations-cars", seen)

    def asked(start: int) -> list[int]:
        """Of a window of two years from this one, each step the work of one question."""
        after, names = ledger.size() - 1, [f"{start}={n}" for n in range(50)]
        at = year(start + 1)
        put(ledger, "predictions-cars", [(events.prediction(name), at) for name in names])
        put(ledger, "observations-cars", [(events.observation(name), at) for name in names])
        up_to = ledger.size()
        within: dict[str, Any] = {"start": year(start), "end": year(start + 2), "up_to": up_to}
        until: dict[str, Any] = {"before": year(start + 2), "up_to": up_to}
        since = Reach(start="", end=year(start + 2), after=after, up_to=up_to)
        with ledger.connect() as connection:
            window = window_predictions(connection, "cars", model_version="cars/1", **within)
            assert len(window) == 50
            asks: list[Callable[[], object]] = [
                lambda: window_predictions(connection, "cars", model_version="cars/1", **within),
                lambda: Answers(connection, "cars", "cars/1", since).window(by_time=True),
                lambda: rows_answered(connection, "cars", model_version="cars/1", **within),
                lambda: labelled_in(connection, window, **until),
                lambda: labelled_between(connection, "cars", **within),
                lambda: new_labelled_count(
                    connection, "cars", had_up_to=after, had_before=year(start), **until
                ),
                lambda: corrected_among(connection, "cars", names, **until),
            ]
            return [machine_steps(connection, ask) for ask in asks]

    before(0, 500)
    few = asked(0)
    before(500, 5_000)
    many = asked(2)
    assert all(0 < after <= 1.3 * first for first, after in zip(few, many, strict=True)), (
        few,
        many,
    )


def test_a_row_that_was_asked_about_again_and_again_costs_no_more(sqlite_ledger: Ledger) -> None:
    """Given one row with ten times as many predictions and labels, then as many steps find how it
    stands, its last prediction, its labels and what an upload is compared with."""
    ledger = sqlite_ledger
    put(ledger, "model-cars", [(events.contract_adopted(), year(0))])
    digest = row_digest("cars", "car=1")

    def asked(times: int) -> list[int]:
        for _ in range(times // 100):
            put(ledger, "predictions-cars", [(events.prediction("car=1"), year(1))] * 100)
            put(ledger, "observations-cars", [(events.observation("car=1"), year(1))] * 100)
        put(ledger, "predictions-cars", [(events.prediction("car=1", version="cars/2"), year(1))])
        up_to = ledger.size()
        with ledger.connect() as connection:
            window = window_predictions(
                connection,
                "cars",
                model_version="cars/2",
                start=year(0),
                end=year(2),
                up_to=up_to,
            )
            until: dict[str, Any] = {"before": year(2), "up_to": up_to}
            asks: list[Callable[[], object]] = [
                lambda: list(last_of_each_version(connection, [digest])),
                lambda: latest_predictions(connection, "cars", ["car=1"]),
                lambda: labelled_in(connection, window, **until),
                lambda: list(first_labels(connection, window, up_to=up_to)),
                lambda: latest_rows(connection, [row_digest("cars", "car=1")]),
            ]
            return [machine_steps(connection, ask) for ask in asks]

    few, many = asked(300), asked(3_000)
    assert all(0 < after <= 1.3 * first for first, after in zip(few, many, strict=True)), (
        few,
        many,
    )
