"""The holdout: whole groups of rows, drawn by a hash, that judge candidate and champion alike.

Nobody chooses them and no random generator does: model, window and group name decide, so a resumed
cycle draws the same rows, and so does whoever tries again. Near copies of one row share a group and
never stand on both sides within the window.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from domain.events.verdicts import told_apart

_BEYOND_SHARE_MAX: Final = 1.5  # times the share: how far one group may carry the holdout


@dataclass(frozen=True, slots=True)
class Holdout:
    """What was drawn."""

    groups: tuple[str, ...]  # in the order drawn
    mask: tuple[bool, ...]  # per row, in the order given: is it held out?
    share: float | None = None  # held out of the rows that could be; None: none could, or not said
    nothing_fits: str = ""  # why no group was drawn, with the remedy; empty when one was


def hold_out_whole_groups(
    groups: Sequence[str],
    *,
    trained: Collection[str],
    model: str,
    window: tuple[str, str],
    share: float,
) -> Holdout:
    """Draw whole groups up to about `share` (0..1) of the rows that may judge.

    Args:
        groups: the group of each labelled row of the latest drift window that the champion was not
            trained on.
        trained: the groups with other rows in that window, which train: none of them is drawn.
        model: its name.
        window: start and end of the window; of both the day counts, so that trying again within it
            draws the same.
        share: of the rows whose group may be drawn.

    Groups come in the order of SHA-256("<model>/<first day>/<last day>/<group>"). One that would
    pass the share by more than half of it is skipped, and one group at least is left to train.
    """
    rows_of = Counter(group for group in groups if group not in trained)
    rows = sum(rows_of.values())
    if len(rows_of) < 2:  # noqa: PLR2004 one judges, another trains
        return Holdout((), (False,) * len(groups), None, _too_few_groups(rows_of, len(groups)))
    drawn: list[str] = []
    held = 0
    for group in sorted(rows_of, key=lambda name: _draw(model, *(t[:10] for t in window), name)):
        if held >= share * rows or len(drawn) == len(rows_of) - 1:
            break
        if held + rows_of[group] <= _BEYOND_SHARE_MAX * share * rows:
            drawn.append(group)
            held += rows_of[group]
    chosen = frozenset(drawn)
    return Holdout(
        tuple(drawn),
        tuple(group in chosen for group in groups),
        held / rows,
        "" if drawn else _all_too_large(rows_of, rows, share),
    )


def hold_out_until_share(
    groups: Sequence[str], *, contract_digest: str, as_of: str, share: float
) -> Holdout:
    """The first form of rule `holdout`: until at least `share` (0..1) of the rows is held out.

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


def _draw(*of: str) -> bytes:
    return hashlib.sha256("/".join(of).encode()).digest()


def _too_few_groups(rows_of: Counter[str], rows: int) -> str:
    if rows == 0:
        return ""  # no rows at all, which the gate says itself
    if not rows_of:
        return (
            f"not enough groups: each of the {rows:,} rows that could judge has its group in the "
            "champion's training data. Production stays; wait for rows of other groups."
        )
    ((group, held),) = rows_of.items()
    return (
        f"not enough groups: all {held:,} rows that could judge are of group {group!r}, and one "
        "group cannot both judge and train. Production stays; wait for rows of other groups, or "
        "name a finer group in the contract."
    )


def _all_too_large(rows_of: Counter[str], rows: int, share: float) -> str:
    smallest = min(rows_of.values())
    _, most = told_apart(smallest, _BEYOND_SHARE_MAX * share * rows)
    return (
        f"no group fits the holdout: the smallest of {len(rows_of)} has {smallest:,} of {rows:,} "
        f"rows, and {most} are the most for a share of {share:.15g}. "
        "Production stays; raise holdout.share, or name a finer group in the contract."
    )
