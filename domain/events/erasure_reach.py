"""What an erasure may reach: what was written before it, of the same model, and nothing else.

Whoever may append could otherwise name data that others are still to write, and have it destroyed
or passed over in silence. So one that names more is refused, and what it names is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from domain.events.block_events import RowPlace
from domain.events.cycle_events import (
    CandidateRefitted,
    CandidateTrained,
    DataMerged,
    DriftMeasured,
)
from domain.events.events import CandidatePromoted, ChampionRolledBack, PayloadErased
from domain.path_parts import is_path_part

ERASABLE_FIELDS: Final = ("reference_sha256", "identities_sha256", "residuals_sha256")
FREEZE: Final = frozenset(  # the types of the events that have those fields
    event.type
    for event in (
        *(CandidateTrained, CandidateRefitted, DataMerged, DriftMeasured),
        *(CandidatePromoted, ChampionRolledBack),
    )
)
_ROWS: Final = ("observations", "predictions")  # categories of streams whose data stands apart


def model_of_rows(stream: str) -> str | None:
    """The model of a stream whose events' data can be erased; None for any other stream."""
    category, _, model = stream.partition("-")
    return model if category in _ROWS else None


def model_of_frozen(stream: str) -> str | None:
    """The model whose cycle or promotion names what it froze; None for any other stream."""
    category, _, rest = stream.partition("-")
    if category == "cycle":
        return rest.rpartition("-")[0]
    return rest if category == "model" else None


class ManyRows(NamedTuple):
    """An entry of many rows."""

    model: str | None  # None: its stream is none of rows
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoodBefore:
    """What stood before an erasure, of what it names."""

    rows_model: Callable[[int], str | None]  # position -> the model of the row that stands apart
    many_rows: Callable[[int], ManyRows | None]  # position -> what stands there; None: no such
    is_frozen: Callable[[str], bool]  # whether an entry of its model names this digest as erasable
    has_started: Callable[[str], bool]  # whether this cycle did


def beyond_reach(event: PayloadErased, position: int, before: StoodBefore) -> Iterator[str]:
    """What the erasure at `position` names and may not, in words."""
    for each in event.entries:
        if not 0 <= each < position:
            yield f"entry {each}, which does not stand before it"
        elif before.rows_model(each) != event.model:
            yield f"entry {each}, whose data is none of a row of {event.model!r}"
    for place in event.rows:
        if not _is_row(place, event.model, position, before):
            yield (
                f"row {place.row} of entry {place.position}, which is no row of {event.model!r} "
                "before it"
            )
    for sha256 in event.artefacts:
        if not before.is_frozen(sha256):
            yield f"the artefact {sha256[:80]!r}, which nothing of {event.model!r} froze before it"
    for cycle in event.cycles:
        if not _is_its(cycle, event.model, before):
            yield f"the cycle {cycle[:80]!r}, which is none of {event.model!r} before it"


def within_reach(event: PayloadErased, position: int, before: StoodBefore) -> PayloadErased:
    """The erasure at `position`, naming only what it may: the rest of it counts for nothing."""
    return replace(
        event,
        entries=tuple(
            each
            for each in event.entries
            if 0 <= each < position and before.rows_model(each) == event.model
        ),
        rows=tuple(each for each in event.rows if _is_row(each, event.model, position, before)),
        artefacts=tuple(filter(before.is_frozen, event.artefacts)),
        cycles=tuple(each for each in event.cycles if _is_its(each, event.model, before)),
    )


def _is_row(place: RowPlace, model: str, position: int, before: StoodBefore) -> bool:
    if not 0 <= place.position < position:
        return False
    found = before.many_rows(place.position)
    return found is not None and found.model == model and 0 <= place.row < found.rows


def _is_its(cycle: str, model: str, before: StoodBefore) -> bool:
    # Its files are named after it; one that names none has none, and must not keep others' here.
    return is_path_part(cycle) and cycle.rpartition("-")[0] == model and before.has_started(cycle)


def frozen_in(data: dict[str, Any]) -> set[str]:
    """The digests that an event's data names and that an erasure may name, too."""
    return {str(data[name]) for name in ERASABLE_FIELDS if data.get(name) is not None}
