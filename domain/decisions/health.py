"""The health report: how a model stands, from what is recorded about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from domain.decisions.cycle import Cycle

CLOCK_AHEAD_DAYS = 60 / 86400  # clocks of two machines may differ by a minute
State = Literal["healthy", "degraded", "stale", "no champion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known about a model when its health is asked for."""

    champion: str | None
    alarm: str | None  # why the champion the ledger names does not answer; None: it does
    drift_beyond_policy: bool  # see `rules.outcome.drift_unanswered`
    unjudged: str | None  # see `unjudged`
    rmse: float | None  # the champion on rows labelled since its promotion, transformed scale
    rmse_max: float | None  # the contract's bound on it; None: no bound
    days_since_evaluation: float | None  # since the last cycle ended; None: none ended yet
    evaluation_within_days: float | None  # the contract's bound on it
    overdue_predictions: int  # champion's predictions older than the contract's labels_within_days
    overdue_unlabelled: int  # of those, without a label
    labels_within_days: float | None


def health_state(standing: Standing) -> tuple[State, tuple[str, ...]]:
    """The state and the reasons for it; no reasons when healthy. Stale is never green.

    Labels are late when more than half of the overdue predictions have none.
    """
    if standing.champion is None:
        return "no champion", ("no model version was promoted yet",)
    stale = _stale(standing)
    degraded = _degraded(standing)
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


def _stale(standing: Standing) -> tuple[str, ...]:
    reasons = []
    days, bound = standing.days_since_evaluation, standing.evaluation_within_days
    if days is not None and days < -CLOCK_AHEAD_DAYS:
        reasons.append(
            f"last evaluated {-days:.1f} days ahead of now, by a clock that ran ahead; run a cycle "
            "with a reason, which sets that one aside"
        )
    if days is not None and bound is not None and days > bound:
        reasons.append(f"last evaluated {days:.1f} days ago (contract: within {bound:g})")
    if 2 * standing.overdue_unlabelled > standing.overdue_predictions:
        reasons.append(
            f"{standing.overdue_unlabelled} of {standing.overdue_predictions} predictions older "
            f"than {standing.labels_within_days:g} days have no label"
        )
    return tuple(reasons)


def _degraded(standing: Standing) -> tuple[str, ...]:
    reasons = []
    if standing.alarm is not None:
        reasons.append(standing.alarm)
    if standing.unjudged is not None:
        reasons.append(standing.unjudged)
    if standing.drift_beyond_policy:
        reasons.append("features and predictions have drifted beyond the policy's bounds")
    if standing.rmse is not None and standing.rmse_max is not None:
        if standing.rmse > standing.rmse_max:
            reasons.append(
                f"error since promotion {standing.rmse:.4g} (contract: at most "
                f"{standing.rmse_max:g}, transformed scale)"
            )
    return tuple(reasons)
