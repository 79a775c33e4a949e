"""The same story, told once a row a request and once in batches and files, ends in the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from app.projections.rebuild import rebuild
from app.settings import Settings
from tests.app.http.routes.running import process_behind
from tests.app.http.tellers import KNOWN, LATER, Step, Teller, Telling, both, tellings
from tests.app.http.what_was_told import receipts_hold, taken_home, told, unlike
from tests.told import ToldOnce

CARS: Final = st.lists(st.integers(0, KNOWN + 5), min_size=1, max_size=20)
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "predicted", "predicted and repeated", "observed", "observed again", "uploaded",
                "uploaded unchanged", "labelled", "of every kind", "erased",
            ]
        ),
        CARS,
        st.sampled_from([1.0, 0.9, 1.25]),
    ),
    min_size=2,
    max_size=6,
)  # fmt: skip


@pytest.fixture(scope="session")
def telling(told_once: ToldOnce, registry_store: Path) -> Telling:
    """Each of the two ways to begin the story, once."""
    return tellings(told_once, registry_store)


def live_through(teller: Teller, steps: Sequence[Step]) -> None:
    """A year in which all of it happens, and the year's cycle, which trains and judges."""
    teller.lives_through()
    for step in steps:
        teller.does(step)
    teller.ends(1976, force="a year of new prices")
    teller.does(("predicted", [0, 1, KNOWN], 1.0))


def differing(two: tuple[Teller, Teller], by: Callable[[Teller], Any]) -> list[str]:
    """What they tell otherwise: where, as who sends rows alone says it, and as the other."""
    alone, together = map(by, two)
    return [*unlike(alone, together)]


@hypothesis(
    max_examples=2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(people=st.booleans(), steps=STEPS)
def test_rows_alone_and_together_end_in_the_same(
    telling: Telling, tmp_path: Path, people: bool, steps: list[Step]
) -> None:
    """In read models and windows, events, decisions, gates, health, exports and bundles."""
    with (
        tempfile.TemporaryDirectory(dir=tmp_path) as folder,
        both(telling, lambda name: Settings(state_dir=Path(folder, name)), people=people) as two,
    ):
        for teller in two:
            live_through(teller, steps)

        assert differing(two, told) == []
        assert differing(two, lambda teller: taken_home(teller, Path(folder))) == []
        ledgers = [process_behind(teller.client).ledger for teller in two]
        assert ledgers[1].size() < ledgers[0].size()


def test_on_postgresql_too_and_each_row_is_proven_and_erased_on_its_own(
    telling: Telling, tmp_path: Path, fresh_postgres: Callable[[bool], str]
) -> None:
    """Given all that can be done with rows of people, one of whom is then forgotten, and two years'
    cycles: the first trains and judges."""
    erased_places: list[tuple[int, int]] = []
    some, many = [1, 2, KNOWN, 1], [*range(18)]
    steps: list[Step] = [
        ("predicted and repeated", some, 1.0),
        ("predicted", many, 1.1),
        ("observed", many, 0.9),
        ("observed again", some, 1.1),
        ("uploaded", many[10:], 1.05),
        ("uploaded unchanged", some, 1.0),
        ("labelled", many, 1.1),
        ("of every kind", [5, 6, 7, 6], 0.9),
    ]

    def settings(name: str) -> Settings:
        return Settings(state_dir=tmp_path / name, database_url=fresh_postgres(True))

    with both(telling, settings, people=True) as two:
        for teller in two:
            live_through(teller, steps)
            erased = teller.erases(teller.car(1))
            assert erased is not None
            erased_places.append((len(erased.entries), len(erased.rows)))
            teller.does(("predicted", [1, *range(LATER, LATER + 12)], 1.0))
            teller.does(("observed", [1, *range(LATER, LATER + 12)], 1.0))
            teller.ends(1977, force=None)

        assert differing(two, told) == []
        assert differing(two, lambda teller: taken_home(teller, tmp_path)) == []
        [(alone, none), (rest, among)] = erased_places
        assert (none, rest + among) == (0, alone)
        assert receipts_hold(two[1], newest=100) > 50
        decided = two[1].client.get("/audit/decisions").json()["decisions"]
        judged = {gate["name"]: gate["verdict"] for gate in decided[1]["gates"]}
        assert {judged["Evaluation"], judged["Deployment"]} <= {"passed", "failed"}
        for teller in two:
            ledger = process_behind(teller.client).ledger
            assert rebuild(ledger).differing == ()
