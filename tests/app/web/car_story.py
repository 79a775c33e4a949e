"""Sixteen cycles of one model with the shape of the real story: what page and reports are shown.

The figures are made by a seeded generator; every event is one the service could have written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from app.cause import Cause
from app.clock import new_id
from app.intake.documents import parse_document
from app.ledger.store import Ledger, NewEvent, StreamAppend
from domain.events.cycle_events import (
    AttemptStarted,
    CandidateCompared,
    CandidateEvaluated,
    CandidateTrained,
    Conclusion,
    CycleEvent,
    CycleHalted,
    CycleStarted,
    DataMerged,
    Decided,
    DriftMeasured,
    HealthReported,
    Outcome,
    ParityChecked,
    PromotionSettled,
    WindowGuarded,
)
from domain.events.events import CandidatePromoted, ContractAdopted, Event, PolicyAdopted
from domain.events.findings import (
    Bootstrap,
    DriftReport,
    SegmentErrors,
    WindowCheck,
)
from domain.events.verdicts import Firing, PolicyVerdict, strict_and, verdict_sentence
from tests.app.web.car_figures import clause, drift_report, errors_of
from tests.plausible import an
from tests.repository import REPOSITORY

MODEL = "car-price"
HALTED_YEAR = 1983
REJECTED_YEAR = 1986
LAST_YEAR = 1990
DIGEST = "ab" * 32
_CONTRACT_FILE = REPOSITORY / "data" / "contracts" / f"{MODEL}.yaml"
CONTRACT = parse_document(_CONTRACT_FILE.read_bytes(), name=_CONTRACT_FILE.name)


def time(year: int) -> str:
    return f"{year}-01-01T00:00:00.000000Z"


@dataclass
class Told:
    """One event and the stream it belongs to."""

    stream: str
    event: Event
    occurred_at: str


@dataclass
class Story:
    """The whole story, in the order of the ledger (without its first entry)."""

    events: list[Told] = field(default_factory=list)

    def tell(self, stream: str, event: Event, occurred_at: str) -> None:
        self.events.append(Told(stream, event, occurred_at))

    def cycle(self, number: int) -> list[CycleEvent]:
        stream = f"cycle-{MODEL}-{number}"
        return [told.event for told in self.events if told.stream == stream]  # type: ignore[misc]


def car_story(last_year: int = LAST_YEAR) -> Story:
    """Contract and policy, the bootstrap of 1975, and a cycle at the end of each later year."""
    story = Story()
    adopted = time(1971)
    story.tell("policy-strict-and", an(PolicyAdopted), adopted)
    story.tell(
        f"model-{MODEL}",
        an(ContractAdopted, model=MODEL, contract=CONTRACT, contract_digest=DIGEST),
        adopted,
    )
    chance = np.random.default_rng(7)
    champion: str | None = None
    retrained: int | None = None
    counts = {"decisions": 0, "trainings": 0, "promotions": 0}
    for number, year in enumerate(range(1975, last_year + 1), start=1):
        stream, as_of = f"cycle-{MODEL}-{number}", time(year + 1)
        for event in _cycle(number, year, champion, retrained, counts, chance):
            story.tell(stream, event, as_of)
            if isinstance(event, Decided) and event.outcome in {"retrain", "bootstrap"}:
                retrained = year
            if isinstance(event, PromotionSettled) and event.promoted:
                story.tell(
                    f"model-{MODEL}", _promoted(event.model_version, champion, number, year), as_of
                )
                champion = event.model_version
    return story


def _cycle(
    number: int,
    year: int,
    champion: str | None,
    retrained: int | None,
    counts: dict[str, int],
    chance: np.random.Generator,
) -> list[CycleEvent]:
    rows = int(chance.integers(86, 131)) if champion else 0
    events: list[CycleEvent] = [
        an(
            CycleStarted,
            cycle=f"{MODEL}-{number}",
            model=MODEL,
            number=number,
            as_of=time(year + 1),
            champion=champion,
            serves=champion,
        ),
        an(AttemptStarted),
    ]
    if year == HALTED_YEAR:
        broken = WindowCheck(
            subject="mpg", statistic="mean", observed=14.2, low=1.0, high=4.5, passed=False
        )
        reason = "mean of mpg is 14.2, plausible is 1 to 4.5. Send the rows in miles per gallon/10."
        return [
            *events,
            an(
                CycleHalted,
                window_start=time(year),
                window_end=time(year + 1),
                rows=rows,
                refused_rows=3,
                checks=(broken,),
                reason=reason,
            ),
            _health("halted", champion, counts, number, None),
        ]
    events.append(
        an(
            WindowGuarded,
            window_start=time(year),
            window_end=time(year + 1),
            reference_start=time(1971) if champion else None,
            reference_end=time(year) if champion else None,
            rows=rows,
            reference_rows=rows * 4,
            refused_rows=0,
            checks=(),
        )
    )
    age = 0 if retrained is None else year - retrained
    report = drift_report(rows, age, chance) if champion else None
    production = 0.19 + 0.05 * age + float(chance.normal(0, 0.012)) if champion else None
    events.append(
        an(
            DriftMeasured,
            reference_sha256=DIGEST if champion else None,
            report=report,
            champion_rmse=production,
            labelled_rows=rows,
        )
    )
    decided = _decided(report, rows, age, champion)
    counts["decisions"] += 1
    events.append(decided)
    if decided.outcome not in {"retrain", "bootstrap"}:
        return [*events, _health("kept", champion, counts, number, production)]
    counts["trainings"] += 1
    ending, gates = _training(number, year, champion, production or 0.4, chance)
    counts["promotions"] += ending == "promoted"
    serves = f"{MODEL}/{number}" if ending == "promoted" else champion
    return [*events, *gates, _health(ending, serves, counts, number, None)]


def _decided(report: DriftReport | None, rows: int, age: int, champion: str | None) -> Decided:
    score = report.feature_drift_score if report else None
    p = report.predictions[0].ks_p_value if report else None
    hours = 8760.0 * age if champion else None
    labels = float(rows * max(1, age)) if champion else 538.0
    clauses = (
        clause("feature_drift", "feature_drift_score", "feature drift", ">", 0.2, score,
               note="" if report else "nothing to compare"),
        clause("prediction_drift", "prediction_drift_p", "prediction drift p", "<", 0.05, p,
               note="" if report else "nothing to compare"),
        clause("enough_labels", "new_samples", "new samples", ">=", 50.0, labels, "rows"),
        clause("cool_down", "hours_since_last_retraining", "cool-down", ">", 24.0, hours, "h",
               note="" if champion else "never retrained"),
    )  # fmt: skip
    retrain = all(one.verdict == "met" for one in clauses)
    outcome: Outcome = "retrain" if retrain else "keep: rules not met"
    if champion is None:
        outcome = "bootstrap"
    verdict = PolicyVerdict(
        policy="strict-and",
        policy_version=1,
        policy_digest=DIGEST,
        facts={one.fact: one.observed for one in clauses},
        never_retrained=champion is None,
        clauses=clauses,
        nodes=strict_and(clauses),
        retrain=retrain,
        trace=(Firing(rule="feature_drift", facts={"feature_drift_score": score or 0.0}),),
    )
    return an(
        Decided, outcome=outcome, verdict=verdict, sentence=verdict_sentence(outcome, clauses)
    )


def _training(
    number: int, year: int, champion: str | None, champion_rmse: float, chance: np.random.Generator
) -> tuple[Conclusion, list[CycleEvent]]:
    candidate = f"{MODEL}/{number}"
    rejected = year == REJECTED_YEAR
    rmse = champion_rmse * (1.06 if rejected else 0.62) if champion else 0.2
    holdout = int(chance.integers(36, 52))
    events: list[CycleEvent] = [
        an(
            DataMerged,
            merged_rows=500 + 100 * number,
            training_rows=460 + 100 * number,
            holdout_rows=holdout,
            new_samples=100,
            label_cutoff=1000 * number,
        ),
        an(
            CandidateTrained,
            candidate=candidate,
            plan_sha256=f"{number:064x}",
            training_rows=460 + 100 * number,
            trained_from=time(1971),
            trained_until=time(year + 1),
            label_cutoff=1000 * number,
        ),
        an(ParityChecked, rows=holdout, largest_difference=2.2e-16),
        an(
            CandidateEvaluated,
            rows=holdout,
            candidate=errors_of(rmse),
            mean_baseline=errors_of(0.62),
            median_baseline=errors_of(0.64),
            reason=f"RMSE {rmse:.4g} beats the mean (0.62) and the median (0.64)",
        ),
        an(
            CandidateCompared,
            passed=not rejected,
            champion_version=champion,
            rows=holdout,
            candidate=errors_of(rmse),
            champion=errors_of(champion_rmse) if champion else None,
            segments=(
                SegmentErrors(
                    feature="region",
                    category="US",
                    rows=20,
                    candidate_rmse=rmse,
                    champion_rmse=champion_rmse if champion else None,
                ),
            ),
            bootstrap=Bootstrap(
                low=-0.021 if rejected else 0.011,
                high=0.008 if rejected else 0.113,
                draws=1000,
                seed=0,
                within_noise=rejected,
            )
            if champion
            else None,
            reason="worse than the champion: production stays"
            if rejected
            else "better than the champion"
            if champion
            else "no champion yet",
        ),
    ]
    if rejected:
        return "rejected", events
    reason = f"{candidate} replaces {champion or 'nobody'}"
    settled = an(PromotionSettled, model_version=candidate, reason=reason)
    return "promoted", [*events, settled]


def _health(
    ending: Conclusion,
    champion: str | None,
    counts: dict[str, int],
    cycles: int,
    rmse: float | None,
) -> HealthReported:
    degraded = rmse is not None and rmse > 0.25
    reason = f"error since promotion {rmse or 0:.4g} (contract: at most 0.25, transformed scale)"
    return an(
        HealthReported,
        conclusion=ending,
        state="no champion" if champion is None else "degraded" if degraded else "healthy",
        reasons=(reason,) if degraded else (),
        champion=champion,
        cycles=cycles,
        decisions=counts["decisions"],
        trainings=counts["trainings"],
        promotions=counts["promotions"],
        success_rate=1.0,
        promotion_rate=0.5,
        rmse_since_promotion=rmse,
        labelled_since_promotion=0 if rmse is None else 112,
    )


def _promoted(version: str, replaced: str | None, number: int, year: int) -> CandidatePromoted:
    return an(
        CandidatePromoted,
        model=MODEL,
        model_version=version,
        replaced=replaced,
        plan_sha256=f"{number:064x}",
        cycle=f"{MODEL}-{number}",
        as_of=time(year + 1),
        trained_until=time(year + 1),
    )


def record(ledger: Ledger, story: Story) -> None:
    """Append the story in its order, in few transactions: each waits for the disk."""
    appends = [
        StreamAppend(
            told.stream,
            (NewEvent(event=told.event, id=new_id(), occurred_at=told.occurred_at),),
            None,
        )
        for told in story.events
    ]
    for first in range(0, len(appends), 100):
        ledger.append(appends[first : first + 100], Cause.unauthenticated(new_id()))
