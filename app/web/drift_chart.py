"""Drift per feature over the windows: one small panel a feature, all on one scale.

The scale is the square root of PSI: the lines of its bands stay readable beside a PSI of 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Final

from markupsafe import Markup

from app.audit.drift_words import DRIFT_SYMBOL, DriftWord, drift_word
from app.web.svg import Scale, drawing, line, linear, polylines, tag, words
from app.web.window_axis import window_axis
from app.web.windows import Window, features_of
from domain.events.findings import MINOR, SIGNIFICANT, Band, FeatureDrift
from domain.events.verdicts import told_apart_from_each

_WIDTH: Final = 380.0
_HEIGHT: Final = 172.0
_LEFT: Final = 12.0
_RIGHT: Final = _WIDTH - 34.0
_TOP: Final = 14.0
_BOTTOM: Final = _HEIGHT - 34.0
_SHOWN_AT_ONCE: Final = 2_048  # figures of a page, each told in the panel and in the table
_YEARS_MAX: Final = 8  # that fit side by side, with the rows below them


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPanel:
    """One feature's picture, and what its heading says of the last window it was measured in."""

    feature: str
    picture: Markup
    when: str  # that window's label: '1990'
    latest: str  # its PSI: '0.131'
    word: DriftWord
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCell:
    """One feature in one window, as the table says it."""

    psi: str
    word: DriftWord
    symbol: str
    low_power: str  # why no drift cannot be said; empty: it can


BAND_LINES: Final[Sequence[tuple[float, Band]]] = (
    (MINOR, "minor"),
    (SIGNIFICANT, "significant"),
)


def drift_panels(windows: Sequence[Window]) -> list[DriftPanel]:
    """A panel for every feature that was ever measured; none when nothing was."""
    features = features_of(windows)
    found = {name: [window.drift_of(name) for window in windows] for name in features}
    top = max(
        (drift.psi for column in found.values() for drift in column if drift is not None),
        default=SIGNIFICANT,
    )
    up = _upwards(max(top, SIGNIFICANT * 1.25))
    return [_panel(name, found[name], windows, up, top) for name in features]


def drift_table(windows: Sequence[Window]) -> list[tuple[Window, list[DriftCell | None]]]:
    """Newest window first, a cell for each feature of `features_of(windows)`."""
    features = features_of(windows)
    return [
        (window, [_cell(window.drift_of(name), window.too_few) for name in features])
        for window in reversed(windows)
    ]


@lru_cache(maxsize=_SHOWN_AT_ONCE)
def _psi(value: float) -> str:
    """As the table and the points say it: never rounded onto a line that it did not reach."""
    return told_apart_from_each(value, [bound for bound, _ in BAND_LINES], 3)[0]


def _cell(drift: FeatureDrift | None, too_few: str) -> DriftCell | None:
    if drift is None:
        return None
    word = drift_word(drift)
    return DriftCell(
        psi=_psi(drift.psi),
        word=word,
        symbol=DRIFT_SYMBOL[word],
        low_power=(too_few or "too few rows to say no drift") if drift.low_power else "",
    )


def _panel(
    feature: str,
    column: Sequence[FeatureDrift | None],
    windows: Sequence[Window],
    up: Scale,
    top: float,
) -> DriftPanel:
    across = linear(0, max(1, len(windows) - 1), _LEFT + 8, _RIGHT - 10)
    latest, when = next(
        (drift, window.label)
        for drift, window in zip(reversed(column), reversed(windows), strict=True)
        if drift is not None
    )
    picture = drawing(
        _WIDTH,
        _HEIGHT,
        *_grid(up, top),
        *window_axis(
            windows,
            across,
            lambda window: window.rows,
            width=_WIDTH,
            top=_TOP,
            bottom=_BOTTOM,
            years_max=_YEARS_MAX,
        ),
        *polylines(
            [
                None if drift is None else (across(i), up(drift.psi))
                for i, drift in enumerate(column)
            ],
            "series",
        ),
        *_points(column, windows, across, up),
        label=f"PSI of {feature} over {len(windows)} windows, "
        f"with the lines at {MINOR} and {SIGNIFICANT}; the table below holds every number",
        class_="chart panel",
    )
    word = drift_word(latest)
    return DriftPanel(
        feature=feature,
        picture=picture,
        when=when,
        latest=_psi(latest.psi),
        word=word,
        symbol=DRIFT_SYMBOL[word],
    )


def _grid(up: Scale, top: float) -> list[Markup]:
    parts = [line(_LEFT, up(0), _RIGHT, up(0), "axis")]
    for value, kind in BAND_LINES:
        parts += [
            line(_LEFT, up(value), _RIGHT, up(value), f"bound {kind}"),
            words(_RIGHT + 4, up(value) + 4, f"{value:g}", f"tick {kind}", "start"),
        ]
    for value in (1.0, 4.0, 16.0):
        if value <= top:
            parts += [
                line(_LEFT, up(value), _RIGHT, up(value), "grid"),
                words(_RIGHT + 4, up(value) + 4, f"{value:g}", "tick", "start"),
            ]
    return parts


def _points(
    column: Sequence[FeatureDrift | None], windows: Sequence[Window], across: Scale, up: Scale
) -> list[Markup]:
    return [
        tag(
            "circle",
            tag(
                "title",
                f"{window.label}: PSI {_psi(drift.psi)}, {drift_word(drift)}, "
                f"n = {drift.rows}{', low power' if drift.low_power else ''}",
            ),
            cx=across(i),
            cy=up(drift.psi),
            r=3.6,
            class_="point hollow" if drift.low_power else "point",
        )
        for i, (drift, window) in enumerate(zip(column, windows, strict=True))
        if drift is not None
    ]


def _upwards(top: float) -> Scale:
    height = linear(0, sqrt(top), _BOTTOM, _TOP + 4)
    return lambda psi: height(sqrt(max(0.0, psi)))
