"""One model's cycles as the page tells them: a label, what was measured, how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.audit.cycle import NOT_FINISHED, conclusion_of
from app.audit.setting_aside import set_aside_sentence
from app.projections.cycles import CycleView
from domain.decisions.cycle import Cycle, fold_state
from domain.events.findings import FeatureDrift
from domain.times import parse_time

_YEARLY_DAYS_MIN = 300
_MONTHLY_DAYS_MIN = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One cycle and the window it judged."""

    id: str  # the cycle's: 'car-price-12'
    as_of: str  # UTC
    label: str  # short, for an axis: '1976', 'Mar 1976', '3 May'
    cycle: Cycle
    set_aside: str = ""  # by whom and why; empty: it counts

    @property
    def promotion_mark(self) -> str:
        """Over the window in a picture: hollow where its promotion counts no more."""
        if not self.promoted:
            return ""
        return "△" if self.set_aside else "▲"

    @property
    def promoted(self) -> bool:
        """Whether a candidate came to serve at the end of it."""
        settled = self.cycle.settled
        return settled is not None and settled.promoted

    @property
    def rows(self) -> int:
        """Predictions in the window."""
        guarded, halted = self.cycle.guarded, self.cycle.halted
        return guarded.rows if guarded else halted.rows if halted else 0

    @property
    def ending(self) -> str:
        """How it ended, in one word or two, and whether it was set aside since."""
        ended = conclusion_of(self.cycle) or NOT_FINISHED
        return f"{ended}, set aside" if self.set_aside else ended

    def drift_of(self, feature: str) -> FeatureDrift | None:
        """What was measured of one feature; None when nothing was."""
        drift = self.cycle.drift
        if drift is None or drift.report is None:
            return None
        return next((found for found in drift.report.features if found.feature == feature), None)

    @property
    def too_few(self) -> str:
        """Why its blocks or runs are too few to say no drift; empty when they are not."""
        drift = self.cycle.drift
        return drift.report.too_few if drift is not None and drift.report is not None else ""


def window_of(view: CycleView) -> Window:
    """The window of a cycle as the read model has it."""
    folded = fold_state(view.state)
    return Window(
        id=view.cycle,
        as_of=view.as_of,
        label=_label(folded, view.as_of),
        cycle=folded,
        set_aside=set_aside_sentence(view.set_aside_by, view.set_aside_reason),
    )


def features_of(windows: Sequence[Window]) -> list[str]:
    """Every feature that was measured, in the order of the latest report that names it."""
    names: list[str] = []
    for window in reversed(windows):
        drift = window.cycle.drift
        if drift and drift.report:
            names += [found.feature for found in drift.report.features]
    return list(dict.fromkeys(names))


def _label(cycle: Cycle, as_of: str) -> str:
    """The middle of the window, as coarse as the window is long; `as_of` without one."""
    bounds = cycle.guarded or cycle.halted
    if bounds is None:
        return as_of[:4]
    start, end = parse_time(bounds.window_start), parse_time(bounds.window_end)
    middle = start + (end - start) / 2
    days = (end - start).days
    if days >= _YEARLY_DAYS_MIN:
        return str(middle.year)
    return f"{middle:%b %Y}" if days >= _MONTHLY_DAYS_MIN else f"{middle.day} {middle:%b}"
