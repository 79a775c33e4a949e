"""Residuals of the champion: what one is, whether the error grew, and how a refit compares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Final

import numpy as np
from msgspec.structs import replace

from app.cycle.reigns import (
    Reign,
    cycles_of,
    frozen_residuals,
    held_out,
    refitted,
)
from app.cycle.steps.knowledge import Knowledge
from app.ledger.store import Artefact, Connection
from app.projections.cycles import CycleView
from app.projections.cycles_that_count import set_aside
from domain.canonical import sha256_hex
from domain.decisions.refit_comparison import compare_refit
from domain.errors import PredictionsUnusable, RequestInvalid
from domain.events.cycle_events import DriftMeasured
from domain.events.residual_findings import ErrorIncrease, RefitComparison
from domain.packed import Floats, one_by_one
from domain.residuals.error_increase import Errors, measure_increase
from domain.residuals.frozen import HEAD, TAIL, Residual, row_bytes

# It names rows, and the database lets an erasure remove what is kept as that.
ARTEFACT_KIND: Final = "identities"


def refit_comparison(
    known: Knowledge, connection: Connection, reign: Reign
) -> RefitComparison | None:
    """Which plan did better on the reign's first window with labels: the gated or the refitted one.

    None where no refit serves, and in every window after that one.
    """
    refit = refitted(connection, reign.champion)
    if refit is None:
        return None
    _, cycles = counted_cycles(known, connection, reign)
    measured = (view.state.get(DriftMeasured.type) or {} for view in cycles)
    if any(each.get("refit_comparison") for each in measured):
        return None
    labelled = known.window_labelled
    rows = labelled.without(known.champion_identities)
    if not len(rows):
        return None
    log, group = log_scale(known, reign), known.contract.group
    gated = known.plan(refit["gated_plan_sha256"])
    try:
        again = gated.predict_columns(
            known.columns(rows.window, gated.feature_names), len(rows)
        ).native
    except (RequestInvalid, PredictionsUnusable) as unusable:
        note = f"the gated plan cannot score those rows: {unusable.message}"
        return replace(compare_refit([], [], []), note=note)
    return compare_refit(
        residuals(log, rows.labels, rows.window.predictions),
        residuals(log, rows.labels, again),
        known.groups(rows.window, group),
    )


class Freezing:
    """Residuals become what is kept of them, as they come."""

    def __init__(self) -> None:
        self.rows = 0
        self._content = BytesIO()
        self._content.write(HEAD)

    def add(self, row: Residual) -> None:
        """One row more."""
        self._content.write(b"," + row_bytes(row) if self.rows else row_bytes(row))
        self.rows += 1

    def artefact(self) -> Artefact:
        """All of them; nothing is added any more."""
        self._content.write(TAIL)
        content = self._content.getvalue()
        return Artefact(sha256_hex(content), ARTEFACT_KIND, content)


def frozen_artefact(residuals: Iterable[Residual]) -> Artefact:
    """The residuals as they are kept."""
    freezing = Freezing()
    for each in residuals:
        freezing.add(each)
    return freezing.artefact()


def residual(log: bool, label: float, predicted: float) -> float | None:
    """Label less prediction (target's unit) on the plan's scale; None: one has no logarithm."""
    if not log:
        return label - predicted
    return math.log(label) - math.log(predicted) if label > 0 and predicted > 0 else None


def residuals(log: bool, labels: Floats, predicted: Floats) -> Floats:
    """Of each row; NaN where one has none: it has no label, or no logarithm."""
    if not log:
        return labels - predicted
    pairs = zip(one_by_one(labels), one_by_one(predicted), strict=True)
    found = (residual(log, label, made) for label, made in pairs)
    return np.fromiter((np.nan if one is None else one for one in found), np.float64, len(labels))


def error_increase(known: Knowledge, connection: Connection, reign: Reign) -> ErrorIncrease:
    """The labelled rows of the window, each by its label in force, against the holdout."""
    champion, labelled = reign.champion, known.window_labelled
    seen = known.champion_identities | held_out(connection, champion)
    rows = labelled.without(seen)
    apart = residuals(log_scale(known, reign), rows.labels, rows.window.predictions)
    there = ~np.isnan(apart)
    # By the group of the holdout's residuals, which were frozen under the champion's contract.
    group = known.trained_under(champion).group
    return measure_increase(
        Errors(apart[there], known.groups(rows.only(there).window, group)),
        Errors.of(frozen_residuals(connection, champion) or ()),
        reference_sha256=champion.reference_sha256,
        cycle=known.started.cycle,
    )


def counted_cycles(
    known: Knowledge, connection: Connection, reign: Reign
) -> tuple[CycleView, Iterator[CycleView]]:
    """The cycle that the reign began after, and those since that none has set aside; read once."""
    cycles = cycles_of(connection, reign, before=known.cutoff)
    before = next(cycles)
    aside = set_aside(connection, reign.model, before_number=known.started.number)
    aside |= frozenset(known.started.sets_aside)
    return before, (view for view in cycles if view.cycle not in aside)


def log_scale(known: Knowledge, reign: Reign) -> bool:
    """Whether the reign's plan predicts logarithms."""
    return known.plan(reign.champion.plan_sha256).logarithmic
