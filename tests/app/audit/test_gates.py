"""What a gate measured in words: never rounded onto what it was held against."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.audit.gates import compared_errors, errors_told, gates_of
from domain.decisions.cycle import Cycle
from domain.events.cycle_events import CandidateCompared, WindowGuarded
from domain.events.findings import LabelShift
from tests.domain.events.sample_events import PARITY, TRAINED
from tests.plausible import an

SHIFT = LabelShift(
    rows=100,
    reference_rows=400,
    ks_statistic=0.1,
    ks_p_value=0.3,
    mean_shift=0.1,
    spread_ratio=1.1,
    outside_share=0.01,
    marked=False,
)
ERRORS = st.floats(1e-6, 1e6)


def test_a_difference_just_past_what_is_allowed_is_not_said_to_be_it() -> None:
    found = replace(PARITY, passed=False, largest_difference=1.00001e-12, allowed=1e-12)

    parity, *_ = gates_of(Cycle(trained=TRAINED, parity=found))

    assert parity.note == "largest difference 1.00001e-12, allowed 1e-12"


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"ks_p_value": 0.0499999}, "KS p = 0.0499999,"),
        ({"mean_shift": -0.49996}, "mean -0.49996 sd"),
        ({"mean_shift": 0.25}, "mean +0.25 sd"),
        ({"spread_ratio": 1.499996}, "spread x 1.499996,"),
        ({"outside_share": 0.0500004}, "5.00004 % outside"),
    ],
)
def test_how_far_labels_moved_is_not_rounded_onto_what_marks_it(
    measured: dict[str, float], said: str
) -> None:
    labels = replace(SHIFT, **measured)
    guarded = an(WindowGuarded, labels=labels)

    *_, promotion = gates_of(Cycle(trained=TRAINED, guarded=guarded))

    assert said in promotion.note


@given(ERRORS, st.integers(-3, 3), ERRORS)
def test_the_candidates_error_is_told_from_every_error_that_judges_it(
    candidate: float, steps: int, other: float
) -> None:
    near = candidate * (1 + steps * 1e-15)
    figures = {"mean": other, "median": near, "candidate": candidate}
    told = errors_told(figures)
    assert list(told) == list(figures)
    for side in ("mean", "median"):
        said, ours = float(told[side]), float(told["candidate"])
        assert (said > ours, said < ours) == (figures[side] > candidate, figures[side] < candidate)


def test_a_line_of_errors_names_the_champions_first_and_never_makes_two_of_them_one() -> None:
    errors = an(CandidateCompared).candidate
    compared = an(
        CandidateCompared,
        champion_version="car-price/1",
        champion=replace(errors, rmse=0.3),
        candidate=replace(errors, rmse=0.30000001),
    )
    gates = gates_of(Cycle(trained=TRAINED, compared=compared))
    assert compared_errors(gates) == "0.3 → 0.30000001"
    first = gates_of(Cycle(trained=TRAINED, compared=replace(compared, champion=None)))
    assert compared_errors(first) == "none → 0.3"
    assert compared_errors(()) == ""
