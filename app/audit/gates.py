"""The gates of a cycle in words: what each asked, what it said, by which figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from domain.decisions.cycle import Cycle
from domain.events.cycle_events import CandidateCompared, DataMerged
from domain.events.findings import (
    LEVEL,
    MEAN_SHIFT_MARKED,
    OUTSIDE_SHARE_MARKED,
    SPREAD_RATIO_MARKED,
    LabelShift,
)
from domain.events.gate_events import ParityChecked
from domain.events.verdicts import significant_digits, told_apart, told_apart_from_each

GateVerdict = Literal["passed", "failed", "not evaluated", "waiting"]
_SYMBOL: Final[Mapping[GateVerdict, str]] = {
    "passed": "✓",
    "failed": "✗",
    "not evaluated": "–",
    "waiting": "…",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate, and the words it is shown with everywhere."""

    name: str
    question: str
    verdict: GateVerdict
    symbol: str
    reason: str  # as recorded; empty before it was evaluated
    rows: int | None  # behind the figures
    figures: dict[str, float]  # side -> RMSE, transformed scale
    errors: str  # the figures in words: 'champion 0.234, candidate 0.154'
    note: str  # what else was measured; empty when nothing was


def gates_of(cycle: Cycle) -> tuple[Gate, ...]:
    """Parity, evaluation, deployment, promotion; empty when the cycle trained nothing."""
    if cycle.trained is None:
        return ()
    return (_parity(cycle), _evaluation(cycle), _deployment(cycle), _promotion(cycle))


def _parity(cycle: Cycle) -> Gate:
    found = cycle.parity
    return _gate(
        cycle,
        "Parity",
        "Does the serving plan equal the pipeline?",
        found.passed if found else None,
        reason=found.reason if found else "",
        rows=found.rows if found else None,
        note=_apart(found),
    )


def _apart(found: ParityChecked | None) -> str:
    if found is None:
        return ""
    largest, allowed = told_apart(found.largest_difference, found.allowed)
    return f"largest difference {largest}, allowed {allowed}"


def _evaluation(cycle: Cycle) -> Gate:
    found = cycle.evaluated
    sides = {
        "mean": found and found.mean_baseline,
        "median": found and found.median_baseline,
        "candidate": found and found.candidate,
    }
    return _gate(
        cycle,
        "Evaluation",
        "Does the candidate beat mean and median on rows it has not seen?",
        found.passed if found else None,
        reason=found.reason if found else "",
        rows=found.rows if found else None,
        figures={side: errors.rmse for side, errors in sides.items() if errors},
        note=_drawn(cycle.merged),
    )


def _deployment(cycle: Cycle) -> Gate:
    found = cycle.compared
    sides = {"champion": found and found.champion, "candidate": found and found.candidate}
    return _gate(
        cycle,
        "Deployment",
        "Does the candidate beat the champion on the same rows?",
        found.passed if found else None,
        reason=found.reason if found else "",
        rows=found.rows if found else None,
        figures={side: errors.rmse for side, errors in sides.items() if errors},
        note=_compared(found),
    )


def _promotion(cycle: Cycle) -> Gate:
    found, refitted = cycle.settled, cycle.refitted
    return _gate(
        cycle,
        "Promotion",
        "Does who served when the cycle began serve still?",
        found.promoted if found else None,
        reason=". ".join(each.reason for each in (found, refitted) if each),
        note=_labels(cycle.guarded.labels if cycle.guarded else None),
    )


def _gate(
    cycle: Cycle,
    name: str,
    question: str,
    passed: bool | None,
    *,
    reason: str,
    rows: int | None = None,
    figures: Mapping[str, float] | None = None,
    note: str = "",
) -> Gate:
    verdict: GateVerdict = "passed" if passed else "failed"
    if passed is None:
        verdict = "not evaluated" if cycle.ended else "waiting"
    figures = dict(figures or {})
    return Gate(
        name=name,
        question=question,
        verdict=verdict,
        symbol=_SYMBOL[verdict],
        reason=reason,
        rows=rows,
        figures=figures,
        errors=", ".join(f"{side} {said}" for side, said in errors_told(figures).items()),
        note=note,
    )


