"""Which labelled rows train and which are held out: the same answer whenever it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from app.cycle.steps.knowledge import Knowledge
from app.projections.labels import LabelledRow
from domain.decisions.holdout import Holdout, hold_out_until_share, hold_out_whole_groups
from domain.decisions.rule_numbers import FIRST, form


@dataclass(frozen=True, slots=True)
class Split:
    """The merged rows, split. Held out: rows that neither the champion nor the candidate saw."""

    training: tuple[LabelledRow, ...]
    holdout: tuple[LabelledRow, ...]
    drawn: Holdout  # whole groups within the latest drift window


def split_rows(known: Knowledge) -> Split:
    """Split the merged rows by the contract's holdout share.

    Eligible are rows of the latest drift window that the champion was not trained on; whole groups
    of them are drawn by hash. Rows of those groups in earlier periods stay in training, for both
    sides alike.
    """
    start, end = known.drift_window_start, known.started.as_of
    rows = known.trainable.rows
    in_window = [row for row in rows if start <= row.event_time < end]
    eligible = [row for row in in_window if row.identity not in known.champion_identities]
    groups = [group_of(known, row) for row in eligible]
    share = known.contract.holdout.share
    if form(known.started, "holdout") == FIRST:
        drawn = hold_out_until_share(
            groups,
            contract_digest=known.started.contract_digest,
            as_of=known.started.as_of,
            share=share,
        )
    else:
        trained = {
            group_of(known, row) for row in in_window if row.identity in known.champion_identities
        }
        drawn = hold_out_whole_groups(
            groups, trained=trained, model=known.started.model, window=(start, end), share=share
        )
    held = {row.identity for row, taken in zip(eligible, drawn.mask, strict=True) if taken}
    return Split(
        training=tuple(row for row in rows if row.identity not in held),
        holdout=tuple(row for row in rows if row.identity in held),
        drawn=drawn,
    )


def group_of(known: Knowledge, row: LabelledRow) -> str:
    """The group the row is held out with."""
    return str(row.row.get(known.contract.group))
