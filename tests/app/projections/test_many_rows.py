"""Rows of many in one entry are folded as the plain events that they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.ledger.past import Past
from app.ledger.payloads import delete_erased
from app.ledger.store import Connection, Ledger
from app.projections import zones
from app.projections.answered_rows import Reach
from app.projections.folding import digests, fold, scratch
from app.projections.label_days import LABEL_DAYS
from app.projections.label_rows import columns_as_sent, labelled_rows
from app.projections.labels import LABELS
from app.projections.labels_in_force import (
    labelled_count,
    labelled_in,
    new_labelled_count,
)
from app.projections.opening import open_ledger
from app.projections.predictions import PREDICTIONS, find_predictions
from app.projections.rebuild import rebuild
from app.projections.runner import READ_MODELS
from app.projections.windows import (
    SUPERSEDED,
    Answers,
    grouped_rows,
    window_predictions,
)
from app.settings import Settings
from domain.blocks.ids import place_of, prediction_id
from domain.events.block_events import RowPlace
from domain.events.expansion import expanded
from tests.app.many_rows import Many, observations, outcomes, predictions, put_many
from tests.app.planting import erasure
from tests.ledger_events import contract_adopted, put

FIRST = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3dfffe"
FAR = "9999"


@pytest.fixture(autouse=True)
def small_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few entries in a zone that a story has several."""
    monkeypatch.setattr(zones, "ZONE_ENTRIES", 2)


