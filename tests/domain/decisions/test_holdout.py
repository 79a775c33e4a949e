from __future__ import annotations

import csv
import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.decisions.holdout import Holdout, hold_out
from tests.repository import REPOSITORY

DIGEST = "ab" * 32
AS_OF = "1976-12-31T00:00:00.000000Z"
CARS = REPOSITORY / "data" / "us_cars_1971_1990.csv"

groups_of_rows = st.lists(st.sampled_from([f"group-{n}" for n in range(12)]), max_size=60)


def draw(groups: list[str], share: float = 0.4, as_of: str = AS_OF) -> Holdout:
    return hold_out(groups, contract_digest=DIGEST, as_of=as_of, share=share)


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
