"""What the overview page shows of one model: plain values in, words and pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from markupsafe import Markup

from app.web.drift_chart import DriftCell, DriftPanel, drift_panels, drift_table
from app.web.error_chart import NARROW, WIDE, ErrorRow, error_chart, error_rows
from app.web.error_since import error_since
from app.web.gates import GateRow, gates
from app.web.lights import Light, lights
from app.web.windows import Window, features_of
from domain.decisions.health import rates
from domain.events.verdicts import ClauseVerdict, significant_digits
from domain.times import format_time, parse_time

STATE_SYMBOL: Final = {"healthy": "✓", "degraded": "✗", "stale": "!", "no champion": "?"}
OUTCOME_SYMBOL: Final = {"retrain": "↻", "bootstrap": "↻", "override": "↻"}
DECISIONS_SHOWN: Final = 30
_COOL_DOWN: Final = "hours_since_last_retraining"
_INTERRUPTED: Final = frozenset({"not decided"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFacts:
    """Who serves, and why."""

    model_version: str
    since: str  # when the ledger took the promotion or the rollback, UTC
    as_of: str | None  # the promoting cycle's, UTC; None after a rollback
    trained_until: str  # UTC, exclusive
    plan_sha256: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFacts:
    """One decision, as the read model holds it."""

    id: str
    position: int
    cycle: str
    outcome: str
    as_of: str
    recorded_at: str
    sentence: str
    clauses: tuple[ClauseVerdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model, as the read models hold it."""

    model: str
    title: str
    scale: str  # of the target: 'log' or 'native'
    contract_digest: str
    policy: str
    state: str  # healthy, degraded, stale, no champion
    reasons: tuple[str, ...]
    serving: ServingFacts | None
    cycles: int
    decisions: int
    trainings: int
    rejections: int
    promotions: int
    rollbacks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its name."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """The latest cycle did not come to a verdict, or has not yet."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One line of the decisions table."""

    id: str
    as_of: str
    outcome: str
    kind: str  # retrain, keep: for the stylesheet
    symbol: str
    sentence: str
    errors: str  # 'champion → candidate', RMSE on the holdout; empty when none was trained
    ending: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the template names. Without a model only the first five are filled."""

    now: str
    ledger_size: int
    models: tuple[str, ...]
    checkpoint: str = ""  # what the newest signed checkpoint vouches for
    model: str | None = None
    title: str = ""
    scale: str = ""
    contract_digest: str = ""
    policy: str = ""
    state: str = "no champion"
    state_symbol: str = "?"
    reasons: tuple[str, ...] = ()
    champion: ServingFacts | None = None
    decision: DecisionFacts | None = None
    interruption: Interruption | None = None
    earliest: str = ""
    lights: tuple[Light, ...] = ()
    met: int = 0
    counts: tuple[Figure, ...] = ()
    rates: str = ""
    error_since: str = ""
    error_since_note: str = ""
    features: tuple[str, ...] = ()
    panels: tuple[DriftPanel, ...] = ()
    drift_rows: tuple[tuple[Window, list[DriftCell | None]], ...] = ()
    errors_wide: Markup | None = None
    errors_narrow: Markup | None = None
    error_rows: tuple[ErrorRow, ...] = ()
    gates: tuple[GateRow, ...] = ()
    gates_of: str = ""
    decisions: tuple[DecisionRow, ...] = ()
    decisions_note: str = ""


def overview_of(
    facts: ModelFacts,
    windows: Sequence[Window],
    decisions: Sequence[DecisionFacts],
    *,
    now: str,
    ledger_size: int,
    models: Sequence[str],
) -> Overview:
    """The page of one model. `windows` oldest first, `decisions` newest first."""
    latest = decisions[0] if decisions else None
    shown = lights(latest.clauses) if latest else []
    judged = [window for window in windows if window.cycle.guarded or window.cycle.halted]
    trained = next((window for window in reversed(windows) if window.cycle.trained), None)
    serves = facts.serving.model_version if facts.serving else None
    error, note = error_since(serves, windows, scale=facts.scale)
    interruption = _interruption(windows)
    return Overview(
        now=now,
        ledger_size=ledger_size,
        models=tuple(models),
        model=facts.model,
        title=facts.title,
        scale=facts.scale,
        contract_digest=facts.contract_digest,
        policy=facts.policy,
        state=facts.state,
        state_symbol=STATE_SYMBOL.get(facts.state, "?"),
        reasons=_not_yet_said(facts.reasons, interruption),
        champion=facts.serving,
        decision=latest,
        interruption=interruption,
        earliest=_earliest(latest),
        lights=tuple(shown),
        met=sum(light.verdict == "met" for light in shown),
        counts=_counts(facts),
        rates=_rates(facts),
        error_since=error,
        error_since_note=note,
        features=tuple(features_of(judged)),
        panels=tuple(drift_panels(judged)),
        drift_rows=tuple(drift_table(judged)),
        errors_wide=error_chart(judged, WIDE),
        errors_narrow=error_chart(judged, NARROW),
        error_rows=tuple(error_rows(judged)),
        gates=tuple(gates(trained.cycle)) if trained else (),
        gates_of=f"{trained.cycle.trained.candidate}, {trained.label}"
        if trained and trained.cycle.trained
        else "",
        decisions=_decision_rows(decisions[:DECISIONS_SHOWN], windows),
        decisions_note=f"The newest {DECISIONS_SHOWN} of {facts.decisions}."
        if facts.decisions > DECISIONS_SHOWN
        else "",
    )


def _interruption(windows: Sequence[Window]) -> Interruption | None:
    """What to say of the latest cycle when the verdict above it is not its own."""
    if not windows:
        return None
    latest = windows[-1]
    cycle = latest.cycle
    if cycle.halted:
        return Interruption(
            title=f"Cycle {latest.id} halted before judging:", reason=cycle.halted.reason
        )
    if cycle.not_decided:
        return Interruption(
            title=f"Cycle {latest.id} could not decide:", reason=cycle.not_decided.reason
        )
    if cycle.training_failed:
        return Interruption(
            title=f"Training failed in cycle {latest.id}:", reason=cycle.training_failed.reason
        )
    if cycle.failed:
        return Interruption(title=f"Cycle {latest.id} failed:", reason=cycle.failed.reason)
    if not cycle.ended:
        return Interruption(title=f"Cycle {latest.id} is not finished.", reason="")
    return None


def _not_yet_said(reasons: tuple[str, ...], said: Interruption | None) -> tuple[str, ...]:
    """The health's reasons without the one the interruption above them already gives."""
    if said is None or not said.reason:
        return reasons
    return tuple(reason for reason in reasons if said.reason not in reason)


