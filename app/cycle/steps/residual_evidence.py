"""drift, its second half: has the champion's error grown, and what do its residuals come to?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from app.cycle.reigns import Reign, frozen_residuals, reign_at, residuals_of, served_rows
from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.residuals import (
    counted_cycles,
    error_increase,
    frozen_artefact,
    log_scale,
    refit_comparison,
    residual,
)
from app.ledger.store import Artefact, Connection
from app.projections.cycles import CycleView
from app.projections.labels import first_labels
from app.projections.predictions import PredictedRow
from domain.decisions.rule_numbers import FIRST, form, form_in
from domain.events.cycle_events import CycleStarted, DriftMeasured
from domain.events.residual_findings import ResidualEvidence
from domain.residuals.blocks import Alike, Heard, heard
from domain.residuals.evidence import EVIDENCE_HOLDOUT_ROWS_MIN, Evidence, advance, begun, fact
from domain.residuals.front import Served, settle
from domain.residuals.frozen import Residual
from domain.times import days_between, format_time, parse_time
from rules.facts import Facts


def with_residuals(work: Work, done: Done) -> Done:
    """What the drift step leaves, with what the champion's residuals said."""
    known = work.known
    if not isinstance(done.event, DriftMeasured):
        return done
    with known.ledger.connect() as connection:
        reign = reign_at(connection, known.started.model, before=known.cutoff)
        judged = known.started.champion  # another than who serves, where a cycle is set aside
        if reign is None or reign.champion.model_version != judged:
            return done
        evidence, artefacts = _evidence(known, connection, reign)
        measured = replace(
            done.event,
            error_increase=error_increase(known, connection, reign),
            residual_evidence=evidence,
            residuals_sha256=artefacts[0].sha256 if artefacts else None,
            refit_comparison=refit_comparison(known, connection, reign),
        )
    return Done(event=measured, artefacts=(*done.artefacts, *artefacts))


def residual_facts(measured: DriftMeasured | None) -> Facts:
    """The facts a policy may look at that come of residuals; None: unknown."""
    increase = measured.error_increase if measured else None
    evidence = measured.residual_evidence if measured else None
    return {
        "error_ratio": increase.error_ratio if increase else None,
        "error_increase_p": increase.error_increase_p if increase else None,
        "residual_evidence": (fact(_log(evidence.log_days)) if evidence is not None else None),
    }


def _evidence(
    known: Knowledge, connection: Connection, reign: Reign
) -> tuple[ResidualEvidence, tuple[Artefact, ...]]:
    before, cycles = counted_cycles(known, connection, reign)
    alike, group = _alike(known, reign)
    frozen = heard(frozen_residuals(connection, reign.champion) or (), alike)
    so_far = _so_far(connection, before, cycles, frozen, alike)
    served = _served(known, connection, reign, group)
    settled = settle(
        served,
        entered=so_far.identities,
        front=so_far.front,
        overdue_before=format_time(
            parse_time(known.started.as_of)
            - timedelta(days=known.contract.health.labels_within_days)
        ),
    )
    new = heard(
        (
            Residual(row.identity, row.group, row.event_time, row.residual)
            for row in settled.entered
            if row.residual is not None
        ),
        alike,
        before=so_far.blocks,
    )
    days = max(0.0, days_between(so_far.last, known.started.as_of))
    state = advance(
        so_far.evidence, new.values, model_version=reign.champion.model_version, days=days
    )
    return (
        ResidualEvidence(
            log_days=_finite(state.log_days),
            log_wealth=tuple(map(_finite, state.log_wealth)),
            days=days,
            memory=len(state.signed),
            holdout_rows=len(frozen.values),
            entered=len(new.values),
            skipped=settled.skipped + len(settled.entered) - len(new.rows),
            corrected=_corrected(known, so_far.identities | new.identities),
            waiting=sum(
                (settled.front is None or r.event_time > settled.front)
                and r.identity not in so_far.identities
                for r in served
            ),
            front=settled.front,
            note=_blind(len(frozen.values), alike),
        ),
        (frozen_artefact(new.rows),) if new.rows else (),
    )


def _alike(known: Knowledge, reign: Reign) -> tuple[Alike | None, str]:
    """Which of the reign's rows enter as one value, and the column that names their groups.

    It is for the contract that the champion was trained under to say: within a reign it stays.
    """
    contract = known.trained_under(reign.champion)
    if form(known.started, "evidence") == FIRST or contract.blocks in {None, "serial"}:
        return None, known.contract.group
    return "day" if contract.blocks == "day" else "group", contract.group


@dataclass(frozen=True, slots=True, kw_only=True)
class _SoFar:
    """What the reign has gathered before this cycle."""

    evidence: Evidence
    front: str | None
    last: str  # `as_of` that the next stake is counted from
    identities: frozenset[str]  # of the rows that have entered
    blocks: frozenset[str]  # that have entered, the promotion holdout's among them


def _so_far(
    connection: Connection,
    before: CycleView,
    cycles: Sequence[CycleView],
    frozen: Heard,
    alike: Alike | None,
) -> _SoFar:
    """`before` is the cycle that the reign began after, `cycles` are those since.

    What a cycle won by taking alike rows one by one, under an earlier form of this rule, is left.
    """
    values, blocks = list(frozen.values), frozen.blocks
    identities: frozenset[str] = frozenset()
    nothing = begun(()).log_wealth
    wealth, front, last = nothing, None, before.as_of
    for view in cycles:
        measured = view.state.get(DriftMeasured.type) or {}
        found = measured.get("residual_evidence")
        if found is not None:
            rows = residuals_of(connection, measured["residuals_sha256"]) or ()
            new = heard(rows, alike, before=blocks)
            values += new.values
            blocks |= new.blocks
            identities |= frozenset(row.identity for row in rows)
            rules = view.state[CycleStarted.type]["rules"]
            won = alike is None or form_in(rules, "evidence") > FIRST
            wealth = tuple(map(_log, found["log_wealth"])) if won else nothing
            front, last = found["front"], view.as_of
        if view.training_completed:  # and it promoted nobody, or this reign were over
            wealth, last = nothing, view.as_of
    return _SoFar(
        evidence=replace(begun(values), log_wealth=wealth),
        front=front,
        last=last,
        identities=identities,
        blocks=blocks,
    )


def _served(known: Knowledge, connection: Connection, reign: Reign, group: str) -> list[Served]:
    labels = first_labels(connection, reign.model, up_to=known.cutoff)
    log = log_scale(known, reign)
    rows: Sequence[PredictedRow] = served_rows(
        connection, reign, until=known.started.as_of, up_to=known.cutoff
    )
    return [
        Served(
            row.identity,
            str(row.row.get(group)),
            row.event_time,
            residual(log, labels[row.identity], row.prediction) if row.identity in labels else None,
        )
        for row in rows
    ]


def _corrected(known: Knowledge, entered: Iterable[str]) -> int:
    again = {row.identity for row in known.labelled if row.labels > 1}
    return len(again.intersection(entered))


def _blind(frozen: int, alike: Alike | None) -> str:
    if frozen >= EVIDENCE_HOLDOUT_ROWS_MIN:
        return ""
    what = f"{alike}s of holdout residuals" if alike else "holdout residuals"
    return (
        f"cannot see a change present at promotion: {frozen} {what} were frozen then, and "
        f"{EVIDENCE_HOLDOUT_ROWS_MIN} are needed"
    )


def _finite(log: float) -> float | None:
    return log if math.isfinite(log) else None


def _log(recorded: float | None) -> float:
    return -math.inf if recorded is None else recorded
