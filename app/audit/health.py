"""A model's health now: the last report of a cycle, and what has become stale since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from app.audit.champion_scale import reported_scale
from app.audit.setting_aside import not_counted
from app.audit.value import ValueTold, value_told
from app.audit.waiting import waits_for
from app.ledger.store import Connection
from app.projections.contracts import contract_of
from app.projections.cycles import list_cycles, newest_measured
from app.projections.cycles_that_count import ModelCounts, judged_next, model_counts
from app.projections.label_days import rows_in_whole_days
from app.projections.models import ModelView
from app.projections.reigns import newest_reign
from app.projections.rows_apart import folded_until
from domain.contract.contract import Contract
from domain.decisions.cycle import Cycle, fold_state
from domain.decisions.health import HealthFacts, State, health_state, rates, unjudged
from domain.events.cycle_events import HealthReported
from domain.events.findings import GroupInterval
from domain.events.verdicts import percent
from domain.times import days_between, format_time, parse_time
from rules.outcome import drift_unanswered

_CYCLES_LOOKED_AT: Final = 100  # back from the newest; a champion unmeasured that long is stale
_REPORTED = (
    "conclusion",
    "mean_shift",
    "spread_ratio",
    "rmse_since_promotion",
    "labelled_since_promotion",
    "window_error",
    "window_interval",
    "window_labelled",
    "value",
    "value_interval",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a model stands at one moment."""

    model: str
    state: State
    reasons: tuple[str, ...]  # why it is not healthy
    sentence: str  # 'car-price is stale: 30 of 40 predictions ... have no label'
    champion: str | None
    at: str  # the moment, UTC
    days_since_evaluation: float | None  # since its last cycle ended; None: none ended yet
    overdue_predictions: int  # rows of the champion, whole days past what labels may take
    overdue_unlabelled: int
    counted_until: int  # the last position whose rows are in these two; -1: none are yet
    halted: int  # cycles of the model that count, as all below
    failed: int
    undecided: int
    counts: ModelCounts  # of the cycles that count
    success_rate: float | None  # promotions / trainings started
    promotion_rate: float | None  # promotions / decisions
    rates: str  # both in words, with the numbers behind them
    last_report: dict[str, Any] | None  # what the last ended cycle measured
    last_cycle: str | None
    value: ValueTold  # what its champions were worth
    alarm: str | None  # why the champion the ledger names does not answer in this process
    waits: str | None  # why its open cycle does not promote its candidate yet


def current_health(
    connection: Connection,
    model: ModelView,
    at: str,
    *,
    alarm: str | None,
    clock_skew_seconds_max: float,
) -> Health:
    """The model's health at `at` (UTC): never greener than the newest facts allow.

    `alarm`: why the champion the ledger names does not answer, as `Champions` has it; None: it
    does. Whoever asks must say, or one door would call healthy what another calls degraded.
    `clock_skew_seconds_max`: the setting of that name.
    """
    counted_until = max(folded_until(connection), -1)
    contract = contract_of(model.contract)
    latest = list_cycles(connection, model.model, limit=2)  # at most one of them is open
    cycle = next((each for each in latest if each.status == "ended"), None)
    ended = fold_state(cycle.state) if cycle else Cycle()
    report = cycle.state.get(HealthReported.type) if cycle else None
    since = days_between(cycle.ended_at, at) if cycle and cycle.ended_at else None
    overdue, unlabelled = _overdue(connection, model, contract, at)
    measured = report if report and report["champion"] == model.champion else None
    judged = judged_next(connection, model)
    reign = newest_reign(connection, model.model)
    # A version that came back begins another reign: what its first was worth says nothing of it.
    worth = reign if reign is not None and reign.measured_position is not None else None
    state, reasons = health_state(
        HealthFacts(
            champion=model.champion,
            alarm=alarm,
            drift_beyond_policy=drift_stands(connection, model),
            unjudged=unjudged(ended),
            aside=model.champion is not None and judged != model.champion,
            judged=judged,
            rmse=measured["rmse_since_promotion"] if measured else None,
            rmse_max=contract.health.rmse_max,
            scale=reported_scale(connection, model, ended),
            bound_scale=contract.target.transform,
            window_error=measured["window_error"] if measured else None,
            window_interval=_interval(measured, "window_interval"),
            window_labelled=measured["window_labelled"] if measured else 0,
            value_interval=_interval(measured, "value_interval") if worth else None,
            value_unit=(worth.unit or "") if worth else "",
            replaced=worth.previous if worth else None,
            days_since_evaluation=since,
            clock_skew_seconds_max=clock_skew_seconds_max,
            evaluation_within_days=contract.health.evaluation_within_days,
            overdue_predictions=overdue,
            overdue_unlabelled=unlabelled,
            labels_within_days=contract.health.labels_within_days,
            late_share_max=contract.health.late_share_max,
            late_rows_min=contract.health.late_rows_min,
        )
    )
    counts = model_counts(connection, model)
    success_rate, promotion_rate = rates(
        promotions=counts.promotions, trainings=counts.trainings, decisions=counts.decisions
    )
    return Health(
        model=model.model,
        state=state,
        reasons=reasons,
        sentence=_sentence(model.model, state, reasons),
        champion=model.champion,
        at=at,
        days_since_evaluation=since,
        overdue_predictions=overdue,
        overdue_unlabelled=unlabelled,
        counted_until=counted_until,
        halted=counts.halted,
        failed=counts.failed,
        undecided=counts.undecided,
        counts=counts,
        success_rate=success_rate,
        promotion_rate=promotion_rate,
        rates=_rates(model, counts, success_rate, promotion_rate),
        last_report={name: report[name] for name in _REPORTED} if report else None,
        last_cycle=cycle.cycle if cycle else None,
        value=value_told(connection, model.model),
        alarm=alarm,
        waits=waits_for(connection, model.model),
    )


def drift_stands(connection: Connection, model: ModelView) -> bool:
    """Whether the newest window measured for the champion that serves had drifted unanswered.

    A later cycle with an empty window measured nothing, so what was found before still stands.
    """
    far = model.cycles_started - _CYCLES_LOOKED_AT
    view = newest_measured(connection, model.model, model.champion, after_number=far)
    return view is not None and drift_unanswered(fold_state(view.state))


def _interval(report: dict[str, Any] | None, name: str) -> GroupInterval | None:
    found = report[name] if report else None
    return None if found is None else GroupInterval(**found)


def _sentence(model: str, state: State, reasons: tuple[str, ...]) -> str:
    said = f"{model} {'has' if state == 'no champion' else 'is'} {state}"
    return f"{said}: {'; '.join(reasons)}" if reasons else said


def _rates(
    model: ModelView, counts: ModelCounts, success: float | None, promotion: float | None
) -> str:
    aside = not_counted(counts.set_aside)
    if success is None or promotion is None:
        if not model.trainings:
            return "no training was started yet"
        return f"no training was started by a cycle that counts ({aside})"
    return (
        f"{percent(success)} of trainings and {percent(promotion)} of decisions ended in a "
        f"promotion (n = {counts.trainings} and {counts.decisions}{aside and '; '}{aside})"
    )


def _overdue(
    connection: Connection, model: ModelView, contract: Contract, at: str
) -> tuple[int, int]:
    """Rows the champion predicted whose labels are due: all of them, and those without one.

    By whole days, which are counted as the rows come in.
    """
    if model.champion is None or model.trained_until is None:
        return 0, 0
    due = parse_time(at) - timedelta(days=contract.health.labels_within_days)
    return rows_in_whole_days(
        connection,
        model.model,
        model_version=model.champion,
        start=model.trained_until,
        before=format_time(due),
    )
