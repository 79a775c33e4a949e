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


def compare_refit(
    refitted: Sequence[float | None], gated: Sequence[float | None], groups: Sequence[str]
) -> RefitComparison:
    """Both plans' RMSE on the same rows; gated less refitted with its interval over groups.

    Args:
        refitted: the residuals of the plan that serves, transformed scale; None where one has no
            logarithm.
        gated: those of the plan that the gates measured.
        groups: of the same rows.

    A row that one of them has no residual for is left out. No rows: no figures.

    Raises:
        ValueError: the three differ in length.

    >>> compare_refit([0.1, 0.2, None], [0.2, 0.2, 0.3], ["a", "b", "c"]).note
    'not enough groups for an interval: 2 of 3'
    """
    paired = [
        (ours, theirs, group)
        for ours, theirs, group in zip(refitted, gated, groups, strict=True)
        if ours is not None and theirs is not None
    ]
    ours, theirs = (np.array([each[side] for each in paired], np.float64) for side in (0, 1))
    kept = [group for _, _, group in paired]
    interval = rmse_difference_interval(theirs, ours, kept)
    count = len(set(kept))
    note = (
        "" if interval else f"not enough groups for an interval: {count} of {INTERVAL_GROUPS_MIN}"
    )
    return RefitComparison(
        rows=len(paired),
        groups=count,
        rmse_refitted=math.sqrt(np.mean(ours**2)) if paired else None,
        rmse_gated=math.sqrt(np.mean(theirs**2)) if paired else None,
        interval=interval,
        note=note if paired else "no row that both have a residual for",
    )
