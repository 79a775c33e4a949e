"""Residuals of rows that resemble each other: one value a block, so that values are independent.

Ranks are as likely as each other only where the residuals are exchangeable. Rows of one day, or of
one group, that share their error are not, but their means are. A block is heard once: with the rows
that had settled when its first did.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum
from typing import Literal

from domain.drift.dependence import block_of
from domain.residuals.evidence import Ranked
from domain.residuals.frozen import Residual

Alike = Literal["day", "group"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What entered at one time."""

    rows: tuple[Residual, ...]  # those of blocks that had not entered before, in their order
    values: tuple[Ranked, ...]  # one a block, in the order of their first rows
    blocks: frozenset[str]  # which they are of

    @property
    def identities(self) -> frozenset[str]:
        """Of the rows."""
        return frozenset(row.identity for row in self.rows)


def heard(
    settled: Iterable[Residual],
    alike: Alike | None,
    *,
    before: frozenset[str] = frozenset(),
) -> Heard:
    """One value for each block of the rows that settled, less those whose block has entered.

    Args:
        settled: in the order in which they enter.
        alike: what the rows of a block share; None: each row stands for itself.
        before: the blocks that have entered.
    """
    rows = tuple(settled)
    if alike is None:
        values = (Ranked.of_row(row.identity, row.residual) for row in rows)
        return Heard(rows, tuple(values), frozenset())
    named = [(block_of(alike, row.event_time, row.group), row) for row in rows]
    of_block: dict[str, list[Residual]] = {}
    for block, row in named:
        if block not in before:
            of_block.setdefault(block, []).append(row)
    return Heard(
        tuple(row for block, row in named if block in of_block),
        tuple(_mean(block) for block in of_block.values()),
        frozenset(of_block),
    )


def _mean(block: list[Residual]) -> Ranked:
    return Ranked(
        block[0].identity,
        fsum(row.residual for row in block) / len(block),
        fsum(abs(row.residual) for row in block) / len(block),
    )
