"""Has the champion's error grown since its promotion: by how much, and is it more than chance?

Groups are what is drawn, so groups are what is permuted: were nothing changed, a group of the
window could as well have been one of the holdout. Welch's t-test is no 5 % test here: with 40
holdout rows it finds an increase in 7 to 19 % of windows without one.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.events.residual_findings import ErrorIncrease
from domain.packed import Floats, Whole, in_order_of_coming, one_by_one, text_digests
from domain.residuals.frozen import Residual

LABELLED_ROWS_MIN: Final = 50
INCREASE_HOLDOUT_ROWS_MIN: Final = 20
INCREASE_GROUPS_MIN: Final = 5
NO_SPREAD: Final = "t is infinite: the squared errors of either side are the same in every group"
DRAWS: Final = 1_999
_ROUNDING: Final = 1e-9  # of t, summed in another order
_DRAWN_AT_ONCE: Final = 2**20  # groups held in memory at a time


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Residuals of many rows, and the number of each row's group in the order of their coming."""

    residuals: Floats
    groups: Whole  # from 0

    @classmethod
    def of(cls, rows: Iterable[Residual]) -> Errors:
        """Those of these rows."""
        residuals = array("d")

        def groups() -> Iterator[str]:
            for row in rows:
                residuals.append(row.residual)
                yield row.group

        of = in_order_of_coming(text_digests(groups()))
        return cls(np.frombuffer(residuals), of)

    @property
    def number_of_groups(self) -> int:
        """How many different ones."""
        return int(self.groups.max(initial=-1)) + 1


def measure_increase(
    window: Errors, holdout: Errors, *, reference_sha256: str, cycle: str
) -> ErrorIncrease:
    """The window's error against that of the promotion holdout.

    Args:
        window: the window's labelled rows, of which none is in the holdout.
        holdout: the residuals frozen at the promotion.
        reference_sha256: of the champion, and
        cycle: its id; together they seed the draws.

    Null below 50 labelled rows, 20 holdout rows or 5 groups a side, with the reason. t alone is
    null, with the reason, where no group of either side differs from the others: p still holds.
    """
    rows, holdout_rows = len(window.residuals), len(holdout.residuals)
    groups, holdout_groups = window.number_of_groups, holdout.number_of_groups
    note = _too_few(rows, holdout_rows, groups, holdout_groups)
    measured = ratio = p_value = None
    if not note:
        before, after = _mean_square(holdout), _mean_square(window)
        if before > 0 and after > 0:
            ratio = math.sqrt(after / before)
            sums, sizes = _by_group((window, holdout))
            seed = increase_seed(reference_sha256, cycle)
            t, p_value = permuted(sums, sizes, groups, seed)
            measured = t if math.isfinite(t) else None
            note = "" if math.isfinite(t) else NO_SPREAD
        else:
            note = "every error is 0 on one side"
    return ErrorIncrease(
        labelled_rows=rows,
        groups=groups,
        holdout_rows=holdout_rows,
        holdout_groups=holdout_groups,
        error_ratio=ratio,
        t_statistic=measured,
        error_increase_p=p_value,
        note=note,
    )


def permuted(sums: Floats, rows: Floats, window: int, seed: int) -> tuple[float, float]:
    """t, and the share of ways to choose the window's groups that come to one as large.

    Args:
        sums: of squared errors, one a group, those of the window first.
        rows: of the same groups.
        window: how many groups the window has; at least 2 of them, and 2 others.
        seed: of numpy's PCG64; 1,999 draws.

    Returns:
        t = ln(A/B) / sqrt(v_A/A^2 + v_B/B^2), where A and B are the mean squared errors of window
        and holdout and v their variances over groups; p = (1 + draws with as large a t) / 2,000.
    """
    chosen = np.zeros((1, len(sums)), np.bool_)
    chosen[0, :window] = True
    observed = float(t_statistics(sums, rows, chosen)[0])
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // len(sums))
    as_large = 0
    for start in range(0, DRAWS, at_once):
        draws = min(at_once, DRAWS - start)
        drawn = generator.random((draws, len(sums)))
        last = np.partition(drawn, window - 1, axis=1)[:, window - 1 : window]
        mask = drawn <= last  # the groups with the smallest numbers
        as_large += int(np.sum(t_statistics(sums, rows, mask) >= observed - _ROUNDING))
    return observed, (1 + as_large) / (DRAWS + 1)


def t_statistics(sums: Floats, rows: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """t of each choice of groups: shape (choices, groups) -> (choices,)."""
    each = np.stack([np.ones(len(sums)), rows, sums, sums**2, sums * rows, rows**2], axis=1)
    inside = chosen.astype(np.float64) @ each
    (a, a_error), (b, b_error) = _side(inside), _side(each.sum(axis=0) - inside)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.log(a / b) / np.sqrt(a_error + b_error)
    return np.where(np.isnan(t), 0.0, t)  # equal means without any spread


def increase_seed(reference_sha256: str, cycle: str) -> int:
    """The seed of the draws: 64 bits."""
    text = f"whyledger.error-increase/1|{reference_sha256}|{cycle}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _side(totals: Floats) -> tuple[Floats, Floats]:
    """The mean squared error A of the chosen groups, and v_A/A^2, of each choice.

    From the totals over those groups of 1, rows k, sums S, S^2, S k and k^2.
    """
    groups, rows, sums, squares, products, row_squares = totals.T
    mean = np.maximum(sums, 0.0) / rows  # the rest of all, which rounding could make negative
    spread = np.maximum(squares - 2 * mean * products + mean**2 * row_squares, 0.0)
    variance = groups / (groups - 1) * spread / rows**2
    return mean, variance / np.where(mean > 0, mean, 1.0) ** 2


def _by_group(sides: Sequence[Errors]) -> tuple[Floats, Floats]:
    """Sum of squared errors and rows of each group; a group on both sides is two."""
    sums, sizes = array("d"), array("d")
    for side in sides:
        rows = np.bincount(side.groups).tolist()
        by_group = side.residuals[np.argsort(side.groups, kind="stable")]
        start = 0
        for size in rows:
            sums.append(_squares(by_group[start : start + size]))
            sizes.append(size)
            start += size
    return np.frombuffer(sums), np.frombuffer(sizes)


def _mean_square(errors: Errors) -> float:
    return _squares(errors.residuals) / len(errors.residuals)


def _squares(residuals: Floats) -> float:
    """Their sum. Python squares by the library's pow, whose last bit is not always numpy's."""
    return math.fsum(value**2 for value in one_by_one(residuals))


def _too_few(rows: int, holdout_rows: int, groups: int, holdout_groups: int) -> str:
    """What is too little to measure by, and what is needed; empty when nothing is."""
    for count, least, of in (
        (rows, LABELLED_ROWS_MIN, "labelled rows in the window"),
        (holdout_rows, INCREASE_HOLDOUT_ROWS_MIN, "residuals frozen at the promotion"),
        (groups, INCREASE_GROUPS_MIN, "groups in the window"),
        (holdout_groups, INCREASE_GROUPS_MIN, "groups in the promotion holdout"),
    ):
        if count < least:
            return f"{count} {of}; at least {least} are needed"
    return ""
