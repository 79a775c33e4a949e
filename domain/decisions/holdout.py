"""The holdout: whole groups of rows, drawn by a hash, that judge candidate and champion alike.

Nobody chooses them and no random generator does: contract, `as_of` and group name decide, so a
resumed cycle draws the same rows. Near copies of one row share a group and never stand on both
sides within the window.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holdout:
    """What was drawn."""

    groups: tuple[str, ...]  # in the order drawn
    mask: tuple[bool, ...]  # per eligible row, in the order given: is it held out?


def hold_out(groups: Sequence[str], *, contract_digest: str, as_of: str, share: float) -> Holdout:
    """Draw whole groups until at least `share` (0..1) of the rows is held out.

    Args:
        groups: the group of each eligible row, that is: labelled, in the latest drift window, in
            neither side's training data.
        contract_digest: 64 hex digits.
        as_of: the cycle's, UTC with six decimals.
        share: of the eligible rows.

    Groups come in the order of SHA-256("<contract_digest>/<as_of>/<group>").
    """
    rows_of = Counter(groups)
    drawn: list[str] = []
    rows = 0
    for group in sorted(rows_of, key=lambda name: _draw(contract_digest, as_of, name)):
        if rows >= share * len(groups):
            break
        drawn.append(group)
        rows += rows_of[group]
    held = frozenset(drawn)
    return Holdout(tuple(drawn), tuple(group in held for group in groups))


def _draw(contract_digest: str, as_of: str, group: str) -> bytes:
    return hashlib.sha256(f"{contract_digest}/{as_of}/{group}".encode()).digest()
