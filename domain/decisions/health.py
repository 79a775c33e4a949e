"""The health report: how a model stands, from what is recorded about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from domain.decisions.cycle import Cycle
from domain.events.findings import GroupInterval
from domain.events.verdicts import amount, significant_digits, told_apart
from domain.target_scale import SCALE_WORDS, Transform

State = Literal["healthy", "degraded", "stale", "no champion"]

_SECONDS_A_DAY: Final = 86_400
WINDOW_ROWS_MIN: Final = 30  # labelled rows below which a window's error says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    """What is known about a model when its health is asked for."""

    champion: str | None
    alarm: str | None  # why the champion the ledger names does not answer; None: it does
    drift_beyond_policy: bool  # see `rules.outcome.drift_unanswered`
    unjudged: str | None  # see `unjudged`
    aside: bool = False  # the cycle that made the champion was set aside: nobody judges it
    judged: str | None = None  # whom cycles judge then; None: the next one begins anew
    rmse: float | None  # the champion on rows labelled since its promotion, on `scale`
    rmse_max: float | None  # the contract's bound on it and the next; None: no bound
    scale: Transform = "log"  # of the errors: that of the plan which predicted
    bound_scale: Transform = "log"  # of the bound: the contract's
    window_error: float | None = None  # the same on the latest window's; None: below 30 rows
    window_interval: GroupInterval | None = None  # of it
    window_labelled: int = 0  # rows behind it
    value_interval: GroupInterval | None = None  # of what its reign was worth so far
    value_unit: str = ""  # that it was measured in, whatever the contract says since
    replaced: str | None = None  # against whom: who served before it in this reign
    days_since_evaluation: float | None  # since the last cycle ended; None: none ended yet
    clock_skew_seconds_max: float  # that the last cycle may lie ahead of now
    evaluation_within_days: float | None  # the contract's bound on it
    overdue_predictions: int  # champion's predictions older than the contract's labels_within_days
    overdue_unlabelled: int  # of those, without a label
    labels_within_days: float | None
    late_share_max: float = 0.5  # of the overdue predictions that may lack a label
    late_rows_min: int = 1  # overdue predictions below which nobody calls labels late


def health_state(facts: HealthFacts) -> tuple[State, tuple[str, ...]]:
    """The state and the reasons for it; no reasons when healthy. Stale is never green.

    Labels are late when more than the contract's share of the overdue predictions have none, and
    there are as many of them as it asks for.
    """
    if facts.champion is None:
        return "no champion", ("no model version was promoted yet",)
    stale = _stale(facts)
    degraded = _degraded(facts)
    if stale:
        return "stale", (*stale, *degraded)
    if degraded:
        return "degraded", degraded
    return "healthy", ()


def unjudged(cycle: Cycle) -> str | None:
    """Why the cycle judged nothing (halted, undecided, failed), as a sentence; None: it did."""
    for early, words in (
        (cycle.halted, "halted"),
        (cycle.not_decided, "was not decided"),
        (cycle.training_failed, "failed"),
        (cycle.failed, "failed"),
    ):
        if early is not None:
            return f"the last cycle {words}: {early.reason}"
    return None


def rates(*, promotions: int, trainings: int, decisions: int) -> tuple[float | None, float | None]:
    """Success rate (promotions / trainings started) and promotion rate (promotions / decisions).

    >>> rates(promotions=3, trainings=4, decisions=12)
    (0.75, 0.25)
    >>> rates(promotions=0, trainings=0, decisions=0)
    (None, None)
    """
    return (
        promotions / trainings if trainings else None,
        promotions / decisions if decisions else None,
    )


def _stale(facts: HealthFacts) -> tuple[str, ...]:
    reasons = []
    days, bound = facts.days_since_evaluation, facts.evaluation_within_days
    if days is not None and bound is not None and days > bound:
        observed, needs = told_apart(days, bound, 2)
        reasons.append(f"last evaluated {observed} days ago (contract: within {needs})")
    skew = facts.clock_skew_seconds_max
    if days is not None and -days * _SECONDS_A_DAY > skew:
        ahead, allowed = told_apart(-days * _SECONDS_A_DAY, skew)
        by = f"{ahead} s" if -days < 1 else f"{significant_digits(-days)} days"
        reasons.append(
            f"last evaluated {by} ahead of now, by a clock that ran ahead (clocks may differ by "
            f"{allowed} s); run a cycle with a reason, which sets that one aside, or set the clock "
            "if it is behind now"
        )
    overdue = facts.overdue_predictions
    # The quotient is rounded as the contract's decimal was: 29 of 100 are not more than 0.29.
    late = overdue > 0 and facts.overdue_unlabelled / overdue > facts.late_share_max
    if late and overdue >= facts.late_rows_min:
        reasons.append(
            f"{facts.overdue_unlabelled} of {facts.overdue_predictions} predictions older "
            f"than {facts.labels_within_days:.15g} days have no label"
        )
    return tuple(reasons)


def _degraded(facts: HealthFacts) -> tuple[str, ...]:
    reasons = []
    if facts.alarm is not None:
        reasons.append(facts.alarm)
    if facts.unjudged is not None:
        reasons.append(facts.unjudged)
    if facts.aside:
        reasons.append(_nobody_judges(facts))
    if facts.drift_beyond_policy:
        reasons.append("features and predictions have drifted beyond the policy's bounds")
    reasons += _error(facts)
    if facts.value_interval is not None and facts.value_interval.high < 0:
        reasons.append(_has_not_paid(facts, facts.value_interval))
    return tuple(reasons)


def _nobody_judges(facts: HealthFacts) -> str:
    why = f"{facts.champion} serves and nobody judges it: the cycle that made it was set aside"
    if facts.judged is None:
        return f"{why}; the next cycle trains as if for the first time"
    return (
        f"{why}, and cycles judge {facts.judged}; a rollback to {facts.judged} or a forced cycle "
        "whose candidate is promoted would mend it"
    )


def _error(facts: HealthFacts) -> list[str]:
    """Errors above the contract's bound. On another scale than the bound's none is compared."""
    bound = facts.rmse_max
    if bound is None:
        return []
    named = (
        ("error since promotion", facts.rmse, ""),
        ("error in the latest window", facts.window_error, _in_window(facts)),
    )
    errors = [(what, error, on) for what, error, on in named if error is not None]
    if errors and facts.scale != facts.bound_scale:
        what, error, _ = errors[0]
        return [
            f"{what} {significant_digits(error)} is on the {SCALE_WORDS[facts.scale]} scale, which "
            f"{facts.champion} was trained on, and held against nothing: the contract's bound of "
            f"{significant_digits(bound)} is on the {SCALE_WORDS[facts.bound_scale]} scale. Force "
            "a retraining, or adopt a contract with the scale of the champion"
        ]
    return [f"{what} {_beyond(error, bound)}{on}" for what, error, on in errors if error > bound]


def _beyond(error: float, bound: float) -> str:
    observed, needs = told_apart(error, bound)
    return f"{observed} (contract: at most {needs}, transformed scale)"


def _in_window(facts: HealthFacts) -> str:
    rows, found = facts.window_labelled, facts.window_interval
    if found is None:
        return f", on {rows:,} rows"
    return (
        f", on {rows:,} rows; 95 % interval over {found.groups} groups {found.low:.4g} to "
        f"{found.high:.4g}"
    )


def _has_not_paid(facts: HealthFacts, value: GroupInterval) -> str:
    unit = f" {facts.value_unit}" if facts.value_unit else ""
    remedy = f"; a rollback to {facts.replaced} would mend it" if facts.replaced else ""
    return (
        f"{facts.champion} has not paid: value {amount(value.estimate)}{unit}, 95 % interval "
        f"{amount(value.low)} to {amount(value.high)}{remedy}"
    )
