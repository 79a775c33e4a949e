"""Sums of trees, evaluated by numpy: the same bits for one row and for many.

Trees of at most 64 leaves are evaluated by masks, after QuickScorer (Lucchese et al., SIGIR 2015):
each value of a feature selects one row of masks (of 32 bits, where no tree has more leaves), the
masks of all features are ANDed, and the lowest bit left is the leaf. Larger trees are walked, level
by level.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.serving.features import Codes, Floats, Input, Many, NumberInput
from app.serving.plan_document import Tree, Trees

LEAVES_MASKED_MAX: Final = 64  # leaves of one tree that fit the bits of one mask
_LEAVES_NARROW_MAX: Final = 32  # that fit one of half as many bits, which takes half the memory
TABLE_BYTES_MAX: Final = 32 * 2**20  # of all masks of one plan; beyond it trees are walked
ROWS_AT_ONCE: Final = 1_024  # keeps the intermediate arrays within the processor's cache

Masks = NDArray[np.uint64]
NarrowMasks = NDArray[np.uint32]  # of trees that have at most 32 leaves, as most have
_EVERY_LEAF: Final = np.uint64(2**64 - 1)
_Split = tuple[int, float, np.uint64, bool]  # tree, threshold, mask when right, missing goes left


def may_be_masked(document: Trees, inputs: Sequence[Input]) -> bool:
    """Whether every tree fits a mask, and all masks together the bound on their bytes."""
    leaves = max(sum(column < 0 for column in tree.column) for tree in document.trees)
    if leaves > LEAVES_MASKED_MAX:
        return False
    thresholds: list[set[float | None]] = [set() for _ in range(sum(i.columns for i in inputs))]
    for tree in document.trees:
        for column, number in zip(tree.column, tree.number, strict=True):
            if column >= 0:
                thresholds[column].add(number)
    rows, start = 0, 0
    for each in inputs:
        rows += each.columns + 1
        if isinstance(each, NumberInput):
            rows += len(thresholds[start])
        start += each.columns
    return rows * len(document.trees) * 8 <= TABLE_BYTES_MAX


class MaskedTrees:
    """Trees of at most 64 leaves: a table of masks a feature, one AND a feature, one sum."""

    def __init__(self, document: Trees, inputs: Sequence[Input]) -> None:
        splits = _splits_by_column(document.trees, sum(each.columns for each in inputs))
        count = len(document.trees)
        values = [_leaf_values(tree) for tree in document.trees]
        narrow = max(map(len, values)) <= _LEAVES_NARROW_MAX
        kind = np.dtype(np.uint32 if narrow else np.uint64)
        self._one = kind.type(1)
        self._tables: list[tuple[list[float] | None, Floats, Masks | NarrowMasks]] = []
        start = 0
        for each in inputs:
            own = splits[start : start + each.columns]
            start += each.columns
            if isinstance(each, NumberInput):
                thresholds, table = _number_table(each, own, count)
                edges = np.array(thresholds, np.float64)
                self._tables.append((thresholds, edges, table.astype(kind, copy=False)))
            else:
                table = _category_table(own, count)
                self._tables.append((None, np.empty(0), table.astype(kind, copy=False)))
        sizes = np.array([len(each) for each in values])
        self._starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        self._leaves = np.concatenate(values)
        self._sum = _OrderedSum(document)

    def score(self, values: Sequence[float], missing: Sequence[bool]) -> float:
        """One row; see `Estimator.score`."""
        mask: Masks | NarrowMasks | None = None
        for (thresholds, _, table), value, gone in zip(self._tables, values, missing, strict=True):
            if thresholds is None:
                own = table[int(value)]
            else:
                own = table[-1 if gone else bisect_left(thresholds, value)]
            mask = own if mask is None else mask & own
        assert mask is not None  # noqa: S101 - a plan has at least one feature
        leaf = np.bitwise_count(~mask & (mask - self._one))
        return self._sum.one(self._leaves[self._starts + leaf])

    def score_many(self, columns: Sequence[Many], rows: int) -> Floats:
        """Many rows; see `Estimator.score_many`."""
        scores = np.empty(rows)
        cells = [self._cells(at, column) for at, column in enumerate(columns)]
        for start in range(0, rows, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            mask = self._tables[0][2].take(cells[0][part], axis=0)
            own = np.empty_like(mask)
            for (_, _, table), cell in zip(self._tables[1:], cells[1:], strict=True):
                table.take(cell[part], axis=0, out=own, mode="clip")  # no cell is outside
                mask &= own
            np.subtract(mask, self._one, out=own)
            own &= ~mask
            leaf = np.bitwise_count(own)
            scores[part] = self._sum.many(self._leaves[self._starts + leaf])
        return scores

    def _cells(self, at: int, column: Many) -> Codes:
        if not isinstance(column, tuple):
            return column
        values, missing = column
        _, thresholds, table = self._tables[at]
        return np.where(missing, len(table) - 1, np.searchsorted(thresholds, values, side="left"))


class WalkedTrees:
    """Trees of any size: one level down at a time, until every row stands on a leaf."""

    def __init__(self, document: Trees, inputs: Sequence[Input]) -> None:
        self._inputs = tuple(inputs)
        self._columns = sum(each.columns for each in inputs)
        sizes = [len(tree.column) for tree in document.trees]
        self._roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        nodes = sum(sizes)
        self._column = np.zeros(nodes, np.int64)
        self._number = np.empty(nodes)
        self._missing_left = np.zeros(nodes, np.bool_)
        self._child = np.empty((nodes, 2), np.int64)  # right, left: indexed by "goes left"
        for tree, root in zip(document.trees, self._roots.tolist(), strict=True):
            for node, column in enumerate(tree.column):
                place, number = root + node, tree.number[node]
                self._number[place] = np.inf if number is None else number
                if column < 0:  # a leaf leads to itself, so the others may go on
                    self._child[place] = place
                else:
                    self._column[place] = column
                    self._child[place] = (root + tree.right[node], place + 1)
            self._missing_left[[root + node for node in tree.missing_left]] = True
        self._native = bool(self._missing_left.any()) or any(
            isinstance(each, NumberInput) and each.filled is not None and np.isnan(each.filled)
            for each in inputs
        )
        self._depths = [_depth(tree) for tree in document.trees]
        self._sum = _OrderedSum(document)

    def score(self, values: Sequence[float], missing: Sequence[bool]) -> float:
        """One row; see `Estimator.score`."""
        columns: list[Many] = [
            (np.array([value]), np.array([gone]))
            if isinstance(each, NumberInput)
            else np.array([int(value)])
            for each, value, gone in zip(self._inputs, values, missing, strict=True)
        ]
        return float(self.score_many(columns, 1)[0])

    def score_many(self, columns: Sequence[Many], rows: int) -> Floats:
        """Many rows; see `Estimator.score_many`."""
        scores = np.empty(rows)
        matrix = self._matrix(columns, rows)
        for start in range(0, rows, ROWS_AT_ONCE):
            part = matrix[start : start + ROWS_AT_ONCE]
            scores[start : start + ROWS_AT_ONCE] = self._sum.many(self._number[self._leaves(part)])
        return scores

    def _leaves(self, part: Floats) -> Codes:
        """The leaf each row of `part` comes to in each tree, shape (rows, trees)."""
        rows, trees = len(part), len(self._roots)
        if rows < trees:  # few rows: all trees together, a level at a time
            roots = np.broadcast_to(self._roots, (rows, trees))
            return self._descend(part, np.arange(rows)[:, None], roots, max(self._depths))
        leaves = np.empty((trees, rows), np.int64)  # many rows: a tree at a time stays in the cache
        for tree, (root, depth) in enumerate(zip(self._roots, self._depths, strict=True)):
            leaves[tree] = self._descend(part, np.arange(rows), np.full(rows, root), depth)
        return leaves.T

    def _descend(self, part: Floats, row: Codes, node: Codes, depth: int) -> Codes:
        for _ in range(depth):
            value = part[row, self._column[node]]
            left = value <= self._number[node]
            if self._native:
                left |= np.isnan(value) & self._missing_left[node]
            node = self._child[node, left.view(np.int8)]
        return node

    def _matrix(self, columns: Sequence[Many], rows: int) -> Floats:
        matrix = np.zeros((rows, self._columns))
        start = 0
        for each, column in zip(self._inputs, columns, strict=True):
            if isinstance(column, tuple):
                matrix[:, start] = column[0]
                if each.columns > 1:
                    matrix[:, start + 1] = column[1]
            else:
                seen = np.flatnonzero(column < each.columns)
                matrix[seen, start + column[seen]] = 1.0
            start += each.columns
        return matrix


class _OrderedSum:
    """base + v0 + v1 + …, from left to right as scikit-learn adds; a mean divides at the end."""

    def __init__(self, document: Trees) -> None:
        self._base = document.base
        self._divisor = len(document.trees) if document.combine == "mean" else 1

    def one(self, values: Floats) -> float:
        """Of one row: the values of its trees, shape (trees,)."""
        total = self._base
        for value in values.tolist():
            total += value
        return total / self._divisor

    def many(self, values: Floats) -> Floats:
        """Of many rows, shape (rows, trees)."""
        total = np.full(len(values), self._base)
        for column in np.ascontiguousarray(values.T):
            total += column
        return total / self._divisor


def _splits_by_column(trees: Sequence[Tree], columns: int) -> list[list[_Split]]:
    """The splits on each column; a split's mask clears the leaves below its left child."""
    splits: list[list[_Split]] = [[] for _ in range(columns)]
    for place, tree in enumerate(trees):
        leaves_before = np.concatenate(([0], np.cumsum(np.array(tree.column) < 0))).tolist()
        left_when_missing = set(tree.missing_left)
        for node, column in enumerate(tree.column):
            if column < 0:
                continue
            first, end = leaves_before[node + 1], leaves_before[tree.right[node]]
            cleared = ((1 << (end - first)) - 1) << first
            number = tree.number[node]
            threshold = np.inf if number is None else number
            mask = np.uint64((2**64 - 1) & ~cleared)
            splits[column].append((place, threshold, mask, node in left_when_missing))
    return splits


