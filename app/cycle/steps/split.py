"""Which labelled rows train and which are held out: the same answer whenever it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from app.cycle.steps.knowledge import Knowledge
from app.projections.labels import LabelledRow
from domain.decisions.holdout import hold_out


@dataclass(frozen=True, slots=True)
class Split:
    """The merged rows, split. Held out: rows that neither the champion nor the candidate saw."""

    training: tuple[LabelledRow, ...]
    holdout: tuple[LabelledRow, ...]
    groups: tuple[str, ...]  # held out whole within the latest drift window


def split_rows(known: Knowledge) -> Split:
    """Split the merged rows by the contract's holdout share.

    Eligible are rows of the latest drift window that the champion was not trained on; whole groups
    of them are drawn by hash. Rows of those groups in earlier periods stay in training, for both
    sides alike.
    """
    start, end = known.drift_window_start, known.started.as_of
    eligible = [
        row
        for row in known.pool
        if start <= row.event_time < end and row.identity not in known.champion_identities
    ]
    drawn = hold_out(
        [str(row.row.get(known.contract.group)) for row in eligible],
        contract_digest=known.started.contract_digest,
        as_of=known.started.as_of,
        share=known.contract.holdout.share,
    )
    held = {row.identity for row, taken in zip(eligible, drawn.mask, strict=True) if taken}
    return Split(
        training=tuple(row for row in known.pool if row.identity not in held),
        holdout=tuple(row for row in known.pool if row.identity in held),
        groups=drawn.groups,
    )
