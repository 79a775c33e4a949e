"""Residuals of the champion: what one is, whether the error grew, and how a refit compares."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from app.cycle.reigns import Reign, cycles_of, frozen_residuals, held_out, refitted
from app.cycle.steps.knowledge import Knowledge
from app.ledger.store import Artefact, Connection
from app.projections.cycles import CycleView
from app.projections.cycles_that_count import set_aside
from app.serving.plan import load_plan
from domain.canonical import canonical_bytes, sha256_hex
from domain.decisions.refit_comparison import compare_refit
from domain.errors import PredictionsUnusable, RequestInvalid
from domain.events.cycle_events import DriftMeasured
from domain.events.residual_findings import ErrorIncrease, RefitComparison
from domain.residuals.error_increase import measure_increase
from domain.residuals.frozen import Residual, to_document

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
    rows = [
        row
        for row in known.window.rows
        if row.identity in known.labels and row.identity not in known.champion_identities
    ]
    if not rows or any(each.get("refit_comparison") for each in measured):
        return None
    log, group = log_scale(known, reign), known.contract.group
    gated = load_plan(known.ledger.artefact(refit["gated_plan_sha256"]))
    try:
        again = gated.predict_rows([row.row for row in rows]).native.tolist()
    except (RequestInvalid, PredictionsUnusable) as unusable:
        note = f"the gated plan cannot score those rows: {unusable.message}"
        return replace(compare_refit([], [], []), note=note)
    labels = [known.labels[row.identity] for row in rows]
    return compare_refit(
        [residual(log, label, row.prediction) for label, row in zip(labels, rows, strict=True)],
        [residual(log, label, native) for label, native in zip(labels, again, strict=True)],
        [str(row.row.get(group)) for row in rows],
    )


def frozen_artefact(residuals: Iterable[Residual]) -> Artefact:
    """The residuals as they are kept."""
    content = canonical_bytes(to_document(residuals))
    return Artefact(sha256_hex(content), ARTEFACT_KIND, content)


def residual(log: bool, label: float, predicted: float) -> float | None:
    """Label less prediction (target's unit) on the plan's scale; None: one has no logarithm."""
    if not log:
        return label - predicted
    return math.log(label) - math.log(predicted) if label > 0 and predicted > 0 else None


def error_increase(known: Knowledge, connection: Connection, reign: Reign) -> ErrorIncrease:
    """The labelled rows of the window, each by its label in force, against the holdout."""
    champion = reign.champion
    seen = known.champion_identities | held_out(connection, champion)
    # By the group of the holdout's residuals, which were frozen under the champion's contract.
    log, group = log_scale(known, reign), known.trained_under(champion).group
    window = [
        Residual(row.identity, str(row.row.get(group)), row.event_time, apart)
        for row in known.window.rows
        if row.identity in known.labels and row.identity not in seen
        for apart in [residual(log, known.labels[row.identity], row.prediction)]
        if apart is not None
    ]
    return measure_increase(
        window,
        frozen_residuals(connection, champion) or (),
        reference_sha256=champion.reference_sha256,
        cycle=known.started.cycle,
    )


def counted_cycles(
    known: Knowledge, connection: Connection, reign: Reign
) -> tuple[CycleView, list[CycleView]]:
    """The cycle that the reign began after, and those since that none has set aside."""
    before, *cycles = cycles_of(connection, reign, before=known.cutoff)
    aside = set_aside(connection, reign.model, before_number=known.started.number)
    aside |= frozenset(known.started.sets_aside)
    return before, [view for view in cycles if view.cycle not in aside]


def log_scale(known: Knowledge, reign: Reign) -> bool:
    """Whether the reign's plan predicts logarithms."""
    return known.plan(reign.champion.plan_sha256).logarithmic
