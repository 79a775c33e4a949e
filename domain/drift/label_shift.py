"""The labels of a window against the target that the champion was trained on.

Labels can be wrong as well as features: a candidate trained on poisoned labels is judged on a
holdout that is poisoned alike, and wins. So whoever promotes is told how far the labels moved.
"""

from __future__ import annotations

import numpy as np

from domain.drift.bins import Numbers, numbers_of
from domain.drift.statistics import LEVEL, Floats, ks, shift
from domain.events.findings import (
    MEAN_SHIFT_MARKED,
    OUTSIDE_SHARE_MARKED,
    SPREAD_RATIO_MARKED,
    LabelShift,
)


def label_shift(target: Numbers, labels: Floats) -> LabelShift | None:
    """How far `labels` lie from the training `target`, both on the champion's scale.

    A label that is not finite (it has no value on that scale) counts as outside the trained range
    and in nothing else. None when no label is finite, or nothing was trained on.

    *Marked* is a shift that chance does not explain (p < 0.05) and that is large: the mean moved by
    half a standard deviation, the spread by half, or a twentieth lies outside the trained range.
    """
    finite = labels[np.isfinite(labels)]
    trained = target.ordered
    if len(finite) == 0 or len(trained) == 0:
        return None
    current = numbers_of("the window's labels", finite)
    distance, moved = ks(trained, current.ordered), shift(target.moments, current.moments)
    inside = int(np.count_nonzero((finite >= trained[0]) & (finite <= trained[-1])))
    outside = 1 - inside / len(labels)
    spread = moved.spread_ratio
    large = (
        abs(moved.mean or 0.0) >= MEAN_SHIFT_MARKED
        or outside > OUTSIDE_SHARE_MARKED
        or (spread is not None and not 1 / SPREAD_RATIO_MARKED < spread < SPREAD_RATIO_MARKED)
    )
    return LabelShift(
        rows=len(labels),
        reference_rows=len(trained),
        ks_statistic=distance.statistic,
        ks_p_value=distance.p_value,
        mean_shift=moved.mean,
        spread_ratio=spread,
        outside_share=outside,
        marked=distance.p_value < LEVEL and large,
    )
