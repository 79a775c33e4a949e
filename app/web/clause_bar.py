"""A clause as a bar whose middle is the threshold; the words beside it say the same."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from app.audit.clauses import Clause
from app.web.svg import drawing, line, tag, words
from domain.events.verdicts import told_apart

_WIDTH: Final = 240.0
_HEIGHT: Final = 36.0
_BAR_TOP: Final = 4.0
_BAR_HEIGHT: Final = 12.0


def clause_bar(clause: Clause) -> Markup:
    """The picture of one clause; an unknown one has no knob."""
    middle = _WIDTH / 2
    wants_more = clause.operator.startswith(">")
    parts = [
        tag("rect", x=0, y=_BAR_TOP, width=_WIDTH, height=_BAR_HEIGHT, rx=3, class_="track"),
        tag(
            "rect",
            x=middle if wants_more else 0,
            y=_BAR_TOP,
            width=middle,
            height=_BAR_HEIGHT,
            class_="wanted",
        ),
    ]
    if clause.observed is not None:
        end = share_of_bar(clause.observed, clause.threshold) * _WIDTH
        parts += [
            tag(
                "rect",
                x=0,
                y=_BAR_TOP + 3,
                width=max(end, 1.5),
                height=_BAR_HEIGHT - 6,
                class_=f"fill {clause.verdict}",
            ),
            tag(
                "circle",
                cx=min(max(end, 5.0), _WIDTH - 5),
                cy=_BAR_TOP + _BAR_HEIGHT / 2,
                r=5,
                class_=f"knob {clause.verdict}",
            ),
        ]
    parts += [
        line(middle, 0, middle, _BAR_TOP + _BAR_HEIGHT + 4, "bound"),
        words(middle, _HEIGHT - 4, _bound(clause), "tick"),
        words(
            _WIDTH if wants_more else 0,
            _HEIGHT - 4,
            "needed →" if wants_more else "← needed",
            "tick",
            "end" if wants_more else "start",
        ),
    ]
    return drawing(
        _WIDTH,
        _HEIGHT,
        *parts,
        label=f"{clause.label}: {clause.shown}, needs {clause.needs}: {clause.verdict}",
        class_="bar",
    )


def _bound(clause: Clause) -> str:
    observed = clause.threshold if clause.observed is None else clause.observed
    return told_apart(observed, clause.threshold)[1]


def share_of_bar(observed: float, threshold: float) -> float:
    """Where `observed` stands on a bar whose middle is the threshold: 0 to 1, never leaving it.

    Every clause reads alike, whatever its unit: the middle is the threshold, twice the threshold
    stands at two thirds.

    >>> share_of_bar(0.2, 0.2), share_of_bar(0.0, 50.0), round(share_of_bar(100.0, 50.0), 3)
    (0.5, 0.0, 0.667)
    """
    low, bound = max(0.0, observed), abs(threshold)
    if low + bound == 0:
        return 0.5
    return low / (low + bound)
