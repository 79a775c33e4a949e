"""One plausible event of each kind, for tests that need a history rather than its figures."""

from __future__ import annotations

from msgspec.structs import replace

from domain.decisions.rule_numbers import NEWEST
from domain.events import cycle_events as cycle
from domain.events.verdicts import ClauseVerdict, PolicyVerdict, Verdict, strict_and
from tests.plausible import AS_OF, FORCE, VERDICT, an, decided

__all__ = ["AS_OF", "FORCE", "decided"]

STARTED = an(
    cycle.CycleStarted,
    cycle="car-price-2",
    model="car-price",
    champion="car-price/1",
    serves="car-price/1",
    rules=dict(NEWEST),
)
ATTEMPT = an(cycle.AttemptStarted)
GUARDED = an(cycle.WindowGuarded)
HALTED = an(cycle.CycleHalted)
MEASURED = an(cycle.DriftMeasured, report=None)
EVALUATED = an(cycle.CandidateEvaluated)
COMPARED = an(cycle.CandidateCompared, champion_version="car-price/1")
REFITTED = an(cycle.CandidateRefitted, candidate="car-price/2")
PARITY = an(cycle.ParityChecked)
MERGED = an(cycle.DataMerged)
TRAINED = an(cycle.CandidateTrained, candidate="car-price/2")
FAILED_TRAINING = an(cycle.TrainingFailed)
SETTLED = an(cycle.PromotionSettled, model_version="car-price/2")
REPORTED = an(cycle.HealthReported, champion="car-price/2")
GAVE_UP = an(cycle.CycleFailed)
UNDECIDED = an(cycle.NotDecided)


def clause(fact: str, verdict: Verdict) -> ClauseVerdict:
    """A clause about `fact` with this verdict."""
    return ClauseVerdict(
        clause=fact,
        fact=fact,
        label=fact,
        operator=">",
        threshold=0.2,
        unit="",
        observed=None if verdict == "unknown" else 0.5 if verdict == "met" else 0.1,
        verdict=verdict,
        margin=None,
        note="",
    )


def policy_verdict(**clauses: Verdict) -> PolicyVerdict:
    """What the policy said, from fact=verdict."""
    judged = tuple(clause(fact, verdict) for fact, verdict in clauses.items())
    return replace(
        VERDICT,
        clauses=judged,
        nodes=strict_and(judged),
        retrain=all(verdict == "met" for verdict in clauses.values()),
    )
