"""Residuals of rows that resemble each other: one value a block, so that values are independent.

Ranks are as likely as each other only where the residuals are exchangeable. Rows of one day, or of
one group, that share their error are not, but their means are. A block is heard once: with the rows
that had settled when its first did.

There may be as many blocks as rows. None of either is kept as an object: 16 bytes a row that is
heard, and of a block 32 and the identity of its first row.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from math import fsum
from typing import Final, Literal

import numpy as np

from domain.drift.dependence import block_of
from domain.identities import Identities, RowDigests, row_digests
from domain.packed import Numbering, Texts
from domain.residuals.evidence import Ranked
from domain.residuals.frozen import Residual

Alike = Literal["day", "group"]
_OF_BLOCKS: Final = "blocks"  # where a set of identities has the model whose they are
_ROWS_AT_ONCE: Final = 8_192


def set_of_blocks() -> Identities:
    """A set of blocks, in 16 bytes each, that has none yet."""
    return Identities(_OF_BLOCKS)


class Hearing:
    """One value for each block of the rows that settled, less those whose block has entered.

    What iterating gives, once. `rows`, `values` and `blocks` say what of, when it is over.

    Args:
        settled: in the order in which they enter; read once, and not kept.
        alike: what the rows of a block share; None: each row stands for itself.
        before: the blocks that have entered, see `set_of_blocks`; None: no block has.
        keeps: is shown each row that is heard, in order.
    """

    def __init__(
        self,
        settled: Iterable[Residual],
        alike: Alike | None,
        *,
        before: Identities | None = None,
        keeps: Callable[[Residual], object] = lambda _: None,
    ) -> None:
        self.rows = 0  # of blocks that had not entered before
        self.values = 0  # one a block
        self.blocks = set_of_blocks()  # which they are of
        self._settled, self._alike, self._keeps = settled, alike, keeps
        self._before = set_of_blocks() if before is None else before

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
        heard, settled = _Heard(), iter(self._settled)
        while page := list(islice(settled, _ROWS_AT_ONCE)):
            names = (block_of(alike, row.event_time, row.group) for row in page)
            blocks = row_digests(_OF_BLOCKS, names)
            fresh = ~self._before.among_rows(blocks)
            rows = [row for row, is_fresh in zip(page, fresh.tolist(), strict=True) if is_fresh]
            for row in rows:
                self._hear(row)
            heard.add(rows, blocks[fresh])
        self.blocks.add_rows(heard.blocks)
        yield from heard.means()

    def _hear(self, row: Residual) -> None:
        self.rows += 1
        self._keeps(row)


class _Heard:
    """Rows that were heard: what is needed of them for one value a block."""

    def __init__(self) -> None:
        self._numbering = Numbering()
        self._first = Texts()  # the identity of the first row of each block
        self._of, self._residuals = array("q"), array("d")  # of each row: its block's number

    @property
    def blocks(self) -> RowDigests:
        """Which they are of, each once."""
        return self._numbering.keys

    def add(self, rows: Sequence[Residual], blocks: RowDigests) -> None:
        """Some rows more, and the block of each."""
        known = len(self.blocks)
        for row, number in zip(rows, self._numbering.of(blocks).tolist(), strict=True):
            if number == known:  # they come in the order of their numbers
                self._first.add(row.identity)
                known += 1
            self._of.append(number)
            self._residuals.append(row.residual)

    def means(self) -> Iterator[Ranked]:
        """One value a block, in the order of their coming."""
        of = np.frombuffer(self._of, np.int64)
        residuals = np.frombuffer(self._residuals)[np.argsort(of, kind="stable")]
        start = 0
        for identity, rows in zip(self._first, np.bincount(of), strict=True):
            yield _mean(identity, residuals[start : start + rows].tolist())
            start += int(rows)


def _mean(identity: str, residuals: Sequence[float]) -> Ranked:
    rows = len(residuals)
    return Ranked(identity, fsum(residuals) / rows, fsum(map(abs, residuals)) / rows)
