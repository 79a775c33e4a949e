"""What the overview shows of a model's windows, drawn once for the cycles that it follows from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from threading import Lock
from typing import Final

from cachetools import LRUCache, cached
from markupsafe import Markup

from app.audit.gates import Gate, gates_of
from app.projections.cycles import CycleKept
from app.web.drift_chart import DriftCell, DriftPanel, drift_panels, drift_table
from app.web.error_chart import NARROW, WIDE, ErrorRow, error_chart, error_rows
from app.web.gate_bars import gate_bars
from app.web.window_labels import labelled, runs_back
from app.web.windows import Window, features_of, window_of

_CHARACTERS_REMEMBERED: Final = 2_000_000  # of cycles' states: some seven models' pages


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPictures:
    """The pictures of the windows, with the same as tables, and the gates of the last candidate."""

    features: tuple[str, ...] = ()
    panels: tuple[DriftPanel, ...] = ()
    runs_back: bool = False  # some window looked from an earlier time than the one before it
    drift_rows: tuple[tuple[Window, list[DriftCell | None]], ...] = ()
    errors_wide: Markup | None = None
    errors_narrow: Markup | None = None
    error_rows: tuple[ErrorRow, ...] = ()
    gates: tuple[tuple[Gate, Markup | None], ...] = ()
    gates_of: str = ""
    characters: int = 0  # of the states they follow from


@cached(LRUCache(_CHARACTERS_REMEMBERED, attrgetter("characters")), lock=Lock())
def window_pictures(cycles: tuple[CycleKept, ...], trained: CycleKept | None) -> WindowPictures:
    """What is shown of these cycles' windows, oldest first.

    They follow from what is kept of the cycles alone, so they are remembered by it: to draw them
    takes longer than everything else about the page.

    Args:
        cycles: of one model.
        trained: the cycle of its newest candidate, one of these or an earlier one.
    """
    windows = labelled([window_of(each) for each in cycles])
    last = None if trained is None else _labelled_as(trained, windows)
    kept = cycles if trained is None else (*cycles, trained)
    return WindowPictures(
        features=tuple(features_of(windows)),
        panels=tuple(drift_panels(windows)),
        runs_back=bool(runs_back(windows)),
        drift_rows=tuple(drift_table(windows)),
        errors_wide=error_chart(windows, WIDE),
        errors_narrow=error_chart(windows, NARROW),
        error_rows=tuple(error_rows(windows)),
        gates=tuple((gate, gate_bars(gate)) for gate in gates_of(last.cycle)) if last else (),
        gates_of=_gates_of(last) if last else "",
        characters=sum(len(each.state) for each in kept),
    )


def _labelled_as(trained: CycleKept, windows: Sequence[Window]) -> Window | None:
    """Its window, called as the others call it where it is one of them."""
    alone = labelled([window_of(trained)])
    return next((each for each in [*windows, *alone] if each.id == trained.cycle), None)


def _gates_of(trained: Window) -> str:
    """Whose gates, of which window, and who set that cycle aside."""
    candidate = trained.cycle.trained.candidate if trained.cycle.trained else ""
    return ". ".join(filter(None, (f"{candidate}, {trained.label}", trained.set_aside)))
