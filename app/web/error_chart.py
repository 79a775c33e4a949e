"""The error of production over the windows, and candidate against champion on the holdouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from app.web.svg import Scale, drawing, every, line, linear, polylines, tag, words
from app.web.windows import Window
from domain.events.verdicts import significant_digits

WIDE: Final = 760.0
NARROW: Final = 370.0
_HEIGHT_WIDE: Final = 372.0
_HEIGHT_NARROW: Final = 264.0
_LEFT: Final = 42.0
_TOP: Final = 20.0
_BELOW: Final = 36.0  # room for the axis labels
_TICKS: Final = 5
_PIXELS_A_LABEL: Final = 9.0  # a character of an axis label, with air around it


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """The errors of one window, as the table says them; empty where there is none."""

    window: str
    labelled_rows: int
    production: str  # the serving model on the window's labelled rows
    holdout_rows: str
    champion: str  # on the holdout
    candidate: str  # on the same rows
    ending: str


def error_rows(windows: Sequence[Window]) -> list[ErrorRow]:
    """Newest window first."""
    rows = []
    for window in reversed(windows):
        drift, compared = window.cycle.drift, window.cycle.compared
        rows.append(
            ErrorRow(
                window=window.label,
                labelled_rows=drift.labelled_rows if drift else 0,
                production=_digits(drift.champion_rmse if drift else None),
                holdout_rows=str(compared.rows) if compared else "",
                champion=_digits(
                    compared.champion.rmse if compared and compared.champion else None
                ),
                candidate=_digits(compared.candidate.rmse if compared else None),
                ending=window.ending,
            )
        )
    return rows


def error_chart(windows: Sequence[Window], width: float = WIDE) -> Markup | None:
    """The picture, `width` units wide; None when no error is known yet."""
    values = [value for window in windows for value in _errors(window)]
    if not values:
        return None
    low, high = min(values), max(values)
    air = (high - low) * 0.12 or high * 0.1 or 1.0
    low = max(0.0, low - air)
    height = _HEIGHT_WIDE if width >= WIDE else _HEIGHT_NARROW
    bottom = height - _BELOW
    up = linear(low, high + air, bottom, _TOP + 6)
    right = width - 10
    across = linear(0, max(1, len(windows) - 1), _LEFT + 14, right - 14)
    production = [
        window.cycle.drift.champion_rmse if window.cycle.drift else None for window in windows
    ]
    return drawing(
        width,
        height,
        *_grid(low, high + air, up, right),
        *_axis(windows, across, width, bottom),
        *polylines(
            [None if rmse is None else (across(i), up(rmse)) for i, rmse in enumerate(production)],
            "series production",
        ),
        *[
            tag("circle", cx=across(i), cy=up(rmse), r=3.4, class_="point production")
            for i, rmse in enumerate(production)
            if rmse is not None
        ],
        *[part for i, window in enumerate(windows) for part in _duel(window, across(i), up)],
        label="Root mean square error over the windows: production on labelled rows, and each "
        "candidate against the champion on the same held-out rows; the table holds every number",
        class_="chart errors",
    )


def _errors(window: Window) -> list[float]:
    drift, compared = window.cycle.drift, window.cycle.compared
    found = [drift.champion_rmse if drift else None]
    if compared:
        found += [compared.candidate.rmse, compared.champion.rmse if compared.champion else None]
    return [value for value in found if value is not None]


def _duel(window: Window, x: float, up: Scale) -> list[Markup]:
    """Champion (hollow square) and candidate (triangle, or a cross when turned away)."""
    compared = window.cycle.compared
    if compared is None:
        return []
    x += 7
    candidate = up(compared.candidate.rmse)
    parts = []
    if compared.champion:
        champion = up(compared.champion.rmse)
        parts += [
            line(x, champion, x, candidate, "duel"),
            tag(
                "rect", x=x - 3, y=champion - 3, width=6.0, height=6.0, class_="champion-on-holdout"
            ),
        ]
    said = (
        f"{window.label}: candidate {_digits(compared.candidate.rmse)}, champion "
        f"{_digits(compared.champion.rmse if compared.champion else None) or 'none'}, "
        f"n = {compared.rows}: {window.ending}"
    )
    if window.promoted:
        shape = f"M{x:.1f},{candidate - 5:.1f}l5,9h-10z"
        parts.append(tag("path", tag("title", said), d=shape, class_="candidate promoted"))
    else:
        shape = f"M{x - 4:.1f},{candidate - 4:.1f}l8,8m0,-8l-8,8"
        parts.append(tag("path", tag("title", said), d=shape, class_="candidate rejected"))
    return parts


def _grid(low: float, high: float, up: Scale, right: float) -> list[Markup]:
    parts = []
    for step in range(_TICKS):
        value = low + (high - low) * step / (_TICKS - 1)
        parts += [
            line(_LEFT, up(value), right, up(value), "grid" if step else "axis"),
            words(_LEFT - 6, up(value) + 4, significant_digits(value, 2), "tick", "end"),
        ]
    return parts


def _axis(windows: Sequence[Window], across: Scale, width: float, bottom: float) -> list[Markup]:
    longest = max((len(window.label) for window in windows), default=4)
    room = int((width - _LEFT) / (_PIXELS_A_LABEL * max(4, longest)))
    step = every(len(windows), room)
    parts = []
    for i, window in enumerate(windows):
        x = across(i)
        if window.promoted:
            parts += [
                line(x, _TOP, x, bottom, "promotion"),
                words(x, _TOP - 5, window.promotion_mark, "promotion-mark"),
            ]
        if (len(windows) - 1 - i) % step == 0:
            drift = window.cycle.drift
            parts += [
                words(x, bottom + 15, window.label, "tick"),
                words(x, bottom + 28, f"n {drift.labelled_rows if drift else 0}", "tick rows"),
            ]
    return parts


def _digits(value: float | None) -> str:
    return "" if value is None else significant_digits(value)
