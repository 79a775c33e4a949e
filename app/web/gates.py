"""The gates of a cycle as a waterfall: it stops at the first that failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from app.web.svg import drawing, line, tag, words
from domain.decisions.cycle import Cycle
from domain.events.verdicts import significant_digits

_WIDTH: Final = 260.0
_ROW: Final = 26.0
_NAME: Final = 78.0  # where bars begin
_NUMBER: Final = 52.0  # room for the figure behind the longest bar


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One gate: what it asked, what it said, and both sides' figures."""

    name: str
    question: str
    verdict: str  # passed, failed, not evaluated, waiting
    symbol: str
    reason: str
    rows: int | None  # behind the figures
    figures: tuple[tuple[str, float], ...]  # side -> RMSE, transformed scale
    picture: Markup | None
    note: str


_SYMBOL: Final = {"passed": "✓", "failed": "✗", "not evaluated": "–", "waiting": "…"}


def gates(cycle: Cycle) -> list[GateRow]:
    """Parity, evaluation, deployment, promotion; empty when the cycle trained nothing."""
    if cycle.trained is None:
        return []
    waiting = "waiting" if not cycle.ended else "not evaluated"
    return [
        _parity(cycle, waiting),
        _evaluation(cycle, waiting),
        _deployment(cycle, waiting),
        _promotion(cycle, waiting),
    ]


def _parity(cycle: Cycle, waiting: str) -> GateRow:
    found = cycle.parity
    return _gate(
        "Parity",
        "Does the serving plan equal the pipeline?",
        waiting if found is None else _said(found.passed),
        reason=found.reason if found else "",
        rows=found.rows if found else None,
        note=f"largest difference {significant_digits(found.largest_difference)}, "
        f"allowed {significant_digits(found.allowed)}"
        if found
        else "",
    )


def _evaluation(cycle: Cycle, waiting: str) -> GateRow:
    found = cycle.evaluated
    sides = (
        (
            ("mean", found.mean_baseline),
            ("median", found.median_baseline),
            ("candidate", found.candidate),
        )
        if found
        else ()
    )
    return _gate(
        "Evaluation",
        "Does the candidate beat mean and median on rows it has not seen?",
        waiting if found is None else _said(found.passed),
        reason=found.reason if found else "",
        rows=found.rows if found else None,
        figures=tuple((side, errors.rmse) for side, errors in sides if errors),
    )


def _deployment(cycle: Cycle, waiting: str) -> GateRow:
    found = cycle.compared
    figures: tuple[tuple[str, float], ...] = ()
    note = ""
    if found:
        figures = (("candidate", found.candidate.rmse),)
        if found.champion:
            figures = (("champion", found.champion.rmse), *figures)
        if found.bootstrap:
            low, high = (significant_digits(b) for b in (found.bootstrap.low, found.bootstrap.high))
            noise = ": within noise" if found.bootstrap.within_noise else ""
            note = f"champion minus candidate, 95 % of resamples: {low} to {high}{noise}"
    return _gate(
        "Deployment",
        "Does the candidate beat the champion on the same rows?",
        waiting if found is None else _said(found.passed),
        reason=found.reason if found else "",
        rows=found.rows if found else None,
        figures=figures,
        note=note,
    )


def _promotion(cycle: Cycle, waiting: str) -> GateRow:
    found = cycle.settled
    return _gate(
        "Promotion",
        "Is the champion still the one it was compared with?",
        waiting if found is None else _said(found.promoted),
        reason=found.reason if found else "",
    )


def _gate(
    name: str,
    question: str,
    verdict: str,
    *,
    reason: str = "",
    rows: int | None = None,
    figures: tuple[tuple[str, float], ...] = (),
    note: str = "",
) -> GateRow:
    return GateRow(
        name=name,
        question=question,
        verdict=verdict,
        symbol=_SYMBOL[verdict],
        reason=reason,
        rows=rows,
        figures=figures,
        picture=_bars(name, figures) if figures else None,
        note=note,
    )


def _said(passed: bool) -> str:
    return "passed" if passed else "failed"


def _bars(name: str, figures: tuple[tuple[str, float], ...]) -> Markup:
    """RMSE from 0, so that lengths may be compared."""
    longest = max(value for _, value in figures) or 1.0
    room = _WIDTH - _NAME - _NUMBER
    parts: list[Markup] = [line(_NAME, 0, _NAME, _ROW * len(figures), "axis")]
    for i, (side, value) in enumerate(figures):
        y = i * _ROW
        length = value / longest * room
        parts += [
            words(_NAME - 6, y + 17, side, "tick", "end"),
            tag("rect", x=_NAME, y=y + 5, width=length, height=_ROW - 10, class_=f"error {side}"),
            words(_NAME + length + 5, y + 17, significant_digits(value), "figure", "start"),
        ]
    said = ", ".join(f"{side} {significant_digits(value)}" for side, value in figures)
    return drawing(
        _WIDTH, _ROW * len(figures), *parts, label=f"{name} gate, RMSE: {said}", class_="gate-bars"
    )
