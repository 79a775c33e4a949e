"""How often the comparison with the training target looks drifted when nothing has changed.

Predictions are narrower than targets, so with many rows their KS p-value is below 5 % on the very
data the model was trained on. This rate says when that figure says nothing.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from domain.drift.reference import Reference
from domain.drift.statistics import LEVEL
from domain.events.verdicts import told_apart_from_each

SAYS_NOTHING: Final = 0.5  # a rate from which the clause says nothing, inclusive
SAYS_LITTLE: Final = 0.2  # from which it says little, inclusive
_DRAWS: Final = 200


def clean_rate(reference: Reference, reference_sha256: str, rows: int) -> float:
    """The share of windows of `rows` unchanged predictions whose KS p-value is below 0.05.

    Of 200 draws with replacement from the frozen out-of-fold predictions, those as far from the
    frozen training target as 5 % of two samples from one distribution are. Seeded by the reference
    and the number of rows, so the same window has the same rate wherever it is computed; right to
    about 0.1 near 0 and 1, and to 0.3 between, where the reference is small.

    Args:
        reference: the champion's.
        reference_sha256: of its bytes.
        rows: of the window, at least 1.
    """
    from scipy import stats  # noqa: PLC0415 - half of a worker's start

    target, predictions = reference.target.ordered, reference.out_of_fold.ordered
    values, place = np.unique(predictions, return_inverse=True)
    up_to, before = (
        np.searchsorted(target, values, side=side) / len(target) for side in ("right", "left")
    )
    m = len(target)
    far = float(stats.kstwo.isf(LEVEL, max(1, round(rows * m / (rows + m)))))
    generator = np.random.default_rng(_seed(reference_sha256, rows))
    beyond = 0
    for _ in range(_DRAWS):
        at, often = np.unique(place[generator.integers(0, m, rows)], return_counts=True)
        reached = np.cumsum(often)
        apart = np.abs(up_to[at] - reached / rows), np.abs(before[at] - (reached - often) / rows)
        beyond += max(float(side.max()) for side in apart) >= far
    return beyond / _DRAWS


def clean_rate_words(rate: float) -> str:
    """What a rate takes from the clause, as the end of a sentence; empty where it is small.

    >>> clean_rate_words(0.95), clean_rate_words(0.27), clean_rate_words(0.1)[:1]
    ('holds on unchanged data in about 9.5 of 10 windows: says nothing here', \
'holds on unchanged data in about 2.7 of 10 windows: says little', '')
    """
    if rate < SAYS_LITTLE:
        return ""
    says = "says nothing here" if rate >= SAYS_NOTHING else "says little"
    tenths, *_ = told_apart_from_each(10 * rate, (10 * SAYS_LITTLE, 10 * SAYS_NOTHING), 2)
    return f"holds on unchanged data in about {tenths} of 10 windows: {says}"


def _seed(reference_sha256: str, rows: int) -> int:
    named = f"whyledger.clean-rate/1|{reference_sha256}|{rows}"
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "big")
