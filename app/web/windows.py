"""One model's cycles as the page tells them: a label, what was measured, how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.audit.cycle import NOT_FINISHED, conclusion_of, read_of
from app.projections.cycles import CycleKept
from domain.decisions.cycle import Cycle
from domain.events.findings import FeatureDrift
from domain.times import parse_time

_DAY: Final = len("1976-01-01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One cycle and the window it judged."""

    id: str  # the cycle's: 'car-price-12'
    as_of: str  # UTC
    label: str  # short, for an axis: '1976', 'Mar 1976', '3 May'; see `labelled`
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
    def bounds(self) -> tuple[datetime, datetime] | None:
        """Its start and its end, UTC; None when the cycle did not come to look at it."""
        looked_at = self.cycle.guarded or self.cycle.halted
        if looked_at is None:
            return None
        return parse_time(looked_at.window_start), parse_time(looked_at.window_end)

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


def window_of(kept: CycleKept) -> Window:
    """The window of a cycle as the read model keeps it."""
    read = read_of(kept)
    return Window(
        id=kept.cycle,
        as_of=kept.as_of,
        label=kept.as_of[:_DAY],
        cycle=read.cycle,
        set_aside=read.told.set_aside,
    )


def features_of(windows: Sequence[Window]) -> list[str]:
    """Every feature that was measured, in the order of the latest report that names it."""
    names: list[str] = []
    for window in reversed(windows):
        drift = window.cycle.drift
        if drift and drift.report:
            names += [found.feature for found in drift.report.features]
    return list(dict.fromkeys(names))