def no_gates(candidates: int) -> str:
    """Why no gate can be shown of a model with so many candidates."""
    if candidates == 0:
        return "No candidate was trained yet, so no gate was reached."
    return f"Candidates were trained ({candidates}); none came to the end of the gates."


def compared_errors(gates: Sequence[Gate]) -> str:
    """RMSE of both sides of the deployment gate, `0.234 → 0.154`; empty when it was not reached.

    The champion's stands first, and 'none' where there was none.
    """
    sides = next((gate.figures for gate in gates if gate.name == "Deployment"), {})
    if not sides:
        return ""
    told = {"champion": "none"} | errors_told(sides)
    return f"{told['champion']} → {told['candidate']}"


def errors_told(figures: Mapping[str, float]) -> dict[str, str]:
    """Side -> its RMSE in words: the candidate's is never rounded onto one that judges it.

    >>> errors_told({"champion": 0.30000001, "candidate": 0.3})
    {'champion': '0.30000001', 'candidate': '0.3'}
    """
    others = [side for side in figures if side != "candidate"]
    if "candidate" not in figures:
        return {side: significant_digits(figures[side]) for side in others}
    candidate, *said = told_apart_from_each(figures["candidate"], [figures[s] for s in others])
    told = dict(zip(others, said, strict=True)) | {"candidate": candidate}
    return {side: told[side] for side in figures}


def _drawn(merged: DataMerged | None) -> str:
    """How the rows that judge were drawn: `holdout 40.6 % of the rows that could judge; ...`."""
    if merged is None:
        return ""
    said = []
    if merged.holdout_share is not None:
        said.append(f"holdout {100 * merged.holdout_share:.3g} % of the rows that could judge")
    if merged.window_attempt is not None and merged.window_attempt > 1:
        said.append(f"training {merged.window_attempt} on windows that end this day")
    if merged.left_out:
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in merged.left_out.items())
        said.append(f"rows that break the contract in force were left out: {reasons}")
    return "; ".join(said)


def _labels(shift: LabelShift | None) -> str:
    """How far the window's labels lie from the training target; nothing is rounded onto a bound."""
    if shift is None:
        return ""
    said = [f"KS p = {told_apart(shift.ks_p_value, LEVEL)[0]}"]
    if shift.mean_shift is not None:
        size, _ = told_apart(abs(shift.mean_shift), MEAN_SHIFT_MARKED, 3)
        said.append(f"mean {'-' if shift.mean_shift < 0 else '+'}{size} sd")
    if shift.spread_ratio is not None:
        bounds = (SPREAD_RATIO_MARKED, 1 / SPREAD_RATIO_MARKED)
        said.append(f"spread x {told_apart_from_each(shift.spread_ratio, bounds)[0]}")
    outside, _ = told_apart(100 * shift.outside_share, 100 * OUTSIDE_SHARE_MARKED, 3)
    said.append(f"{outside} % outside the trained range")
    marked = ": a marked shift, look at them before you trust the gates" if shift.marked else ""
    return f"{shift.rows:,} labels against the training target: {', '.join(said)}{marked}"


def _compared(compared: CandidateCompared | None) -> str:
    if compared is None:
        return ""
    if compared.interval is not None:
        found = compared.interval
        low, high = significant_digits(found.low), significant_digits(found.high)
        noise = ": within noise" if found.low <= 0 <= found.high else ""
        return (
            f"champion minus candidate, 95 % interval over {found.groups} groups: {low} to {high}"
            f"{noise}; confidence {_confidence(found.confidence, compared.confidence_min)}"
        )
    if compared.bootstrap is None:
        return ""
    low, high = (significant_digits(b) for b in (compared.bootstrap.low, compared.bootstrap.high))
    noise = ": within noise" if compared.bootstrap.within_noise else ""
    return f"champion minus candidate, 95 % of resamples: {low} to {high}{noise}"


def _confidence(confidence: float, least: float | None) -> str:
    bounds = () if least is None else (least,)
    return told_apart_from_each(confidence, bounds)[0]
