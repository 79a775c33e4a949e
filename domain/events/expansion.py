"""From an entry of many rows to the plain events that it stands for: the only way there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from domain.blocks.block import erased_row
from domain.blocks.layouts import Layout
from domain.blocks.lines_together import rows_together
from domain.events.envelope import Recorded, event_data, event_from_data
from domain.events.erasure import Erased
from domain.events.events import Event, ObservationRecorded, OutcomeRecorded, PredictionMade
from domain.events.upcasting import UPCASTERS

_AT_ONCE: Final = 500  # rows: who takes a few need not wait for all
_KINDS: Final[dict[tuple[str, int], type[Event]]] = {
    (kind.type, kind.schema): kind
    for kind in (PredictionMade, ObservationRecorded, OutcomeRecorded)
}


def expand(entry: Recorded, first: int = 0) -> Iterator[Recorded]:
    """The plain events of an entry from row `first` on, in order; an entry of one is its own.

    A payload of an older schema comes back as one of the current schema, as everywhere. What is
    erased comes back as `Erased`, with the entry's own time.
    """
    yield from rows_of(entry, range(first, entry.rows))


def rows_of(entry: Recorded, rows: Iterable[int]) -> Iterator[Recorded]:
    """The plain events of some rows of an entry, as `expand` gives them."""
    if entry.rows_apart is None:
        yield entry
        return
    lines, layout = entry.rows_apart.block.lines, entry.rows_apart.layout
    shared = event_data(entry.event)
    name = (layout.plain, shared["row_schema"])
    kind = None if name in UPCASTERS else _KINDS.get(name)
    asked = iter(rows)
    while chosen := list(islice(asked, _AT_ONCE)):
        together = rows_together(layout, shared, entry.rows_apart.block, chosen)
        if kind is None or together is None:
            yield from (_plain(entry, layout, shared, row, lines[row]) for row in chosen)
            continue
        plain = layout.plain_rows(entry.id, chosen, shared, together)
        for row, (id, occurred_at, data) in zip(chosen, plain, strict=True):
            # Each value was read as the kind it has to be, so nothing is left to be checked.
            yield _recorded(entry, row, id, occurred_at, kind(**data))


def rows_about(entry: Recorded, identity: str) -> Iterator[int]:
    """The rows of an entry of many that are about this identity, in order; erased ones are about
    nobody any more."""
    if entry.rows_apart is None:
        return
    layout, shared = entry.rows_apart.layout, event_data(entry.event)
    for row, line in enumerate(entry.rows_apart.block.lines):
        if erased_row(line) is None and layout.identity_in(shared, line) == identity:
            yield row


def expanded(entries: Iterable[Recorded]) -> list[Recorded]:
    """`expand` of each, one after another."""
    return [
        plain
        for entry in entries
        for plain in ((entry,) if entry.rows_apart is None else expand(entry))
    ]


def _plain(
    entry: Recorded, layout: Layout, shared: dict[str, Any], row: int, line: bytes
) -> Recorded:
    gone = erased_row(line)
    event: Event | Erased
    if gone is None:
        id, occurred_at, data = layout.plain_row(entry.id, row, shared, line)
        event = event_from_data(layout.plain, shared["row_schema"], data)
    else:
        id, occurred_at = gone.id, entry.occurred_at
        event = Erased(type=layout.plain, schema=shared["row_schema"])
    return _recorded(entry, row, id, occurred_at, event)


def _recorded(
    entry: Recorded, row: int, id: str, occurred_at: str, event: Event | Erased
) -> Recorded:
    return Recorded(
        position=entry.position,
        stream=entry.stream,
        stream_version=entry.stream_version,
        id=id,
        occurred_at=occurred_at,
        recorded_at=entry.recorded_at,
        actor=entry.actor,
        correlation_id=entry.correlation_id,
        causation_id=entry.causation_id,
        event=event,
        row=row,
        rows=entry.rows,
    )
