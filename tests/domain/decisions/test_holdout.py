"""The holdout of both forms: which whole groups judge, and what is said when none can."""

from __future__ import annotations

import csv
import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.decisions.holdout import Holdout, hold_out_until_share, hold_out_whole_groups
from tests.repository import REPOSITORY

DIGEST = "ab" * 32
AS_OF = "1976-12-31T00:00:00.000000Z"
CARS = REPOSITORY / "data" / "us_cars_1971_1990.csv"

groups_of_rows = st.lists(st.sampled_from([f"group-{n}" for n in range(12)]), max_size=60)


def draw(groups: list[str], share: float = 0.4, as_of: str = AS_OF) -> Holdout:
    return hold_out_until_share(groups, contract_digest=DIGEST, as_of=as_of, share=share)


@given(groups_of_rows, st.floats(0.01, 0.99))
def test_whole_groups_are_held_out_until_the_share_is_reached_and_no_further(
    groups: list[str], share: float
) -> None:
    drawn = draw(groups, share)
    held = [group for group, taken in zip(groups, drawn.mask, strict=True) if taken]
    assert set(held) == set(drawn.groups)
    assert len(held) == sum(groups.count(group) for group in drawn.groups)
    if groups:
        assert len(held) >= share * len(groups)
        assert len(held) - groups.count(drawn.groups[-1]) < share * len(groups)


@given(groups_of_rows, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(groups: list[str], chance: object) -> None:
    shuffled = list(groups)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert draw(shuffled).groups == draw(groups).groups


def test_groups_come_in_the_order_of_their_hash() -> None:
    groups = [f"group-{n}" for n in range(20)]
    hashes = [
        hashlib.sha256(f"{DIGEST}/{AS_OF}/{group}".encode()).hexdigest()
        for group in draw(groups).groups
    ]
    assert all(a < b for a, b in pairwise(hashes))


def test_another_time_draws_another_holdout_and_the_same_time_the_same() -> None:
    groups = [f"group-{n}" for n in range(20)]
    assert draw(groups) == draw(groups)
    assert draw(groups).groups != draw(groups, as_of="1977-12-31T00:00:00.000000Z").groups


def test_no_rows_hold_out_nothing() -> None:
    assert draw([]) == Holdout((), ())


def test_a_year_of_cars_is_split_by_design() -> None:
    with CARS.open(newline="") as lines:
        designs = [row["vintage_id"] for row in csv.DictReader(lines) if row["year"] == "1990"]
    drawn = draw(designs)
    assert 0.4 * len(designs) <= sum(drawn.mask) <= 0.45 * len(designs)


YEAR = ("1976-01-01T00:00:00.000000Z", "1977-01-01T00:00:00.000000Z")


def drawn_whole(
    groups: list[str],
    share: float = 0.4,
    *,
    trained: frozenset[str] = frozenset(),
    model: str = "car-price",
    window: tuple[str, str] = YEAR,
) -> Holdout:
    return hold_out_whole_groups(groups, trained=trained, model=model, window=window, share=share)


@given(groups_of_rows, st.floats(0.01, 0.99), st.frozensets(st.sampled_from("0123")))
def test_groups_are_whole_never_trained_elsewhere_and_never_far_beyond_the_share(
    groups: list[str], share: float, numbers: frozenset[str]
) -> None:
    trained = frozenset(f"group-{number}" for number in numbers)
    drawn = drawn_whole(groups, share, trained=trained)
    free = [group for group in groups if group not in trained]
    held = [group for group, taken in zip(groups, drawn.mask, strict=True) if taken]
    assert sorted(held) == sorted(group for group in groups if group in drawn.groups)
    assert not trained & set(held)
    assert len(held) <= 1.5 * share * len(free)
    if held:
        assert set(held) < set(free), "one group at least is left to train"
        assert drawn.share == len(held) / len(free)
    assert bool(drawn.nothing_fits) == (bool(groups) and not held)


def test_trying_again_does_not_draw_anew() -> None:
    groups = [f"group-{n}" for n in range(40)]
    a_minute_later = (YEAR[0].replace("00:00:00", "00:01:00"), "1977-01-01T00:01:00.000000Z")
    assert drawn_whole(groups) == drawn_whole(groups, window=a_minute_later)
    assert drawn_whole(groups).groups != drawn_whole(groups, model="car-sales").groups
    another_year = ("1977-01-01T00:00:00.000000Z", "1978-01-01T00:00:00.000000Z")
    assert drawn_whole(groups).groups != drawn_whole(groups, window=another_year).groups


def test_a_group_that_would_pass_the_share_by_more_than_half_of_it_is_skipped() -> None:
    groups = ["giant"] * 61 + [f"group-{n}" for n in range(39)]
    drawn = drawn_whole(groups)
    assert "giant" not in drawn.groups
    assert (len(drawn.groups), drawn.share) == (39, 0.39)  # all others; the giant trains


def test_where_no_group_fits_the_reason_says_so_with_the_remedy() -> None:
    drawn = drawn_whole(["a"] * 50 + ["b"] * 50, share=0.2)
    assert (drawn.groups, drawn.share) == ((), 0)
    assert drawn.nothing_fits == (
        "no group fits the holdout: the smallest of 2 has 50 of 100 rows, and 30 are the "
        "most for a share of 0.2. Production stays; raise holdout.share, or name a finer group in "
        "the contract."
    )


def test_one_group_alone_is_not_enough_groups() -> None:
    drawn = drawn_whole(["a"] * 50)
    assert not any(drawn.mask)
    assert drawn.nothing_fits.startswith("not enough groups: all 50 rows that could judge are of")
    none_free = drawn_whole(["a", "b"], trained=frozenset("ab"))
    assert none_free.nothing_fits.startswith("not enough groups: each of the 2 rows")
    assert drawn_whole([]) == Holdout((), (), None, "")


def test_a_year_of_cars_is_held_out_within_half_of_its_share() -> None:
    with CARS.open(newline="") as lines:
        designs = [row["vintage_id"] for row in csv.DictReader(lines) if row["year"] == "1990"]
    drawn = drawn_whole(designs)
    assert drawn.share is not None
    assert 0.4 <= drawn.share <= 0.6


def test_the_smallest_group_is_never_said_to_be_as_large_as_may_be_drawn() -> None:
    drawn = hold_out_whole_groups(
        ["a"] * 20_001 + ["b"] * 20_002,
        trained=(),
        model="car-price",
        window=("1975-01-01", "1976-01-01"),
        share=0.333325,
    )
    assert drawn.groups == ()
    assert "has 20,001 of 40,003 rows, and 20000.99996 are the most" in drawn.nothing_fits
