"""A gate's errors as bars, side by side."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from app.audit.gates import Gate, errors_told
from app.web.svg import drawing, line, tag, words

_WIDTH: Final = 260.0
_ROW: Final = 26.0
_NAME: Final = 78.0  # where bars begin
_NUMBER: Final = 52.0  # room for the figure behind the longest bar


def gate_bars(gate: Gate) -> Markup | None:
    """RMSE from 0, so that lengths may be compared; None when nothing was measured."""
    figures = gate.figures
    if not figures:
        return None
    told = errors_told(figures)
    longest = max(figures.values()) or 1.0
    room = _WIDTH - _NAME - _NUMBER
    parts: list[Markup] = [line(_NAME, 0, _NAME, _ROW * len(figures), "axis")]
    for i, (side, value) in enumerate(figures.items()):
        y = i * _ROW
        length = value / longest * room
        parts += [
            words(_NAME - 6, y + 17, side, "tick", "end"),
            tag("rect", x=_NAME, y=y + 5, width=length, height=_ROW - 10, class_=f"error {side}"),
            words(_NAME + length + 5, y + 17, told[side], "figure", "start"),
        ]
    return drawing(
        _WIDTH,
        _ROW * len(figures),
        *parts,
        label=f"{gate.name} gate, RMSE: {gate.errors}",
        class_="gate-bars",
    )
