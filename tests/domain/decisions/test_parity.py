"""The parity gate: trees to the bit, linear models relative to the terms they add up."""

from __future__ import annotations

import math
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from domain.canonical import canonical_bytes
from domain.decisions.parity import Terms, check_parity

ACTUAL = np.array([1.0, 2.0, 3.0, 4.0])


def test_trees_must_agree_to_the_bit() -> None:
    same = check_parity(pipeline=ACTUAL, plan=ACTUAL.copy(), exact=True)
    assert same.passed
    assert same.pipeline_digest == same.plan_digest
    assert same.largest_difference == same.allowed == 0
    off = check_parity(pipeline=ACTUAL, plan=np.nextafter(ACTUAL, 9), exact=True)
    assert not off.passed
    assert off.pipeline_digest != off.plan_digest
    assert "must agree to the bit; they differ by up to" in off.reason


def test_by_the_first_form_linear_models_may_differ_by_a_rounding_relative_to_their_size() -> None:
    pipeline = np.array([0.001, 1_000.0])
    inside, outside = (pipeline + np.array(off) for off in ([9e-13, 9e-10], [0.0, 2e-9]))
    assert check_parity(pipeline=pipeline, plan=inside, exact=False).passed
    found = check_parity(pipeline=pipeline, plan=outside, exact=False)
    assert not found.passed
    assert found.largest_difference == pytest.approx(2e-12, rel=1e-3)
    assert "1e-12 is allowed, on 2 rows" in found.reason


@pytest.mark.parametrize("exact", [True, False])
def test_parity_of_nothing_or_of_no_numbers_is_not_shown(exact: bool) -> None:
    nothing = check_parity(pipeline=np.array([]), plan=np.array([]), exact=exact)
    assert not nothing.passed
    assert nothing.reason == "no rows to compare, so nothing was shown, on 0 rows."
    bad = np.array([math.nan])
    unequal = check_parity(pipeline=bad, plan=bad, exact=exact)
    assert not unequal.passed
    assert unequal.largest_difference == sys.float_info.max
    assert canonical_bytes(to_builtins(unequal))


def test_linear_models_may_differ_by_a_rounding_of_the_terms_they_add() -> None:
    # two coordinates of 5,000,000 m cancel to about 1: rounding is of their size, not of the sum's
    terms = Terms(np.array([1e7, 1e7]), ["northing", "northing"])
    pipeline = np.array([1.0, 2.0])
    near, far = pipeline + 2e-9, pipeline + np.array([0.0, 2e-5])

    assert not check_parity(pipeline=pipeline, plan=near, exact=False).passed
    sound = check_parity(pipeline=pipeline, plan=near, exact=False, terms=terms)
    assert sound.passed
    assert sound.feature is None
    found = check_parity(pipeline=pipeline, plan=far, exact=False, terms=terms)
    assert not found.passed


def test_what_fails_names_the_feature_with_the_largest_term_and_the_remedy() -> None:
    terms = Terms(np.array([10.0, 1e7]), ["easting", "northing"])
    plan = ACTUAL[:2] + np.array([0.0, 2e-5])

    found = check_parity(pipeline=ACTUAL[:2], plan=plan, exact=False, terms=terms)

    assert (found.passed, found.feature) == (False, "northing")
    assert found.largest_difference == pytest.approx(2e-12)
    assert found.reason == (
        "plan and pipeline differ by up to 2e-12 of the terms added; 1e-12 is allowed, on 2 rows. "
        "The largest term there is that of 'northing': give it the transformer standardise, or "
        "measure it from a nearer zero."
    )


def test_a_difference_where_nothing_was_added_is_too_large() -> None:
    terms = Terms(np.zeros(2), ["easting", "easting"])
    same, other = np.zeros(2), np.array([0.0, 1e-300])

    assert check_parity(pipeline=same, plan=same, exact=False, terms=terms).passed
    found = check_parity(pipeline=same, plan=other, exact=False, terms=terms)
    assert (found.passed, found.largest_difference) == (False, sys.float_info.max)


def test_parity_refuses_sides_with_different_rows() -> None:
    with pytest.raises(ValueError, match="same rows on every side; got 4 of the pipeline and 2"):
        check_parity(pipeline=ACTUAL, plan=ACTUAL[:2], exact=True)


@given(st.floats(0.9, 1.1))
def test_what_plans_differ_by_is_never_rounded_onto_what_is_allowed(times: float) -> None:
    pipeline = np.array([0.0])
    found = check_parity(
        pipeline=pipeline,
        plan=np.array([1e-12 * times]),
        exact=False,
        terms=Terms(np.array([1.0]), ["x"]),
    )
    observed, allowed = map(float, re.findall(r"\d[\d.]*e-\d+", found.reason)[:2])
    assert (observed <= allowed) == found.passed == (found.largest_difference <= found.allowed)


def test_plans_that_differ_in_the_sign_of_a_zero_are_not_said_to_differ_by_nothing() -> None:
    found = check_parity(pipeline=np.array([0.0]), plan=np.array([-0.0]), exact=True)
    assert not found.passed
    assert "must agree to the bit; they differ in the sign of a zero, on 1 row" in found.reason
