"""Was it right to serve a plan that no gate saw: the refitted plan against the gated one.

The gates measured the gated plan. The refitted one has a few more rows and should be a little
better; the first labelled window that neither was trained on shows whether it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from domain.decisions.group_interval import INTERVAL_GROUPS_MIN, rmse_difference_interval
from domain.events.residual_findings import RefitComparison
from domain.packed import Floats, Whole, numbered


def compare_refit(
    refitted: Sequence[float | None] | Floats,
    gated: Sequence[float | None] | Floats,
    groups: Sequence[str] | Whole,
) -> RefitComparison:
    """Both plans' RMSE on the same rows; gated less refitted with its interval over groups.

    Args:
        refitted: the residuals of the plan that serves, transformed scale; None (in an array NaN)
            where one has no logarithm.
        gated: those of the plan that the gates measured.
        groups: of the same rows, by name or number.

    A row that one of them has no residual for is left out. No rows: no figures.

    Raises:
        ValueError: the three differ in length.

    >>> compare_refit([0.1, 0.2, None], [0.2, 0.2, 0.3], ["a", "b", "c"]).note
    'not enough groups for an interval: 2 of 3'
    """
    ours, theirs = np.array(refitted, np.float64), np.array(gated, np.float64)
    of = numbered(groups)
    if not len(ours) == len(theirs) == len(of):
        raise ValueError(
            f"a comparison needs two residuals and one group a row; got {len(ours)}, {len(theirs)} "
            f"and {len(of)}."
        )
    both = ~(np.isnan(ours) | np.isnan(theirs))
    ours, theirs, of = ours[both], theirs[both], of[both]
    interval = rmse_difference_interval(theirs, ours, of)
    count = len(np.unique(of))
    note = (
        "" if interval else f"not enough groups for an interval: {count} of {INTERVAL_GROUPS_MIN}"
    )
    rows = len(of)
    return RefitComparison(
        rows=rows,
        groups=count,
        rmse_refitted=math.sqrt(np.mean(ours**2)) if rows else None,
        rmse_gated=math.sqrt(np.mean(theirs**2)) if rows else None,
        interval=interval,
        note=note if rows else "no row that both have a residual for",
    )
