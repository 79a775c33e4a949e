"""guard, drift, decide: is the window plausible, has it moved, and what does the policy say?"""

from __future__ import annotations

import numpy as np
import orjson
from msgspec.structs import replace

from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.residual_evidence import residual_facts, with_residuals
from app.cycle.steps.scale import on_scale, rmse_on_scale, scale_of
from app.projections.champions import ChampionView
from app.projections.windows import Window, event_times_of
from domain.contract.window import check_window, halt_reason
from domain.decisions.rule_numbers import FIRST, form
from domain.drift.blocks import exchange_seed
from domain.drift.clean_rate import clean_rate, clean_rate_words
from domain.drift.dependence import block_of
from domain.drift.measurement import measure_drift
from domain.drift.reference import Reference, reference_from_document
from domain.drift.statistics import LEVEL
from domain.errors import PolicyNotDecided, PredictionsUnusable
from domain.events.cycle_events import (
    CycleHalted,
    Decided,
    DriftMeasured,
    NotDecided,
    Outcome,
    WindowGuarded,
)
from domain.events.findings import DriftReport
from domain.events.verdicts import (
    NOT_DECIDED,
    PolicyVerdict,
    another_is_judged,
    nobody_judges,
    serves_set_aside,
    verdict_sentence,
)
from domain.packed import Whole, in_order_of_coming, text_digests
from domain.times import hours_between
from rules.engine import PolicyEngine
from rules.facts import RETRAINING_FACT, Facts
from rules.outcome import outcome_of, with_evidence
from rules.policy import parse_policy


def guard(work: Work) -> Done:
    """The statistical guard. Outside its bounds the cycle halts, which is never 'no drift'."""
    known = work.known
    rows = known.judged_rows
    counts = known.counts
    received = counts.refused + counts.accepted
    checks = check_window(
        known.contract,
        known.judged_columns,
        labels=known.window_labels,
        refused_rows=counts.refused,
        received_rows=received,
        unlisted=form(known.started, "encoding") > FIRST,
    )
    start, end = known.bounds
    reason = halt_reason(checks, refused_rows=counts.refused, received_rows=received)
    if reason:
        return Done(
            event=CycleHalted(
                window_start=start,
                window_end=end,
                rows=rows,
                refused_rows=counts.refused,
                checks=checks,
                labels=known.label_shift,
                reason=reason,
            )
        )
    champion = known.champion
    return Done(
        event=WindowGuarded(
            window_start=start,
            window_end=end,
            reference_start=known.reference_start,
            reference_end=known.reference_end,
            rows=rows,
            reference_rows=champion.training_rows if champion else 0,
            left_out=known.window.left_out,
            refused_rows=counts.refused,
            checks=checks,
            labels=known.label_shift,
        )
    )


def drift(work: Work) -> Done:
    """The window against what was frozen with the champion: its reference, and its residuals."""
    return with_residuals(work, _drift(work))


def _drift(work: Work) -> Done:
    """The window against the champion's frozen reference; nothing to compare is said as null.

    A reference that was erased stops the cycle unless a retraining is forced, which makes a new
    one: what cannot be measured is never 'no drift'.
    """
    known = work.known
    known.let_go_of_window_labels()  # only the guard looks at them
    champion, window = known.champion, known.window
    if champion is not None and known.reference_erased and known.started.force is None:
        return _halted_by_erasure(work, champion)
    if champion is None or not len(window) or known.reference_erased:
        return _nothing_compared(champion)
    frozen = orjson.loads(known.ledger.artefact(champion.reference_sha256))
    reference = reference_from_document(frozen)
    if reference.dependence is not None:
        window = known.window_by_time
    transform = scale_of(known, champion.plan_sha256)
    try:
        predictions = on_scale(
            transform, window.predictions, f"a prediction of {champion.model_version}"
        )
    except PredictionsUnusable as unusable:
        if known.started.force is not None:
            return _nothing_compared(champion)
        return _halted(work, f"drift cannot be measured: {unusable.message}")
    first = form(known.started, "outcomes") == FIRST
    report = measure_drift(
        reference,
        # The champion's features; one that a later contract no longer has is missing everywhere.
        known.columns(window, [feature.name for feature in reference.features]),
        predictions,
        first=first,
        blocks=_blocks(known, champion, reference, window),
        seed=exchange_seed(champion.reference_sha256, known.started.cycle),
    )
    labelled = known.window_labelled if window is known.window else known.labelled(window)
    return Done(
        event=DriftMeasured(
            reference_sha256=champion.reference_sha256,
            report=report,
            champion_rmse=rmse_on_scale(transform, labelled.window.predictions, labelled.labels),
            labelled_rows=len(labelled),
            error_increase=None,
            residual_evidence=None,
            residuals_sha256=None,
            refit_comparison=None,
            clean_rate=None
            if first
            else clean_rate(reference, champion.reference_sha256, len(window)),
        )
    )


def _blocks(
    known: Knowledge, champion: ChampionView, reference: Reference, window: Window
) -> Whole:
    """The block of each row, where the champion was trained on rows of days or groups.

    As those were: a later contract may call another column the group.
    """
    kind = reference.dependence.kind if reference.dependence else "serial"
    if kind == "group":
        return known.groups(window, known.trained_under(champion).group)
    if kind == "serial":
        return np.empty(0, np.int64)
    days = (block_of("day", time, None) for time in event_times_of(window))
    return in_order_of_coming(text_digests(days))


