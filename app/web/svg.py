"""SVG elements as escaped text, and the scales that charts share.

Colours and line styles stand in the stylesheet as classes, so that dark mode, print and a strict
Content-Security-Policy (no inline style) work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Final

from markupsafe import Markup, escape

Scale = Callable[[float], float]
_WORDS_REMEMBERED: Final = 256  # classes and anchors, which every mark names again


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """One SVG element; `class_` and `stroke_width` become `class` and `stroke-width`.

    Attributes that are None are left out, numbers are written with two decimals at most, and
    everything that is not markup yet is escaped.

    >>> str(tag("text", "a < b", class_="tick", x=1.234))
    '<text class="tick" x="1.23">a &lt; b</text>'
    """
    written = "".join(
        f' {_attribute(key)}="{_escaped(value) if isinstance(value, str) else _number(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(str(escape(child)) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>") if inner else Markup(f"<{name}{written}/>")  # noqa: S704


def drawing(width: float, height: float, *children: str, label: str, class_: str) -> Markup:
    """A whole picture: one image with a name for those who do not see it."""
    return tag(
        "svg",
        *children,
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        role="img",
        aria_label=label,
        class_=class_,
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def words(x: float, y: float, text: str, class_: str, anchor: str = "middle") -> Markup:
    """A short text, its baseline at `y`."""
    return tag("text", text, x=x, y=y, class_=class_, text_anchor=anchor)


def polylines(points: Sequence[tuple[float, float] | None], class_: str) -> list[Markup]:
    """Lines through `points`, broken where one is missing."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [
        tag(
            "polyline",
            points=" ".join(f"{_number(x)},{_number(y)}" for x, y in run),
            class_=class_,
        )
        for run in runs
        if len(run) > 1
    ]


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """The scale that takes `low` to `start` and `high` to `end`; to the middle when both agree."""
    span = high - low
    if span == 0:
        return lambda _: (start + end) / 2
    return lambda value: start + (value - low) / span * (end - start)


def every(count: int, room: int) -> int:
    """Every how many-th label fits when `room` labels have a place.

    >>> every(15, 15), every(16, 15), every(0, 4)
    (1, 2, 1)
    """
    return max(1, -(-count // max(1, room)))


@cache
def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


@lru_cache(maxsize=_WORDS_REMEMBERED)
def _escaped(text: str) -> str:
    return str(escape(text))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
