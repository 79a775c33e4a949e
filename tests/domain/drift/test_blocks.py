"""Where rows depend on each other, whole blocks or runs are exchanged, and clean data is clean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.drift.blocks import Bins, Dependent, exchange_blocks, exchange_runs, exchange_seed
from domain.drift.statistics import psi


def binned(values: np.ndarray) -> Bins:
    """Standard normal values in ten bins of equal share."""
    deciles = np.array([-1.2816, -0.8416, -0.5244, -0.2533, 0, 0.2533, 0.5244, 0.8416, 1.2816])
    return np.searchsorted(deciles, values)


def following(rows: int, rho: float, chance: np.random.Generator) -> np.ndarray:
    """A stationary AR(1) of unit variance."""
    values = np.empty(rows)
    values[0] = chance.normal()
    noise = chance.normal(size=rows) * np.sqrt(1 - rho**2)
    for at in range(1, rows):
        values[at] = rho * values[at - 1] + noise[at]
    return values


def test_the_published_example_of_runs() -> None:
    found = exchange_runs([np.array([0, 0, 1, 0, 1, 1, 0, 0])], [np.array([1, 1])])
    assert found.p_values == (0.4,)  # 4 of 10 runs
    assert psi((5, 3), (0, 2)).value == pytest.approx(0.916188, abs=1e-6)


def test_runs_that_follow_each_other_are_no_drift() -> None:
    chance = np.random.default_rng(1)
    alarms = chi_square = 0
    for _ in range(150):
        rows = binned(following(1_100, 0.8, chance))
        reference, window = rows[:1_000], rows[1_000:]
        alarms += exchange_runs([reference], [window]).p_values[0] < 0.05
        counts = [np.bincount(side, minlength=10).tolist() for side in (reference, window)]
        chi_square += psi(*counts).p_value < 0.05
    assert alarms <= 20  # 150 at 5 % are 7.5; more than 20 come once in 20,000 times
    assert chi_square >= 50  # were every row taken for an independent one


def test_days_that_differ_are_no_drift_when_whole_days_are_exchanged() -> None:
    chance = np.random.default_rng(2)
    alarms = 0
    for number in range(100):
        days = np.repeat(np.arange(40), 20)
        values = np.repeat(chance.normal(size=40) * 0.8, 20) + chance.normal(size=800) * 0.6
        blocks = [f"{day}" for day in days]
        found = exchange_blocks(
            [binned(values[:700])],
            [binned(values[700:])],
            blocks[:700],
            blocks[700:],
            seed=f"clean {number}",
        )
        alarms += found.p_values[0] < 0.05
    assert alarms <= 16  # 100 at 5 % are 5


def test_a_shift_of_every_block_is_found() -> None:
    chance = np.random.default_rng(3)
    values = chance.normal(size=1_200)
    blocks = [f"{number // 20}" for number in range(1_200)]
    moved = exchange_blocks(
        [binned(values[:1_000])],
        [binned(values[1_000:] + 1.5)],
        blocks[:1_000],
        blocks[1_000:],
        seed="moved",
    )
    assert moved.p_values == (1 / 2_000,)
    assert (
        exchange_runs([binned(values[:1_000])], [binned(values[1_000:] + 1.5)]).p_values[0] < 0.01
    )


def test_the_same_seed_gives_the_same_draws_and_another_one_others() -> None:
    chance = np.random.default_rng(4)
    sides = [binned(chance.normal(size=200))], [binned(chance.normal(size=100))]
    blocks = [str(n // 10) for n in range(200)], [str(n // 10) for n in range(100)]
    one, two, other = (exchange_blocks(*sides, *blocks, seed=seed) for seed in ("a", "a", "b"))
    assert one == two
    assert one.p_values != other.p_values


@pytest.mark.parametrize(
    ("blocks", "rows_a_block", "says"),
    [
        (1, 10, "1 block in the window: too few to tell"),
        (4, 10, "4 blocks in the window: too few to tell"),
        (5, 10, ""),
    ],
)
def test_few_blocks_are_low_power(blocks: int, rows_a_block: int, says: str) -> None:
    names = [str(n // rows_a_block) for n in range(blocks * rows_a_block)]
    reference = [str(n // rows_a_block) for n in range(300)]
    found = exchange_blocks(
        [np.zeros(300, np.int64)],
        [np.zeros(len(names), np.int64)],
        reference,
        names,
        seed="few",
    )
    assert found.low_power == says


def test_as_many_blocks_as_there_are_rows_can_be_exchanged() -> None:
    bins = [np.zeros(600, np.int64)], [np.zeros(500, np.int64)]
    names = [str(n) for n in range(600)]
    found = exchange_blocks(*bins, names, names[:500], seed="many")  # in more ways than 1e308
    assert found == Dependent((1.0,), "")


def test_few_runs_are_low_power() -> None:
    found = exchange_runs([np.zeros(300, np.int64)], [np.zeros(100, np.int64)])
    assert found.low_power == "4 runs of this length: too few to tell"
    found = exchange_runs([np.zeros(50, np.int64)], [np.zeros(100, np.int64)])
    assert found.low_power == "1 run of this length: too few to tell"
    assert exchange_runs([np.zeros(400, np.int64)], [np.zeros(100, np.int64)]).low_power == ""


def test_five_blocks_against_two_can_be_exchanged_in_too_few_ways() -> None:
    found = exchange_blocks(
        [np.zeros(2, np.int64)] * 2,
        [np.zeros(5, np.int64)] * 2,
        list("ab"),
        list("vwxyz"),
        seed="ways",
    )
    assert found.low_power == "7 blocks can be exchanged in too few ways to tell"


@given(st.lists(st.integers(0, 3), min_size=2, max_size=40), st.data())
def test_a_run_is_always_among_those_it_is_compared_with(
    rows: list[int], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(rows) - 1))
    p = exchange_runs([np.array(rows[:cut])], [np.array(rows[cut:])]).p_values[0]
    assert 1 / len(rows) <= p <= 1


def test_the_draws_of_a_cycle_begin_with_the_reference_and_the_cycle() -> None:
    assert exchange_seed("ab", "car-price-2") == "whyledger.blocks/1|ab|car-price-2"