def _earliest(decision: DecisionFacts | None) -> str:
    """The end of the cool-down as the last decision knew it; empty when it does not hold back."""
    if decision is None:
        return ""
    clause = next((c for c in decision.clauses if c.fact == _COOL_DOWN), None)
    if clause is None:
        return ""
    if decision.outcome in OUTCOME_SYMBOL:
        hours = clause.threshold  # this very decision retrained: the cool-down starts anew
    elif clause.observed is None or clause.verdict == "met":
        return ""
    else:
        hours = clause.threshold - clause.observed
    return format_time(parse_time(decision.as_of) + timedelta(hours=hours))


def _counts(facts: ModelFacts) -> tuple[Figure, ...]:
    return (
        Figure(name="cycles", value=str(facts.cycles)),
        Figure(name="decisions", value=str(facts.decisions)),
        Figure(name="trainings", value=str(facts.trainings)),
        Figure(name="promoted", value=str(facts.promotions)),
        Figure(name="rejected", value=str(facts.rejections)),
        Figure(name="rollbacks", value=str(facts.rollbacks)),
    )


def _rates(facts: ModelFacts) -> str:
    success, promotion = rates(
        promotions=facts.promotions, trainings=facts.trainings, decisions=facts.decisions
    )
    if success is None or promotion is None:
        return "no training was started yet"
    return (
        f"{success:.0%} of trainings and {promotion:.0%} of decisions ended in a promotion "
        f"(n = {facts.trainings} and {facts.decisions})"
    )


def _decision_rows(
    decisions: Sequence[DecisionFacts], windows: Sequence[Window]
) -> tuple[DecisionRow, ...]:
    by_cycle = {window.id: window for window in windows}
    rows = []
    for decision in decisions:
        window = by_cycle.get(decision.cycle)
        rows.append(
            DecisionRow(
                id=decision.id,
                as_of=decision.as_of,
                outcome=decision.outcome,
                kind="retrain"
                if decision.outcome in OUTCOME_SYMBOL
                else "interrupted"
                if decision.outcome in _INTERRUPTED
                else "keep",
                symbol=OUTCOME_SYMBOL.get(decision.outcome, "="),
                sentence=decision.sentence,
                errors=_errors(window),
                ending=window.ending if window else "",
            )
        )
    return tuple(rows)


def _errors(window: Window | None) -> str:
    compared = window.cycle.compared if window else None
    if compared is None:
        return ""
    champion = significant_digits(compared.champion.rmse) if compared.champion else "none"
    return f"{champion} → {significant_digits(compared.candidate.rmse)}"
