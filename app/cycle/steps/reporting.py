"""health: how the model stands when the cycle ends, recorded as the cycle's last event."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.audit.health import drift_stands
from app.cause import Cause
from app.cycle.reigns import reign_at, who_serves
from app.cycle.steps.knowledge import Knowledge, Work
from app.cycle.steps.premises import model_now
from app.cycle.steps.scale import on_scale, rmse_on_scale, scale_of
from app.cycle.value import Looked, measure_value
from app.ledger.deciding import decide
from app.ledger.reading import read_stream
from app.ledger.store import Connection, StreamHistory
from app.ledger.streams import model_stream
from app.projections.champions import ChampionView, get_champion
from app.projections.cycles_that_count import ModelCounts, judged_next, model_counts
from app.projections.labels_in_force import Labelled, dated_labels
from app.projections.models import ModelView
from app.projections.windows import Window, no_window
from domain.decisions import lifecycle
from domain.decisions.cycle import Cycle, conclusion
from domain.decisions.group_interval import rmse_difference_interval
from domain.decisions.health import WINDOW_ROWS_MIN, HealthFacts, health_state, rates, unjudged
from domain.decisions.lifecycle import ReportHealth
from domain.decisions.rule_numbers import FIRST, form
from domain.errors import PredictionsUnusable
from domain.events.cycle_events import HealthReported
from domain.events.events import ValueMeasured
from domain.events.findings import GroupInterval
from domain.events.verdicts import NOT_DECIDED
from domain.packed import Flags
from domain.times import days_between


def report(work: Work, history: StreamHistory, cause: Cause) -> None:
    """End the cycle with its health report, and with what its champion is worth so far.

    Both in one transaction. A champion that this cycle promoted has served nobody yet; what the
    one before it was worth was recorded when it was replaced.
    """
    known = work.known
    measured = value_so_far(known, "cycle")
    decide(
        known.ledger,
        who_serves(known.started.model),
        lifecycle.report,
        ReportHealth(measured=measured, health=health(work, measured)),
        cause,
        occurred_at=lambda _: known.started.as_of,
        beside=history,
    )


def health(work: Work, measured: ValueMeasured | None) -> HealthReported:
    """The health report after this cycle, over everything the cycle may know."""
    known, state = work.known, work.state
    model, champion, drifted, judged = _model_and_champion(known)
    since = _since_promotion(known, champion)
    rmse = _rmse(known, champion, since.labelled)
    contract = known.contract
    whole = _first_form(known, "health")  # neither window nor value beside the reign
    latest = since.labelled.only(since.in_window & (not whole))
    enough = len(latest) >= WINDOW_ROWS_MIN
    window_error = _rmse(known, champion, latest) if enough else None
    window_interval = _interval(known, champion, latest) if enough else None
    worth = None
    if measured and measured.model_version == model.champion and not whole:
        worth = measured
    verdict, reasons = health_state(
        HealthFacts(
            champion=model.champion,
            alarm=None,  # whether it loads is seen where it serves
            drift_beyond_policy=drifted,
            unjudged=unjudged(state),
            aside=model.champion is not None and judged != model.champion and not whole,
            judged=judged,
            rmse=rmse,
            rmse_max=contract.health.rmse_max,
            scale=(
                scale_of(known, champion.plan_sha256) if champion else contract.target.transform
            ),
            bound_scale=contract.target.transform,
            window_error=window_error,
            window_interval=window_interval,
            window_labelled=len(latest),
            value_interval=worth.interval if worth else None,
            value_unit=(worth.unit or "") if worth else "",
            replaced=worth.previous if worth else None,
            days_since_evaluation=0.0,
            clock_skew_seconds_max=known.settings.clock_skew_seconds_max,
            evaluation_within_days=contract.health.evaluation_within_days,
            overdue_predictions=since.overdue,
            overdue_unlabelled=since.overdue_unlabelled,
            labels_within_days=contract.health.labels_within_days,
            late_share_max=contract.health.late_share_max,
            late_rows_min=contract.health.late_rows_min,
        )
    )
    counts = _counts(known, model)
    success_rate, promotion_rate = rates(
        promotions=counts.promotions, trainings=counts.trainings, decisions=counts.decisions
    )
    target = _against_target(state)
    ended = conclusion(state)
    return HealthReported(
        conclusion=ended,
        state=verdict,
        reasons=reasons,
        champion=model.champion,
        cycles=model.cycles_started,
        decisions=counts.decisions,
        halted=counts.halted + (ended == "halted"),
        failed=counts.failed + (ended == "failed"),
        undecided=counts.undecided + (ended == NOT_DECIDED),
        trainings=counts.trainings,
        promotions=counts.promotions,
        success_rate=success_rate,
        promotion_rate=promotion_rate,
        mean_shift=target[0],
        spread_ratio=target[1],
        rmse_since_promotion=rmse,
        labelled_since_promotion=len(since.labelled),
        window_error=window_error,
        window_interval=window_interval,
        window_labelled=len(latest),
        value=worth.value if worth else None,
        value_interval=worth.interval if worth else None,
    )


def _model_and_champion(
    known: Knowledge,
) -> tuple[ModelView, ChampionView | None, bool, str | None]:
    """The model, who serves, whether drift found for it stands unanswered, and whom the next cycle
    judges."""
    with known.connect() as connection:
        model = model_now(connection, known.started.model)
        if model.champion is None:
            return model, None, False, None
        champion = get_champion(connection, model.model, model.champion)
        judged = judged_next(connection, model)
        return model, champion, drift_stands(connection, model), judged


def _counts(known: Knowledge, model: ModelView) -> ModelCounts:
    """The model's counts, of the cycles that count; this one has not ended."""
    with known.connect() as connection:
        return model_counts(connection, model)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Since:
    """The champion's own predictions of rows it was not trained on, the latest per identity."""

    labelled: Labelled  # those with a label
    in_window: Flags  # of these: whether they lie in the drift window, not clipped
    overdue: int  # rows whose label is due
    overdue_unlabelled: int


