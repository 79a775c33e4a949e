"""What an erasure may reach: what was written before it, of the same model, and nothing else.

Whoever may append could otherwise name data that others are still to write, and have it destroyed
or passed over in silence. So one that names more is refused, and what it names is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from domain.events.events import PayloadErased

ERASABLE_FIELDS: Final = ("reference_sha256", "identities_sha256", "residuals_sha256")
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


def beyond_reach(
    event: PayloadErased,
    position: int,
    *,
    rows_model: Callable[[int], str | None],
    is_frozen: Callable[[str], bool],
    has_started: Callable[[str], bool],
) -> Iterator[str]:
    """What the erasure at `position` names and may not, in words.

    Args:
        event: the erasure.
        position: its own.
        rows_model: position before its own -> the model of the row whose data stands apart there.
        is_frozen: whether an entry before it, of its model, names this digest as erasable.
        has_started: whether this cycle started before it.
    """
    for each in event.entries:
        if not 0 <= each < position:
            yield f"entry {each}, which does not stand before it"
        elif rows_model(each) != event.model:
            yield f"entry {each}, whose data is none of a row of {event.model!r}"
    for sha256 in event.artefacts:
        if not is_frozen(sha256):
            yield f"the artefact {sha256[:80]!r}, which nothing of {event.model!r} froze before it"
    for cycle in event.cycles:
        if cycle.rpartition("-")[0] != event.model or not has_started(cycle):
            yield f"the cycle {cycle[:80]!r}, which is none of {event.model!r} before it"


def frozen_in(data: dict[str, Any]) -> set[str]:
    """The digests that an event's data names and that an erasure may name, too."""
    return {str(data[name]) for name in ERASABLE_FIELDS if data.get(name) is not None}
