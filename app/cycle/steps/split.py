"""Which labelled rows train and which are held out: the same answer whenever it is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.cycle.steps.knowledge import Knowledge
from app.cycle.steps.labelled_columns import LabelledColumns
from domain.decisions.holdout import Holdout, hold_out_until_share, hold_out_whole_groups
from domain.decisions.rule_numbers import FIRST, form


@dataclass(frozen=True, slots=True)
class Split:
    """The merged rows, split. Held out: rows that neither the champion nor the candidate saw."""

    training: LabelledColumns
    holdout: LabelledColumns
    drawn: Holdout  # whole groups within the latest drift window


def split_rows(known: Knowledge) -> Split:
    """Split the merged rows by the contract's holdout share.

    Eligible are rows of the latest drift window that the champion was not trained on; whole groups
    of them are drawn by hash. Rows of those groups in earlier periods stay in training, for both
    sides alike.
    """
    start, end = known.drift_window_start, known.started.as_of
    rows = known.trainable.rows
    in_window = rows.since(start) & ~rows.since(end)
    seen = known.champion_identities.among(rows.identities)
    eligible = in_window & ~seen
    groups = groups_of(known, rows.only(eligible))
    share = known.contract.holdout.share
    if form(known.started, "holdout") == FIRST:
        drawn = hold_out_until_share(
            groups,
            contract_digest=known.started.contract_digest,
            as_of=known.started.as_of,
            share=share,
        )
    else:
        drawn = hold_out_whole_groups(
            groups,
            trained=set(groups_of(known, rows.only(in_window & seen))),
            model=known.started.model,
            window=(start, end),
            share=share,
        )
    held = np.zeros(len(rows), np.bool_)
    held[np.flatnonzero(eligible)[np.array(drawn.mask, np.bool_)]] = True
    return Split(training=rows.only(~held), holdout=rows.only(held), drawn=drawn)


def groups_of(known: Knowledge, rows: LabelledColumns) -> list[str]:
    """The group that each row is held out with."""
    return list(map(str, rows.column(known.contract.group)))
