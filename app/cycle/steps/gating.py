"""evaluate, compare, promote: the gates on the holdout rows, and the promotion they allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.cause import Cause
from app.cycle.promotions import settle_promotion
from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.reporting import value_so_far
from app.cycle.steps.scale import transformed
from app.cycle.steps.split import Split, split_rows
from app.ledger.store import StreamHistory
from app.serving.plan import load_plan
from domain.contract.contract import CategoryFeature, Contract
from domain.decisions.evaluation import compare_with_champion, evaluate_candidate
from domain.decisions.lifecycle import Champion, PromoteCandidate
from domain.decisions.prediction_errors import errors, inverse_of
from domain.errors import LedgerDamaged, PredictionsUnusable, RequestInvalid
from domain.events.cycle_events import CandidateCompared, CandidateTrained

Floats = NDArray[np.float64]


def evaluate(work: Work) -> Done:
    """The evaluation gate: the candidate against the mean and the median of its training target."""
    known = work.known
    split = split_rows(known)
    return Done(
        event=evaluate_candidate(
            predicted=predictions(known, trained(work).plan_sha256, split),
            actual=actual(known.contract, split),
            training_target=np.array(
                [transformed(known.contract, row.label) for row in split.training]
            ),
            rows_min=known.contract.holdout.rows_min,
            inverse=inverse_of(known.contract.target.transform),
        )
    )


def compare(work: Work) -> Done:
    """The deployment gate: the candidate against the champion, on the same holdout rows.

    A champion that cannot predict them (a later contract took one of its features away) is not
    beaten by default: production stays, and the reason says so.
    """
    known = work.known
    split = split_rows(known)
    champion = known.champion
    candidate = trained(work)
    predicted = predictions(known, candidate.plan_sha256, split)
    try:
        defended = predictions(known, champion.plan_sha256, split) if champion else None
    except (RequestInvalid, PredictionsUnusable) as unusable:
        return Done(event=_not_comparable(work, split, predicted, unusable.message))
    return Done(
        event=compare_with_champion(
            candidate=predicted,
            champion=defended,
            champion_version=champion.model_version if champion else None,
            actual=actual(known.contract, split),
            margin=known.contract.margin,
            inverse=inverse_of(known.contract.target.transform),
            segments={
                feature.name: [row.row.get(feature.name) for row in split.holdout]
                for feature in known.contract.features
                if isinstance(feature, CategoryFeature)
            },
            seed=candidate.seed,
        )
    )


def _not_comparable(work: Work, split: Split, predicted: Floats, why: str) -> CandidateCompared:
    contract = work.known.contract
    inverse = inverse_of(contract.target.transform)
    return CandidateCompared(
        passed=False,
        champion_version=work.known.started.champion,
        rows=len(split.holdout),
        margin=contract.margin,
        candidate=errors(predicted, actual(contract, split), inverse),
        champion=None,
        segments=(),
        bootstrap=None,
        reason=f"{work.known.started.champion} cannot predict the holdout rows, so nothing was "
        f"compared and production stays: {why}",
    )


def promote(work: Work, history: StreamHistory, cause: Cause) -> None:
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
            ended=value_so_far(known, "promotion"),
        ),
        history,
        cause,
    )


def predictions(known: Knowledge, plan_sha256: str, split: Split) -> Floats:
    """The stored plan's predictions of the holdout rows, on the contract's transformed scale.

    Raises:
        RequestInvalid: a row lacks a feature that the plan needs.
        PredictionsUnusable: the plan predicts what the contract's scale cannot hold.
    """
    plan = load_plan(known.ledger.artefact(plan_sha256))
    predicted = plan.predict_rows([row.row for row in split.holdout])
    if plan.target.transform == known.contract.target.transform:
        return predicted.transformed
    try:  # an earlier contract had another scale
        on_scale = [transformed(known.contract, value) for value in predicted.native.tolist()]
    except ValueError as error:
        raise PredictionsUnusable(
            f"a prediction has no logarithm, which {known.contract.target.name!r} is judged by. "
            "Adopt a contract with the scale its champion was trained on."
        ) from error
    return np.array(on_scale, dtype=np.float64)


def actual(contract: Contract, split: Split) -> Floats:
    """The true target of the holdout rows, transformed scale."""
    return np.array([transformed(contract, row.label) for row in split.holdout], dtype=np.float64)


def trained(work: Work) -> CandidateTrained:
    """The candidate this cycle trained.

    Raises:
        LedgerDamaged: the cycle's stream came to a gate without one.
    """
    if work.state.trained is None:
        raise LedgerDamaged.without(work.known.started.cycle, "a gate", "a candidate")
    return work.state.trained