def _nothing_compared(champion: ChampionView | None) -> Done:
    return Done(
        event=DriftMeasured(
            reference_sha256=champion.reference_sha256 if champion else None,
            report=None,
            champion_rmse=None,
            labelled_rows=0,
            error_increase=None,
            residual_evidence=None,
            residuals_sha256=None,
            refit_comparison=None,
            clean_rate=None,
        )
    )


def _halted_by_erasure(work: Work, champion: ChampionView) -> Done:
    return _halted(
        work,
        f"the frozen reference of {champion.model_version} was erased with a row it was "
        "trained on, so drift cannot be measured; force a retraining, which freezes a new one",
    )


def _halted(work: Work, reason: str) -> Done:
    known, guarded = work.known, work.state.guarded
    start, end = known.bounds
    return Done(
        event=CycleHalted(
            window_start=start,
            window_end=end,
            rows=known.window_rows,
            refused_rows=guarded.refused_rows if guarded else known.counts.refused,
            checks=guarded.checks if guarded else (),
            labels=guarded.labels if guarded else None,
            reason=reason,
        )
    )


def decide(work: Work) -> Done:
    """The policy's verdict and the outcome; undecided when its two evaluations disagree."""
    known = work.known
    started = known.started
    measured = work.state.drift
    report = measured.report if measured else None
    facts, never_retrained = facts_of(known, report)
    facts |= residual_facts(measured)
    force = started.force
    try:
        engine = PolicyEngine(parse_policy(known.policy_document), started.policy_digest)
        try:
            verdict = engine.evaluate(facts, never_retrained=never_retrained)
        finally:
            engine.close()
    except PolicyNotDecided as undecided:
        return Done(
            event=NotDecided(
                policy=started.policy,
                policy_digest=started.policy_digest,
                facts=dict(facts),
                reason=undecided.message,
                sentence=verdict_sentence(NOT_DECIDED, (), undecided.message),
            )
        )
    outcome = outcome_of(
        verdict,
        champion=started.champion,
        forced=force is not None,
        window_rows=known.window_rows,
        report=report,
        first=form(started, "outcomes") == FIRST,
    )
    if measured is not None and measured.clean_rate is not None:
        verdict = _with_clean_rate(verdict, measured.clean_rate)
    sentence = verdict_sentence(
        outcome,
        verdict.clauses,
        _reason(known, outcome),
        evidence=with_evidence(report) if report else (),
        nodes=verdict.nodes,
        judged=_judged(known, outcome),
    )
    return Done(event=Decided(outcome=outcome, verdict=verdict, sentence=sentence, force=force))


def _reason(known: Knowledge, outcome: Outcome) -> str:
    """Why it was forced; why a bootstrap compares with nobody, though somebody serves; why nothing
    was to judge, though somebody answered."""
    started, another = known.started, _judges_another(known)
    if outcome == "keep: nothing to judge" and another is not None:
        return nobody_judges(*another, known.answered_by(another[1]))
    if outcome == "bootstrap" and started.serves is not None:
        return serves_set_aside(started.serves)
    return started.force.reason if started.force else ""


def _judged(known: Knowledge, outcome: Outcome) -> str:
    """Whom the cycle judged, where it is not who serves and the sentence does not say so yet."""
    another = _judges_another(known)
    if another is None or outcome == "keep: nothing to judge":
        return ""
    return another_is_judged(*another)


def _judges_another(known: Knowledge) -> tuple[str, str] | None:
    """Who is judged and who serves, where these are two. By the first form nobody says so."""
    judged, serves = known.started.champion, known.started.serves
    if judged is None or serves is None or judged == serves:
        return None
    return None if form(known.started, "outcomes") == FIRST else (judged, serves)


def _with_clean_rate(verdict: PolicyVerdict, rate: float) -> PolicyVerdict:
    """The clause on `prediction_drift_p` below 0.05 with a note of how often it holds anyway."""
    words = clean_rate_words(rate)
    return replace(
        verdict,
        clauses=tuple(
            replace(clause, note=words)
            if clause.fact == "prediction_drift_p"
            and clause.observed is not None
            and clause.operator in {"<", "<="}
            and clause.threshold == LEVEL
            else clause
            for clause in verdict.clauses
        ),
    )


def facts_of(known: Knowledge, report: DriftReport | None) -> tuple[Facts, bool]:
    """The facts a policy may look at (None: unknown), and whether nothing was ever retrained."""
    by_reference = {} if report is None else {p.against: p.ks_p_value for p in report.predictions}
    since = known.basis.last_retraining_as_of
    facts: Facts = {
        "feature_drift_score": report.feature_drift_score if report else None,
        "psi_max": report.psi_max if report else None,
        "drifted_feature_share": (
            report.drifted_features / report.features_measured if report else None
        ),
        "prediction_drift_p": by_reference.get("training-target"),
        "prediction_drift_p_out_of_fold": by_reference.get("out-of-fold"),
        "label_shift_p": known.label_shift.ks_p_value if known.label_shift else None,
        "new_samples": float(known.new_samples),
        RETRAINING_FACT: (hours_between(since, known.started.as_of) if since is not None else None),
        "window_rows": float(known.window_rows),
    }
    return facts, since is None
