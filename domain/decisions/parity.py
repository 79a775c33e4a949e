"""The parity gate: does the serving plan predict what the trained pipeline predicts?"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.events.gate_events import ParityChecked
from domain.events.verdicts import told_apart

Floats = NDArray[np.float64]

PARITY_LINEAR: Final = 1e-12  # relative: what summing in another order may cost


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What a linear model adds up for each row."""

    total: Floats  # shape (rows,): |intercept| and every |coefficient x value|, added
    largest: Sequence[str]  # the feature with the largest of them, one a row


def check_parity(
    *, pipeline: Floats, plan: Floats, exact: bool, terms: Terms | None = None
) -> ParityChecked:
    """The gate's word on rows that both predicted.

    Args:
        pipeline: the pipeline's predictions, transformed scale.
        plan: the serving plan's predictions of the same rows.
        exact: trees, which must agree to the bit; linear models may differ by 1e-12.
        terms: what that difference is relative to: what was added up, because rounding is as large
            as the terms and not as their sum. None, as the first form of the rule has it: relative
            to max(1, |pipeline|).

    The digests are SHA-256 of the predictions as little-endian doubles. Where a prediction is not
    finite the difference has no number, and the largest double stands for it. No rows: not passed.

    Raises:
        ValueError: the two have different numbers of rows.
    """
    rows = len(pipeline)
    if len(plan) != rows or (terms is not None and len(terms.total) != rows):
        raise ValueError(
            f"parity needs the same rows on every side; got {rows} of the pipeline and {len(plan)} "
            "of the plan."
        )
    allowed = 0.0 if exact else PARITY_LINEAR
    digests = _digest(pipeline), _digest(plan)
    finite = bool(np.isfinite(pipeline).all() and np.isfinite(plan).all())
    apart = _apart(pipeline, plan, terms)
    largest = float(np.max(apart, initial=0.0)) if finite else sys.float_info.max
    agree = digests[0] == digests[1] if exact else largest <= allowed
    passed = rows > 0 and finite and agree
    feature = None
    if terms is not None and rows > 0 and not passed:
        feature = terms.largest[int(np.argmax(apart))]
    return ParityChecked(
        passed=passed,
        rows=rows,
        largest_difference=largest,
        allowed=allowed,
        feature=feature,
        pipeline_digest=digests[0],
        plan_digest=digests[1],
        reason=f"{_says(rows, finite, exact, agree, largest, terms)}, on {rows:,} "
        f"row{'' if rows == 1 else 's'}.{_remedy(feature)}",
    )


def _says(
    rows: int, finite: bool, exact: bool, agree: bool, largest: float, terms: Terms | None
) -> str:
    if rows == 0:
        return "no rows to compare, so nothing was shown"
    if not finite:
        return "a prediction is not a finite number"
    if exact and agree:
        return "plan and pipeline agree to the bit"
    if exact:
        apart = f"by up to {largest:.3g}" if largest else "in the sign of a zero"
        return f"plan and pipeline must agree to the bit; they differ {apart}"
    of = "" if terms is None else " of the terms added"
    observed, allowed = told_apart(largest, PARITY_LINEAR, 3)
    return f"plan and pipeline differ by up to {observed}{of}; {allowed} is allowed"


def _remedy(feature: str | None) -> str:
    if feature is None:
        return ""
    return (
        f" The largest term there is that of {feature!r}: give it the transformer standardise, or "
        "measure it from a nearer zero."
    )


def _apart(pipeline: Floats, plan: Floats, terms: Terms | None) -> Floats:
    """How far apart they are in each row, relative; the largest double where it has no number."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        difference = np.abs(plan - pipeline)
        scale = np.maximum(1.0, np.abs(pipeline)) if terms is None else terms.total
        apart = np.where(difference == 0, 0.0, difference / scale)
    return np.nan_to_num(apart, nan=sys.float_info.max, posinf=sys.float_info.max)


def _digest(predictions: Floats) -> str:
    return hashlib.sha256(np.ascontiguousarray(predictions, dtype="<f8").tobytes()).hexdigest()
