"""drift, its second half: has the champion's error grown, and what do its residuals come to?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from msgspec import structs

from app.cycle.reigns import Reign, frozen_residuals, reign_at, residuals_of
from app.cycle.steps.entering_rows import EnteredRows, ServedInReign
from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.residuals import Freezing, counted_cycles, error_increase, refit_comparison
from app.ledger.store import Artefact, Connection
from app.projections.cycles import CycleView
from domain.decisions.rule_numbers import FIRST, form, form_in
from domain.events.cycle_events import CycleStarted, DriftMeasured
from domain.events.residual_findings import ResidualEvidence
from domain.residuals.blocks import Alike, Hearing, set_of_blocks
from domain.residuals.evidence import EVIDENCE_HOLDOUT_ROWS_MIN, Ranked, advance, begun, fact
from domain.residuals.front import settle
from domain.residuals.frozen import Residual
from domain.times import days_between, format_time, parse_time
from rules.facts import Facts


def with_residuals(work: Work, done: Done) -> Done:
    """What the drift step leaves, with what the champion's residuals said."""
    known = work.known
    if not isinstance(done.event, DriftMeasured):
        return done
    with known.connect() as connection:
        reign = reign_at(connection, known.started.model, before=known.cutoff)
        judged = known.started.champion  # another than who serves, where a cycle is set aside
        if reign is None or reign.champion.model_version != judged:
            return done
        # A window and a reign may have millions of rows each: one of them is held at a time.
        known.hold_labelled_alone()
        increase = error_increase(known, connection, reign)
        comparison = refit_comparison(known, connection, reign)
        known.let_go_of_labelled()
        evidence, artefacts = _evidence(known, connection, reign)
        measured = structs.replace(
            done.event,
            error_increase=increase,
            residual_evidence=evidence,
            residuals_sha256=artefacts[0].sha256 if artefacts else None,
            refit_comparison=comparison,
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
    entered = EnteredRows(known, connection)
    holdout = Hearing(frozen_residuals(connection, reign.champion) or (), alike)
    so_far = _SoFar(before, connection, entered, alike)
    gathered = begun(so_far.values(holdout, cycles))
    served = ServedInReign(known, connection, reign, entered.identities())
    settled = settle(
        served.rows(),
        front=so_far.front,
        overdue_before=format_time(
            parse_time(known.started.as_of)
            - timedelta(days=known.contract.health.labels_within_days)
        ),
    )
    freezing = Freezing()

    def keep(row: Residual) -> None:
        freezing.add(row)
        entered.add(row)

    new = Hearing(served.entering(settled, group), alike, before=so_far.blocks, keeps=keep)
    days = max(0.0, days_between(so_far.last, known.started.as_of))
    state = advance(
        replace(gathered, log_wealth=so_far.wealth),
        new,
        model_version=reign.champion.model_version,
        days=days,
    )
    return (
        ResidualEvidence(
            log_days=_finite(state.log_days),
            log_wealth=tuple(map(_finite, state.log_wealth)),
            days=days,
            memory=len(state.signed),
            holdout_rows=holdout.values,
            entered=new.values,
            skipped=settled.skipped + settled.entering - new.rows,
            corrected=entered.corrected(),
            waiting=settled.waiting,
            front=settled.front,
            note=_blind(holdout.values, alike),
        ),
        (freezing.artefact(),) if new.rows else (),
    )


def _alike(known: Knowledge, reign: Reign) -> tuple[Alike | None, str]:
    """Which of the reign's rows enter as one value, and the column that names their groups.

    It is for the contract that the champion was trained under to say: within a reign it stays.
    """
    contract = known.trained_under(reign.champion)
    if form(known.started, "evidence") == FIRST or contract.blocks in {None, "serial"}:
        return None, known.contract.group
    return "day" if contract.blocks == "day" else "group", contract.group


class _SoFar:
    """What the reign has gathered before this cycle; known when `values` were taken.

    `before` is the cycle that the reign began after.
    """

    def __init__(
        self, before: CycleView, connection: Connection, entered: EnteredRows, alike: Alike | None
    ) -> None:
        self.wealth = begun(()).log_wealth
        self.front: str | None = None
        self.last = before.as_of  # `as_of` that the next stake is counted from
        self.blocks = set_of_blocks()  # that have entered, the holdout's among them
        self._connection, self._entered, self._alike = connection, entered, alike

    def values(self, holdout: Hearing, cycles: Iterable[CycleView]) -> Iterator[Ranked]:
        """Of the promotion holdout, and of what has entered in the cycles since.

        What a cycle won by taking alike rows one by one, under an earlier form of this rule, is
        left.
        """
        nothing = self.wealth
        yield from holdout
        self.blocks = holdout.blocks
        for view in cycles:
            measured = view.state.get(DriftMeasured.type) or {}
            found = measured.get("residual_evidence")
            if found is not None:
                rows = residuals_of(self._connection, measured["residuals_sha256"]) or ()
                new = Hearing(self._entered.passing(rows), self._alike, before=self.blocks)
                yield from new
                self.blocks |= new.blocks
                rules = view.state[CycleStarted.type]["rules"]
                won = self._alike is None or form_in(rules, "evidence") > FIRST
                self.wealth = tuple(map(_log, found["log_wealth"])) if won else nothing
                self.front, self.last = found["front"], view.as_of
            if view.training_completed:  # and it promoted nobody, or this reign were over
                self.wealth, self.last = nothing, view.as_of


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
