"""Rows that depend on each other: what is frozen of them, and what a window of them is worth.

A contract says what depends, because no test can know. Then evidence of drift comes of exchanging
blocks or runs, and each row's bin is frozen in the order of event time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from domain.drift.bins import FeatureReference, NumberReference, numbers_in
from domain.drift.blocks import Bins, Dependent, exchange_blocks, exchange_runs
from domain.errors import NotMeasurable
from domain.packed import Value, Whole, pack

Blocks = Literal["day", "group", "serial"]


@dataclass(frozen=True, slots=True)
class Depending:
    """Rows in order of event time, and what of them depends on each other."""

    kind: Blocks
    blocks: Sequence[str]  # of each row, as `block_of` names it


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """The reference's rows in order of event time, as later windows are exchanged with them."""

    kind: Blocks
    bins: tuple[Bins, ...]  # of each feature: the bin of each row
    blocks: tuple[int, ...]  # of each row: the number of its block; empty for serial

    def to_document(self) -> dict[str, Any]:
        """A JSON object."""
        bins = [rows.tolist() for rows in self.bins]
        return {"kind": self.kind, "bins": bins, "blocks": list(self.blocks)}


def block_of(kind: Blocks, event_time: str, group: Value) -> str:
    """What a row is exchanged with: its UTC date, its group, or (serial) no block.

    >>> block_of("day", "1976-07-01T23:59:00.000000Z", "a"), block_of("group", "…", None)
    ('1976-07-01', 'None')
    """
    if kind == "serial":
        return ""
    return event_time.partition("T")[0] if kind == "day" else str(group)


def freeze_dependence(
    features: Sequence[FeatureReference],
    columns: Sequence[Sequence[Value]],
    depending: Depending,
) -> Dependence:
    """The dependence of a reference whose features are frozen from these columns.

    Raises:
        NotMeasurable: the columns have another number of rows than there are blocks.
    """
    rows = len(depending.blocks)
    if any(len(column) != rows for column in columns):
        raise NotMeasurable(f"{rows} rows have a block, not every row; give one for each.")
    bins = tuple(
        bins_of(feature, column, own=True)
        for feature, column in zip(features, columns, strict=True)
    )
    number_of = {block: at for at, block in enumerate(dict.fromkeys(depending.blocks))}
    blocks = (number_of[block] for block in depending.blocks)
    return Dependence(depending.kind, bins, () if depending.kind == "serial" else tuple(blocks))


def dependence_from_document(
    document: Mapping[str, Any], features: Sequence[FeatureReference]
) -> Dependence:
    """The dependence from the JSON object that `Dependence.to_document` made.

    Raises:
        KeyError, TypeError, ValueError: it is none, or its bins do not fit the features' counts.
    """
    kind: Blocks = document["kind"]
    if kind not in get_args(Blocks):
        raise ValueError(f"its rows depend by {kind!r}")
    bins = tuple(np.array(rows, np.int64) for rows in document["bins"])
    blocks = tuple(int(block) for block in document["blocks"])
    for feature, rows in zip(features, bins, strict=True):
        counts = np.bincount(rows, minlength=len(feature.counts)).tolist()
        if tuple(counts) != feature.counts:
            raise ValueError(f"the bins of its rows do not make the counts of {feature.name!r}")
        if len(blocks) != (0 if kind == "serial" else len(rows)):
            raise ValueError(f"{len(rows)} rows have {len(blocks)} blocks")
    return Dependence(kind, bins, blocks)


def exchange(
    frozen: Dependence, window: Sequence[Bins], blocks: Sequence[str] | Whole, *, seed: str
) -> Dependent:
    """What the window's rows, in order of event time, come to by the exchange that fits them.

    Args:
        frozen: of the reference.
        window: each feature's bin of each row.
        blocks: the block of each row, as `block_of` names it, or its number; unused where rows are
            serial.
        seed: begins the draws of blocks; unused where rows are serial.

    Raises:
        NotMeasurable: a row has no block.
    """
    if frozen.kind == "serial":
        return exchange_runs(frozen.bins, window)
    if len(blocks) != len(window[0]):
        raise NotMeasurable(f"{len(blocks)} blocks for {len(window[0])} rows; give one for each.")
    of_reference = np.array(frozen.blocks, np.int64)
    return exchange_blocks(frozen.bins, window, of_reference, blocks, seed=seed)


def bins_of(feature: FeatureReference, column: Iterable[Value], *, own: bool = False) -> Bins:
    """The bin of each row, whose counts are those of `feature.count`.

    `own`: the column is the one that the feature was frozen from, so that a level seen once stands
    in the bin for new ones.
    """
    new, packed = feature.value_bins, pack(column)
    if isinstance(feature, NumberReference):
        values = numbers_in(feature.name, packed)
        placed = np.searchsorted(feature.edges, values, side="left")
        return np.where(np.isnan(values), new, placed)
    at: dict[Value, int] = {level: number for number, level in enumerate(feature.levels)}
    at |= dict.fromkeys(feature.pooled, len(feature.levels))
    if own and feature.pooled_counts is not None:
        pairs = zip(feature.pooled, feature.pooled_counts, strict=True)
        at |= dict.fromkeys((level for level, rows in pairs if rows == 1), new)
    at[None] = new + 1
    return packed.each(lambda value: at.get(value, new))
