"""evaluate, compare, promote: the gates on the holdout rows, and the promotion they allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.cycles import cycle_stream
from app.promotions import settle_promotion
from app.serving.plan import ServingPlan, load_plan
from app.steps.judging import transformed
from app.steps.knowledge import Done, Knowledge, Work
from app.steps.split import Split, split_rows
from domain.contract import CategoryFeature, Contract
from domain.cycle_events import CandidateTrained
from domain.errors import LedgerDamaged
from domain.evaluation import compare_with_champion, evaluate_candidate
from domain.lifecycle import Champion, PromoteCandidate
from domain.prediction_errors import inverse_of

Floats = NDArray[np.float64]


def evaluate(work: Work) -> Done:
    """The evaluation gate: the candidate against the mean and the median of its training target."""
    known = work.known
    split = split_rows(known)
    plan = stored_plan(known, trained(work).plan_sha256)
    return Done(
        event=evaluate_candidate(
            predicted=predictions(plan, split),
            actual=actual(known.contract, split),
            training_target=np.array(
                [transformed(known.contract, row.label) for row in split.training]
            ),
            rows_min=known.contract.holdout.rows_min,
            inverse=inverse_of(known.contract.target.transform),
        )
    )


def compare(work: Work) -> Done:
    """The deployment gate: the candidate against the champion, on the same holdout rows."""
    known = work.known
    split = split_rows(known)
    champion = known.champion
    candidate = trained(work)
    return Done(
        event=compare_with_champion(
            candidate=predictions(stored_plan(known, candidate.plan_sha256), split),
            champion=(
                predictions(stored_plan(known, champion.plan_sha256), split) if champion else None
            ),
            champion_version=champion.model_version if champion else None,
            actual=actual(known.contract, split),
            margin=known.contract.margin,
            inverse=inverse_of(known.contract.target.transform),
            segments={
                feature.name: [row.row[feature.name] for row in split.holdout]
                for feature in known.contract.features
                if isinstance(feature, CategoryFeature)
            },
            seed=candidate.seed,
        )
    )


def promote(work: Work, *, cycle_version: int, correlation_id: str, causation_id: str) -> None:
    """Make the candidate champion, in one transaction with the word that the cycle is settled."""
    known = work.known
    candidate = trained(work)
    settle_promotion(
        known.ledger,
        PromoteCandidate(
            model=known.started.model,
            candidate=Champion(
                model_version=candidate.candidate,
                plan_sha256=candidate.plan_sha256,
                reference_sha256=candidate.reference_sha256,
                trained_until=candidate.trained_until,
                registry_run=candidate.registry_run,
            ),
            compared_with=known.started.champion,
            cycle=known.started.cycle,
            as_of=known.started.as_of,
        ),
        cycle_stream=cycle_stream(known.started.cycle),
        cycle_version=cycle_version,
        correlation_id=correlation_id,
        causation_id=causation_id,
    )


def stored_plan(known: Knowledge, sha256: str) -> ServingPlan:
    """The serving plan with this digest, from the ledger's artefacts."""
    return load_plan(known.ledger.artefact(sha256))


def predictions(plan: ServingPlan, split: Split) -> Floats:
    """The plan's predictions of the holdout rows, transformed scale."""
    return plan.predict_rows([row.row for row in split.holdout]).transformed


def actual(contract: Contract, split: Split) -> Floats:
    """The true target of the holdout rows, transformed scale."""
    return np.array([transformed(contract, row.label) for row in split.holdout], dtype=np.float64)


def trained(work: Work) -> CandidateTrained:
    """The candidate this cycle trained.

    Raises:
        LedgerDamaged: the cycle's stream came to a gate without one.
    """
    if work.state.trained is None:
        raise LedgerDamaged(f"cycle {work.known.started.cycle!r} is at a gate without a candidate.")
    return work.state.trained
