"""What the windows are called on an axis and in a table, each told apart from the others.

Windows of a year are called by their year, all others by the `as_of` of their cycle: the time that
its user typed, or that the clock said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from app.web.windows import Window
from domain.times import parse_time

_YEAR: Final = timedelta(days=300)  # that a window called by its year lasts at least
_MONTH: Final = timedelta(days=25)
_TIMES: Final = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")


def labelled(windows: Sequence[Window]) -> list[Window]:
    """The windows that were looked at, with the shortest labels that differ where `as_of` does.

    Those of one `as_of` are told apart by the number of their cycle: '3 Oct #12'.
    """
    looked_at = [window for window in windows if window.bounds is not None]
    labels: list[str] = []
    for form in _forms(looked_at):
        labels = [form(window) for window in looked_at]
        if len(set(labels)) == len({window.as_of for window in looked_at}):
            break
    often = Counter(labels)
    return [
        replace(window, label=f"{label} #{_number(window)}" if often[label] > 1 else label)
        for window, label in zip(looked_at, labels, strict=True)
    ]


def runs_back(windows: Sequence[Window]) -> list[int]:
    """Where the windows, in the order of their cycles, look from earlier than the one before.

    Positions from 1 on: usually those of cycles that set later ones aside.
    """
    return [i for i in range(1, len(windows)) if windows[i].as_of < windows[i - 1].as_of]


def _forms(windows: Sequence[Window]) -> list[Callable[[Window], str]]:
    """Ways to call these windows, the shortest first."""
    bounds = [window.bounds for window in windows if window.bounds is not None]
    shortest = min((end - start for start, end in bounds), default=timedelta())
    one_year = len({window.as_of[:4] for window in windows}) == 1
    day = "{day} %b" if one_year else "{day} %b %Y"
    forms = ["%b %Y"] if shortest >= _MONTH else []
    forms += [day, *(f"{day} {time}" for time in _TIMES)]
    by_as_of = [_as_of_in(form) for form in forms]
    return [_year, *by_as_of] if shortest >= _YEAR else by_as_of


def _year(window: Window) -> str:
    start, end = window.bounds or (parse_time(window.as_of),) * 2
    return str((start + (end - start) / 2).year)


def _as_of_in(form: str) -> Callable[[Window], str]:
    def said(window: Window) -> str:
        as_of = parse_time(window.as_of)
        return as_of.strftime(form.format(day=as_of.day))

    return said


def _number(window: Window) -> str:
    return window.id.rpartition("-")[2]
