"""Residuals of rows that resemble each other: one value a block, so that values are independent.

Ranks are as likely as each other only where the residuals are exchangeable. Rows of one day, or of
one group, that share their error are not, but their means are. A block is heard once: with the rows
that had settled when its first did.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from math import fsum
from typing import Literal

from domain.drift.dependence import block_of
from domain.residuals.evidence import Ranked
from domain.residuals.frozen import Residual

Alike = Literal["day", "group"]


class Hearing:
    """One value for each block of the rows that settled, less those whose block has entered.

    What iterating gives, once. `rows`, `values` and `blocks` say what of, when it is over.

    Args:
        settled: in the order in which they enter; read once, and not kept.
        alike: what the rows of a block share; None: each row stands for itself.
        before: the blocks that have entered.
        keeps: is shown each row that is heard, in order.
    """

    def __init__(
        self,
        settled: Iterable[Residual],
        alike: Alike | None,
        *,
        before: frozenset[str] = frozenset(),
        keeps: Callable[[Residual], object] = lambda _: None,
    ) -> None:
        self.rows = 0  # of blocks that had not entered before
        self.values = 0  # one a block
        self.blocks: frozenset[str] = frozenset()  # which they are of
        self._settled, self._alike, self._before, self._keeps = settled, alike, before, keeps

    def __iter__(self) -> Iterator[Ranked]:
        """In the order of the blocks' first rows."""
        heard = self._each() if self._alike is None else self._blocks(self._alike)
        for value in heard:
            self.values += 1
            yield value

    def _each(self) -> Iterator[Ranked]:
        for row in self._settled:
            self._hear(row)
            yield Ranked.of_row(row.identity, row.residual)

    def _blocks(self, alike: Alike) -> Iterator[Ranked]:
        of_block: dict[str, tuple[str, array[float]]] = {}  # the first row's identity, residuals
        for row in self._settled:
            block = block_of(alike, row.event_time, row.group)
            if block in self._before:
                continue
            self._hear(row)
            if block not in of_block:
                of_block[block] = row.identity, array("d")
            of_block[block][1].append(row.residual)
        self.blocks = frozenset(of_block)
        for identity, residuals in of_block.values():
            yield _mean(identity, residuals)

    def _hear(self, row: Residual) -> None:
        self.rows += 1
        self._keeps(row)


def _mean(identity: str, residuals: array[float]) -> Ranked:
    rows = len(residuals)
    return Ranked(identity, fsum(residuals) / rows, fsum(map(abs, residuals)) / rows)