@pytest.fixture
def other_ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Another one, to tell the same story to."""
    opened = open_ledger(Settings(state_dir=tmp_path / "other"))
    yield opened
    opened.close()


def rows_of(connection: Connection, table: Any) -> list[tuple[Any, ...]]:
    """All of the read model but where its rows stand, in the order in which they came."""
    columns = [column for column in table.columns if column.name not in ("place", "of_place")]
    return [tuple(row) for row in connection.execute(select(*columns).order_by(table.c.place))]


def read_models(ledger: Ledger, model: str = "cars") -> tuple[Any, ...]:
    """What they hold of the model and its first version, but for where it stands."""
    with ledger.connect() as connection:
        window = window_predictions(
            connection, model, model_version=f"{model}/1", start="1", end=FAR, up_to=10_000
        )
        labelled = labelled_in(connection, window, before=FAR, up_to=10_000)
        return (
            rows_of(connection, PREDICTIONS),
            rows_of(connection, LABELS),
            sorted(tuple(row) for row in connection.execute(select(LABEL_DAYS))),
            [
                replace(row, place=0, first_place=0)
                for row in labelled_rows(connection, model, before=FAR, up_to=10_000)
            ],
            [
                (*row, value)
                for row, value in zip(
                    grouped_rows(connection, window.places, "air"),
                    window.predictions.tolist(),
                    strict=True,
                )
            ],
            labelled.labels.tolist(),
        )


def story() -> list[Many]:
    return [
        predictions(1, 2, 3, 1, value=5.0),
        observations(4, 5, 4, price=None),
        predictions(2, 3, year=1977),
        observations(1, 4, 4, source="/again"),
        outcomes((FIRST, "car=1"), (prediction_id(FIRST, 3), "car=1"), ("no id", "car=9")),
        outcomes((prediction_id(FIRST, 1), "car=2"), (FIRST, "car=1"), label=4.0, source="/again"),
    ]


def test_rows_of_many_give_the_read_models_of_the_plain_events(
    ledger: Ledger, other_ledger: Ledger
) -> None:
    for each in (ledger, other_ledger):
        put(each, "model-cars", contract_adopted())
    for number, many in enumerate(story()):
        entry = put_many(ledger, many, FIRST if number == 0 else None)
        for row in expanded([entry]):
            put(
                other_ledger,
                row.stream,
                row.event,  # type: ignore[arg-type]
                id=row.id,
                occurred_at=row.occurred_at,
            )
    one_by_one, together = read_models(other_ledger), read_models(ledger)
    assert together == one_by_one
    assert [len(each) for each in together] == [6, 10, 2, 3, 3, 2]
    assert rebuild(ledger).differing == ()
    with ledger.connect() as connection:
        last = prediction_id(FIRST, 2)
        found = find_predictions(connection, "cars", [last])[last]
        rows = labelled_rows(connection, "cars", before=FAR, up_to=10_000)
        places = np.array([row.place for row in rows])
        sent = columns_as_sent(connection, places)
    assert {name: list(column) for name, column in sent.items()} == {
        name: [row.row.get(name) for row in rows] for name in sent
    }
    assert found.identity == "car=3"


def test_erased_rows_leave_the_read_models_as_a_rebuild_does(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted())
    for number, many in enumerate(story()):
        put_many(ledger, many, FIRST if number == 0 else None)
    event = erasure(rows=tuple(RowPlace(position=at, row=row) for at, row in ((2, 1), (3, 0))))
    put(ledger, "ledger", event)
    with ledger.writing() as connection:
        delete_erased(connection, event)
    with ledger.connect() as connection:
        assert len(rows_of(connection, PREDICTIONS)) == 5
        of_places = connection.execute(select(LABELS.c.of_place)).scalars().all()
        assert place_of(2, 1) not in of_places
        assert place_of(2, 0) in of_places
    assert rebuild(ledger).differing == ()
    labels = outcomes((prediction_id(FIRST, 1), "car=2"), (FIRST, "car=1"), source="/late")
    put_many(ledger, labels)
    assert rebuild(ledger).differing == ()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages=st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_however_entries_are_cut_into_pages_the_read_models_are_the_same(
    sqlite_ledger: Ledger, pages: list[int]
) -> None:
    if sqlite_ledger.size() == 1:
        put(sqlite_ledger, "model-cars", contract_adopted())
        for number, many in enumerate(story()):
            put_many(sqlite_ledger, many, FIRST if number == 0 else None)
    with sqlite_ledger.connect() as connection, scratch(READ_MODELS) as copy:
        after, cut = -1, cycle(pages)
        while page := sqlite_ledger.read(after, next(cut)):
            fold(READ_MODELS, copy, Past(connection), page)
            after = page[-1].position
        assert digests(copy, READ_MODELS) == digests(connection, READ_MODELS)


def test_a_version_that_starts_anew_folds_them(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted())
    for number, many in enumerate(story()):
        put_many(ledger, many, FIRST if number == 0 else None)
    before = read_models(ledger)
    ledger.fold_anew()
    assert read_models(ledger) == before


def test_up_to_a_position_are_all_rows_of_the_entry_there_and_none_behind_it(
    ledger: Ledger,
) -> None:
    """Predictions at 2 and 4, labels at 5 to 7."""
    put(ledger, "model-cars", contract_adopted())
    for number, many in enumerate(story()):
        put_many(ledger, many, FIRST if number == 0 else None)
    with ledger.connect() as connection:

        def left(up_to: int) -> tuple[int, dict[str, int]]:
            window = window_predictions(
                connection, "cars", model_version="cars/1", start="1", end=FAR, up_to=up_to
            )
            return len(window), window.left_out

        def since(after: int) -> int:
            return len(
                Answers(
                    connection, "cars", "cars/1", Reach(start="", end=FAR, after=after, up_to=4)
                ).window(by_time=True)
            )

        def new(had_up_to: int) -> int:
            return new_labelled_count(
                connection, "cars", before=FAR, up_to=7, had_up_to=had_up_to, had_before=None
            )

        assert [left(up_to) for up_to in (1, 2, 3, 4)] == [
            (0, {}),
            (3, {SUPERSEDED: 1}),
            (3, {SUPERSEDED: 1}),
            (3, {SUPERSEDED: 3}),
        ]
        assert [since(after) for after in (1, 2, 3, 4)] == [3, 2, 2, 0]
        assert [
            labelled_count(connection, "cars", before=FAR, up_to=up_to) for up_to in (4, 5, 6, 7)
        ] == [0, 2, 2, 3]
        assert [new(had_up_to) for had_up_to in (4, 5, 6, 7)] == [3, 1, 1, 0]
