"""The axis of the windows under a chart: their labels and rows, promotions, and where it runs back.

Windows stand in the order of their cycles, which is the ledger's. Where a cycle looks from an
earlier time than the one before it, the axis runs back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup

from app.web.svg import Scale, every, line, tag, words
from app.web.window_labels import runs_back
from app.web.windows import Window

_YEAR_CHARACTERS: Final = 4
_CHARACTER: Final = 6.4  # units that a character of a label takes at most


def window_axis(
    windows: Sequence[Window],
    across: Scale,
    rows: Callable[[Window], int],
    *,
    width: float,
    top: float,
    bottom: float,
    years_max: int,
) -> list[Markup]:
    """Everything of the axis, for a drawing `width` units wide whose plot ends at `bottom`.

    `years_max`: labels of four characters that fit side by side; of longer ones fewer do.
    """
    longest = max((len(window.label) for window in windows), default=_YEAR_CHARACTERS)
    room = years_max * _YEAR_CHARACTERS // max(_YEAR_CHARACTERS, longest)
    step = every(len(windows), max(2, room))
    parts = []
    for i in runs_back(windows):
        x = (across(i - 1) + across(i)) / 2
        back = f"{windows[i].id} looked from earlier than {windows[i - 1].id}"
        parts += [
            line(x, top, x, bottom, "runs-back"),
            tag("text", tag("title", back), "«", x=x, y=top - 3, class_="tick runs-back-mark"),
        ]
    for i, window in enumerate(windows):
        x = across(i)
        if window.promoted:
            parts += [
                line(x, top, x, bottom, "promotion"),
                words(x, top - 3, window.promotion_mark, "promotion-mark"),
            ]
        if (len(windows) - 1 - i) % step == 0:
            parts += [
                _inside(x, bottom + 14, window.label, "tick", width),
                _inside(x, bottom + 27, f"n {rows(window)}", "tick rows", width),
            ]
    return parts


def _inside(x: float, y: float, text: str, class_: str, width: float) -> Markup:
    """The words in the middle of `x`, or from the edge on where they would be cut off by it."""
    half = len(text) * _CHARACTER / 2
    if x < half:
        return words(0, y, text, class_, "start")
    if x > width - half:
        return words(width, y, text, class_, "end")
    return words(x, y, text, class_)
