"""evaluate, compare, promote: the gates on the holdout rows, and the promotion they allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from app.cause import Cause
from app.cycle.promotions import settle_promotion
from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.reporting import value_so_far
from app.cycle.steps.scale import transformed
from app.cycle.steps.split import Split, groups_of, split_rows
from app.ledger.store import StreamHistory
from app.projections.champions import ChampionView
from domain.contract.contract import CategoryFeature, Contract
from domain.decisions.evaluation import (
    compare_with_champion,
    evaluate_candidate,
    with_bootstrap,
)
from domain.decisions.lifecycle import Champion, PromoteCandidate
from domain.decisions.prediction_errors import errors, inverse_of
from domain.decisions.rule_numbers import FIRST, form
from domain.errors import LedgerDamaged, PredictionsUnusable, RequestInvalid
from domain.events.cycle_events import CandidateCompared, CandidateRefitted, CandidateTrained

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
                [transformed(known.contract, label) for label in split.training.labels.tolist()]
            ),
            rows_min=known.contract.holdout.rows_min,
            inverse=inverse_of(known.contract.target.transform),
            nothing_fits=split.drawn.nothing_fits,
        )
    )


def compare(work: Work) -> Done:
    """The deployment gate: the candidate against the champion, on the same holdout rows.

    They are those that both can predict. A champion that cannot predict them (a later contract took
    one of its features away) is not beaten by default: production stays, and the reason says so,
    unless somebody forced the cycle, with a reason.
    """
    known = work.known
    split, champion, candidate = split_rows(known), known.champion, trained(work)
    whole = len(split.holdout)
    defended = None
    if champion is not None:
        try:
            split, defended = defence(known, champion, split)
        except (RequestInvalid, PredictionsUnusable) as unusable:
            return Done(event=_not_comparable(work, split, unusable.message))
    predicted, truth = (
        predictions(known, candidate.plan_sha256, split),
        actual(known.contract, split),
    )
    compared = compare_with_champion(
        candidate=predicted,
        champion=(champion.model_version, defended)
        if champion is not None and defended is not None
        else None,
        serves=known.started.serves,
        actual=truth,
        margin=known.contract.margin,
        inverse=inverse_of(known.contract.target.transform),
        segments={
            feature.name: list(split.holdout.column(feature.name))
            for feature in known.contract.features
            if isinstance(feature, CategoryFeature)
        },
        groups=groups_of(known, split.holdout),
        confidence_min=known.contract.confidence,
    )
    compared = structs.replace(compared, refit=known.contract.refit is not None)
    if form(known.started, "interval") == FIRST:
        compared = with_bootstrap(
            compared, candidate=predicted, champion=defended, actual=truth, seed=candidate.seed
        )
    if len(split.holdout) < whole:
        left = whole - len(split.holdout)
        also = f" {left} of {whole} holdout rows lack what {compared.champion_version} needs."
        compared = structs.replace(compared, reason=compared.reason + also)
    return Done(event=compared)


def defence(known: Knowledge, champion: ChampionView, split: Split) -> tuple[Split, Floats]:
    """The holdout rows that the champion can predict, and its predictions of them.

    It reads the rows as they came in, which may hold what a later contract dropped.

    Raises:
        RequestInvalid: too few rows for the contract's `holdout.rows_min` have what it needs.
        PredictionsUnusable: it predicts something else, or what the contract's scale cannot hold.
    """
    if form(known.started, "merge") == FIRST:
        return split, predictions(known, champion.plan_sha256, split)
    target = known.contract.target
    plan = known.plan(champion.plan_sha256)
    if plan.target.name not in (target.name, *target.formerly):
        raise PredictionsUnusable(
            f"it predicts {plan.target.name!r} and the contract {target.name!r}. Where that is the "
            "same quantity, say so in target.formerly."
        )
    sent = known.as_sent(split.holdout)
    able, why = np.ones(len(sent), np.bool_), ""
    for at, row in enumerate(sent.rows):
        try:
            plan.predict_row(row)
        except RequestInvalid as lacking:
            able[at] = False
            why = why or lacking.message
    if able.sum() < max(known.contract.holdout.rows_min, 1):
        raise RequestInvalid(
            f"{able.sum()} of {len(split.holdout)} rows have what it needs, and the contract asks "
            f"for {known.contract.holdout.rows_min}. Of the first that has not: {why}"
        )
    defending = replace(split, holdout=sent.only(able))
    defended = predictions(known, champion.plan_sha256, defending)
    return replace(split, holdout=split.holdout.only(able)), defended


def _not_comparable(work: Work, split: Split, why: str) -> CandidateCompared:
    known = work.known
    contract, champion, force = known.contract, known.started.champion, known.started.force
    replaces = force is not None and form(known.started, "merge") > FIRST
    reason = f"{champion} cannot predict the holdout rows, so nothing was compared"
    if replaces and force is not None:
        reason = (
            f"{reason}: {why} {force.actor} forced this cycle ({force.reason}), so the candidate, "
            "which beat mean and median, takes its place."
        )
    else:
        reason = f"{reason} and production stays: {why} Force a retraining to replace it."
    return CandidateCompared(
        passed=replaces,
        champion_version=champion,
        rows=len(split.holdout),
        margin=contract.margin,
        candidate=errors(
            predictions(known, trained(work).plan_sha256, split),
            actual(contract, split),
            inverse_of(contract.target.transform),
        ),
        champion=None,
        segments=(),
        bootstrap=None,
        interval=None,
        confidence_min=contract.confidence,
        refit=contract.refit is not None,
        reason=reason,
    )


def promote(work: Work, history: StreamHistory, cause: Cause) -> None:
    """Make the candidate champion, in one transaction with the word that the cycle is settled.

    Where it was refitted the refitted plan serves; reference and residuals are the gated one's.
    """
    known, refitted = work.known, work.state.refitted
    candidate = trained(work)
    plan: CandidateTrained | CandidateRefitted = candidate
    plan_sha256 = candidate.plan_sha256
    if refitted is not None and refitted.passed and refitted.plan_sha256 is not None:
        plan, plan_sha256 = refitted, refitted.plan_sha256
    settle_promotion(
        known.ledger,
        PromoteCandidate(
            model=known.started.model,
            candidate=Champion(
                model_version=candidate.candidate,
                plan_sha256=plan_sha256,
                reference_sha256=candidate.reference_sha256,
                trained_until=plan.trained_until,
                registry_run=plan.registry_run,
            ),
            compared_with=known.started.champion,
            serves=known.started.serves,
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
    plan = known.plan(plan_sha256)
    predicted = plan.predict_rows(split.holdout.rows)
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
    return np.array(
        [transformed(contract, label) for label in split.holdout.labels.tolist()], np.float64
    )


def trained(work: Work) -> CandidateTrained:
    """The candidate this cycle trained.

    Raises:
        LedgerDamaged: the cycle's stream came to a gate without one.
    """
    if work.state.trained is None:
        raise LedgerDamaged.without(work.known.started.cycle, "a gate", "a candidate")
    return work.state.trained