def _since_promotion(known: Knowledge, champion: ChampionView | None) -> _Since:
    as_of, due = known.started.as_of, known.contract.health.labels_within_days
    overdue = unlabelled = 0
    labels, kept, in_window = array("d"), bytearray(), bytearray()
    with known.connect() as connection:
        window = no_window() if champion is None else _own_predictions(known, connection, champion)
        for time, label in dated_labels(connection, window, before=as_of, up_to=known.cutoff):
            late = days_between(time, as_of) > due
            overdue += late
            unlabelled += late and label is None
            kept.append(label is not None)
            if label is not None:
                labels.append(label)
                in_window.append(time >= known.drift_window_start)
    unlabelled_rows = ~np.frombuffer(kept, np.bool_)
    return _Since(
        labelled=Labelled(window.without(unlabelled_rows), np.frombuffer(labels)),
        in_window=np.frombuffer(in_window, np.bool_),
        overdue=overdue,
        overdue_unlabelled=unlabelled,
    )


def _own_predictions(known: Knowledge, connection: Connection, champion: ChampionView) -> Window:
    answers = known.answers(connection, champion.model_version)
    return answers.window(start=champion.trained_until)


def _rmse(known: Knowledge, champion: ChampionView | None, rows: Labelled) -> float | None:
    """The champion's error on the scale of its own plan."""
    if champion is None or not len(rows):
        return None
    scale = scale_of(known, champion.plan_sha256)
    return rmse_on_scale(scale, rows.window.predictions, rows.labels)


def _interval(
    known: Knowledge, champion: ChampionView | None, rows: Labelled
) -> GroupInterval | None:
    """Of the RMSE: that of its difference to a model without error."""
    if champion is None:
        return None
    scale = scale_of(known, champion.plan_sha256)
    try:
        wrong = on_scale(scale, rows.window.predictions, "a prediction") - on_scale(
            scale, rows.labels, "a label"
        )
    except PredictionsUnusable:
        return None
    groups = known.groups(rows.window, known.contract.group)
    return rmse_difference_interval(wrong, np.zeros(len(rows)), groups)


def value_so_far(known: Knowledge, occasion: Literal["cycle", "promotion"]) -> ValueMeasured | None:
    """What the champion of the cycle is worth in its reign; None: nobody served.

    None too by the first form of rule `value`, by which nobody measures it.
    """
    if _first_form(known, "value"):
        return None
    with known.connect() as connection:
        reign = reign_at(connection, known.started.model, before=known.cutoff)
        if reign is None:
            return None
        looked = Looked(occasion=occasion, as_of=known.started.as_of, up_to=known.cutoff)
        answers = known.answers(connection, reign.champion.model_version)
        return measure_value(connection, reign, known.contract, looked, answers)


def _first_form(known: Knowledge, rule: Literal["health", "value"]) -> bool:
    """Whether the cycle follows the first form of the rule.

    Services measured before these rules had names, so a cycle that names none does as was done
    before it began: it measures where a champion of its model had been measured by then.
    """
    if rule in known.started.rules:
        return form(known.started, rule) == FIRST
    with known.connect() as connection:
        before = read_stream(connection, model_stream(known.started.model)).entries
    return not any(
        isinstance(entry.event, ValueMeasured) and entry.position < known.cutoff for entry in before
    )


def _against_target(state: Cycle) -> tuple[float | None, float | None]:
    """Mean shift and spread ratio of the window's predictions against the training target."""
    report = state.drift.report if state.drift else None
    for found in report.predictions if report else ():
        if found.against == "training-target":
            return found.mean_shift, found.spread_ratio
    return None, None
