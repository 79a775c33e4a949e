"""Evidence of drift where rows are not independent: by exchanging whole blocks, or runs of rows.

PSI's chi-square test takes every row for an independent one. Where the rows of a day, or of a
group, are alike, or each row resembles the one before, it finds drift that is none. Here the
window is compared with what as many other blocks, or a run of as many other rows, would have been.
How, and what it attains: docs/semantics.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.packed import Whole, numbered

Counts = NDArray[np.int64]
Bins = NDArray[np.integer]

DRAWS: Final = 1_999  # random choices of blocks, beside the one there was
RUNS_MAX: Final = 2_000  # runs that are looked at; more rows are walked in larger steps
BLOCKS_MIN: Final = 5  # blocks of a window below which no drift cannot be said
_WAYS_MIN: Final = 20  # choices for each feature, so that the rarest is one in twenty of them
_CELLS_MAX: Final = 2_000_000  # draws times blocks that are held at once: 16 MB


@dataclass(frozen=True, slots=True)
class Dependent:
    """What exchanging blocks or runs came to, for each feature in the order given."""

    p_values: tuple[float, ...]
    low_power: str  # why the window is too small to say no drift; empty: it is not


def exchange_blocks(
    reference: Sequence[Bins],
    window: Sequence[Bins],
    reference_blocks: Sequence[str] | Whole,
    window_blocks: Sequence[str] | Whole,
    *,
    seed: str,
) -> Dependent:
    """How often as many blocks, chosen among all, lie as far from the others as the window's.

    Args:
        reference, window: each feature's bin of each row, shapes (m,) and (n,).
        reference_blocks, window_blocks: the block of each row, by name or number. One that stands
            on both sides counts as two.
        seed: text whose SHA-256 begins the draws; the same for all features, whose rows stay
            together.

    The distance is PSI over the frozen bins, p is (1 + #at least as far)/2,000 of 1,999 choices.
    """
    before, after = numbered(reference_blocks), numbered(window_blocks)
    others, chosen = (int(side.max(initial=-1)) + 1 for side in (before, after))
    blocks = others + chosen
    of_row = np.concatenate([before, others + after])
    tables = []
    for sides in zip(reference, window, strict=True):
        rows = np.concatenate(sides).astype(np.int64)
        table = np.zeros((blocks, int(rows.max()) + 1))  # doubles count exactly, and multiply fast
        np.add.at(table, (of_row, rows), 1)
        tables.append(table)
    own = np.arange(blocks)[np.newaxis] >= others
    counted = [
        [picks.astype(np.float64) @ table for table in tables]
        for picks in (own, *_choices(blocks, chosen, seed))
    ]
    p_values = []
    for table, parts in zip(tables, zip(*counted, strict=True), strict=True):
        current = np.vstack(parts).astype(np.int64)  # (2,000, bins)
        p_values.append(_share_as_far(table.sum(axis=0).astype(np.int64) - current, current))
    return Dependent(tuple(p_values), _few_blocks(blocks, chosen, len(reference)))


def exchange_seed(reference_sha256: str, cycle: str) -> str:
    """What begins the draws of one cycle against one reference, whenever it is asked."""
    return f"whyledger.blocks/1|{reference_sha256}|{cycle}"


def exchange_runs(reference: Sequence[Bins], window: Sequence[Bins]) -> Dependent:
    """How often a run of n consecutive rows lies as far from the others as the window's own does.

    Args:
        reference, window: each feature's bin of each row in order of event time, (m,) and (n,).

    Reference and window are joined in a circle of N = m + n rows. p is the share of its runs of n
    rows whose PSI against the other m is at least the window's; above 2,000 rows every
    ceil(N/2,000)-th run is looked at, the window's own always. Nothing is drawn.
    """
    n = len(window[0])
    total = len(reference[0]) + n
    starts = (np.arange(0, total, ceil(total / RUNS_MAX)) + total - n) % total
    p_values = []
    for before, after in zip(reference, window, strict=True):
        rows = np.concatenate([before, after, before, after]).astype(np.int64)
        current = np.empty((len(starts), int(rows.max()) + 1), np.int64)
        for place in range(current.shape[1]):  # one bin at a time: there may be many, and many rows
            before_row = np.concatenate([[0], (rows == place).cumsum()])
            current[:, place] = before_row[starts + n] - before_row[starts]
        everything = np.bincount(rows[:total], minlength=current.shape[1])
        p_values.append(_share_as_far(everything - current, current))
    few = total / n < BLOCKS_MIN
    runs = "1 run" if total // n == 1 else f"{total // n} runs"
    return Dependent(tuple(p_values), f"{runs} of this length: too few to tell" if few else "")


def _share_as_far(reference: Counts, current: Counts) -> float:
    """The share of the rows of counts, shape (k, bins), whose PSI is at least that of the first."""
    used = (reference[0] + current[0]) > 0
    a, b = reference[:, used] + 0.5, current[:, used] + 0.5
    a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
    distances = ((b - a) * np.log(b / a)).sum(axis=1)
    # the same counts give the same distance, but for the last bits of a sum
    return float((distances >= distances[0] * (1 - 1e-12)).mean())


def _choices(blocks: int, chosen: int, seed: str) -> Iterator[NDArray[np.bool_]]:
    """1,999 choices of `chosen` among `blocks`, shape (1,999, blocks), in parts that fit."""
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    chance = np.random.default_rng(start)
    most = max(1, _CELLS_MAX // blocks)
    for begun in range(0, DRAWS, most):
        draws = min(most, DRAWS - begun)
        order = chance.random((draws, blocks)).argpartition(chosen - 1, axis=1)
        picks = np.zeros((draws, blocks), np.bool_)
        np.put_along_axis(picks, order[:, :chosen], values=True, axis=1)
        yield picks


def _few_blocks(blocks: int, chosen: int, features: int) -> str:
    if chosen < BLOCKS_MIN:
        blocks_of = "1 block" if chosen == 1 else f"{chosen} blocks"
        return f"{blocks_of} in the window: too few to tell"
    if comb(blocks, chosen) < _WAYS_MIN * features:
        return f"{blocks} blocks can be exchanged in too few ways to tell"
    return ""