def _number_table(
    each: NumberInput, own: Sequence[Sequence[_Split]], trees: int
) -> tuple[list[float], Masks]:
    """Thresholds in order, and the masks of the cells between them; the last row is "missing"."""
    thresholds = sorted({threshold for _, threshold, _, _ in own[0] if np.isfinite(threshold)})
    table = np.full((len(thresholds) + 2, trees), _EVERY_LEAF)
    cells = table[:-1]
    cell_of = {threshold: cell for cell, threshold in enumerate(thresholds, start=1)}
    for tree, threshold, mask, _ in own[0]:
        if threshold in cell_of:
            cells[cell_of[threshold], tree] &= mask  # right as soon as the value is above it
    np.bitwise_and.accumulate(cells, axis=0, out=cells)
    gone = table[-1]
    if each.filled is not None and np.isnan(each.filled):
        for tree, _, mask, missing_left in own[0]:
            if not missing_left:
                gone[tree] &= mask
    elif each.filled is not None:
        gone[:] = cells[bisect_left(thresholds, each.filled)]
    for indicator in own[1:]:
        _close(gone, indicator, 1.0)
        for cell in cells:
            _close(cell, indicator, 0.0)
    table.setflags(write=False)
    return thresholds, table


def _category_table(own: Sequence[Sequence[_Split]], trees: int) -> Masks:
    """The masks of each category; the last row is "never seen", all its columns zero."""
    table = np.full((len(own) + 1, trees), _EVERY_LEAF)
    for code, masks in enumerate(table):
        for column, splits in enumerate(own):
            _close(masks, splits, 1.0 if column == code else 0.0)
    table.setflags(write=False)
    return table


def _close(masks: Masks, splits: Sequence[_Split], value: float) -> None:
    for tree, threshold, mask, _ in splits:
        if value > threshold:
            masks[tree] &= mask


def _leaf_values(tree: Tree) -> Floats:
    pairs = zip(tree.column, tree.number, strict=True)
    return np.array([number for column, number in pairs if column < 0], np.float64)


def _depth(tree: Tree) -> int:
    """Steps from the root to the deepest leaf."""
    depths = [0] * len(tree.column)
    for node, column in enumerate(tree.column):
        if column >= 0:
            depths[node + 1] = depths[tree.right[node]] = depths[node] + 1
    return max(depths)
