"""Rows of one request that share an entry: which they are, and that entry.

Rows of different requests are never joined, for each has a cause of its own. A row alone is smaller
as a plain event.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

from app.cause import Cause
from app.clock import new_row_salts
from app.ledger.batch import UNPLACED, NewEvent, PreparedEntry, PreparedRows
from domain.blocks.block import Block, block_of
from domain.blocks.ids import ROWS_MAX, RowKeys, prediction_ids
from domain.blocks.layouts import LAYOUTS, in_canonical_order
from domain.blocks.lines import lines_of
from domain.canonical import holds_nul, leaf_hash
from domain.errors import NotCanonical
from domain.events.block_events import (
    BlockEvent,
    ObservationsRecorded,
    OutcomesRecorded,
    PredictionsMade,
    TimeColumn,
)
from domain.events.envelope import Recorded, envelope_bytes
from domain.events.events import Event, ObservationRecorded, OutcomeRecorded, PredictionMade
from domain.events.rows_apart import RowsApart

ROW_DIGEST_BYTES: Final = 16  # of a row's request digest, its first half
_OF_OURS: Final = re.compile(r"/models/[^/]+/datasets/[0-9a-f]{64}")  # it says nothing of anybody
_Shared = tuple[object, ...]


def runs_of(events: Sequence[NewEvent], apart: Collection[str]) -> Iterator[tuple[NewEvent, ...]]:
    """The events that may share an entry, in order; of most a run is one event.

    An event whose id is in `apart`, or came before, stands alone and behind the others: nothing of
    it is appended when it is known.
    """
    run: list[NewEvent] = []
    shared: _Shared | None = None
    alone, there = [], set()
    for new in events:
        if new.id in apart or new.id in there:
            alone.append(new)
            continue
        there.add(new.id)
        its = _shared(new)
        if run and (its is None or its != shared or len(run) == ROWS_MAX):
            yield tuple(run)
            run = []
        run.append(new)
        shared = its
    if run:
        yield tuple(run)
    for new in alone:
        yield (new,)


def joined(stream: str, run: Sequence[NewEvent], cause: Cause, recorded_at: str) -> PreparedEntry:
    """The entry that the events of a run of several share.

    Raises:
        NotCanonical: a row holds what JSON cannot, or NUL in a text.
        ValueError: the ids of predictions do not count on from the first.
    """
    keys = run[0].keys
    assert keys is not None  # noqa: S101 - `runs_of` joins no others
    block, shared = _block_of(run, keys)
    occurred_at = shared.occurred_until
    content = envelope_bytes(
        shared,
        id=run[0].id,
        stream=stream,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        actor=cause.actor,
        correlation_id=cause.correlation_id,
        causation_id=cause.causation_id,
    )
    if holds_nul(content):
        raise NotCanonical(
            f"{shared.type}: a text holds U+0000 (NUL), which not every database keeps. Leave it "
            "out."
        )
    recorded = Recorded(
        position=UNPLACED,
        stream=stream,
        stream_version=UNPLACED,
        id=run[0].id,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        actor=cause.actor,
        correlation_id=cause.correlation_id,
        causation_id=cause.causation_id,
        event=shared,
        rows=len(run),
        rows_apart=RowsApart(block, LAYOUTS[shared.type, shared.schema]),
    )
    rows = PreparedRows(block, tuple(run), None)
    if not rows.have_ids_of_clients:
        if [new.id for new in run] != prediction_ids(run[0].id, len(run)):
            raise ValueError("predictions of one request whose ids do not count on from the first")
        return PreparedEntry(
            recorded, content, leaf_hash(content), run[0].request_digest, None, rows
        )
    if run[0].request_digest:
        rows = PreparedRows(block, tuple(run), b"".join(map(_half_of_digest, run)))
    return PreparedEntry(recorded, content, leaf_hash(content), None, None, rows)


def plain_rows(entry: Recorded, rows: PreparedRows) -> Iterator[Recorded]:
    """The rows of an entry that has its place, as `expand` reads them back."""
    for row, new in enumerate(rows.events):
        yield Recorded(
            position=entry.position,
            stream=entry.stream,
            stream_version=entry.stream_version,
            id=new.id,
            occurred_at=new.occurred_at,
            recorded_at=entry.recorded_at,
            actor=entry.actor,
            correlation_id=entry.correlation_id,
            causation_id=entry.causation_id,
            event=new.event,
            row=row,
            rows=entry.rows,
        )


def _shared(new: NewEvent) -> _Shared | None:
    """What all rows of an entry have in common; None: this one shares its entry with nobody."""
    event, keys = new.event, new.keys
    if keys is None:
        return None
    if isinstance(event, PredictionMade):
        said = (event.model, event.model_version, event.plan_sha256, event.request_id)
        return (PredictionMade, keys, *said, new.request_digest)
    assert isinstance(event, ObservationRecorded | OutcomeRecorded)  # noqa: S101 - rows' events
    if event.extensions:  # which no line has a place for
        return None
    source = event.source if _may_say_source(new, event.source) else None
    return (type(event), keys, event.model, source, new.personal, bool(new.request_digest))


def _may_say_source(new: NewEvent, source: str) -> bool:
    """Whether who sent the rows may stand in what is hashed, and so is never erased."""
    return not new.personal or _OF_OURS.fullmatch(source) is not None


def _block_of(run: Sequence[NewEvent], keys: RowKeys) -> tuple[Block, BlockEvent]:
    first: Event = run[0].event
    if isinstance(first, OutcomeRecorded):
        columns: list[str] = []
    else:
        assert isinstance(first, PredictionMade | ObservationRecorded)  # noqa: S101 - rows' events
        columns = in_canonical_order(first.row)
    lines = lines_of(_values(run, columns))
    block = block_of(lines, new_row_salts(len(lines)))
    times = [new.occurred_at for new in run]
    common: dict[str, Any] = {
        "model": first.model,
        "row_schema": first.schema,
        "rows": len(lines),
        "rows_root": block.root().hex(),
        "occurred_from": min(times),
        "occurred_until": max(times),
    }
    if not isinstance(first, PredictionMade):
        common["source"] = first.source if _may_say_source(run[0], first.source) else None
    if isinstance(first, OutcomeRecorded):
        return block, OutcomesRecorded(**common)
    common |= {
        "columns": tuple(columns),
        "identity": keys.identity,
        "event_time": TimeColumn(column=keys.time_column, read_as=keys.read_as),
    }
    if isinstance(first, ObservationRecorded):
        return block, ObservationsRecorded(**common)
    return block, PredictionsMade(
        **common,
        model_version=first.model_version,
        plan_sha256=first.plan_sha256,
        request_id=first.request_id,
    )


def _values(run: Sequence[NewEvent], columns: Sequence[str]) -> list[tuple[object, ...]]:
    """What each line holds, by the layouts of `domain/blocks/layouts.py`."""
    cells = itemgetter(*columns) if len(columns) > 1 else None
    values: list[tuple[object, ...]] = []
    for new in run:
        event = new.event
        if isinstance(event, OutcomeRecorded):
            source = None if _may_say_source(new, event.source) else event.source
            said = (event.prediction_id, event.identity, event.label, new.occurred_at)
            values.append((event.source_id, source, *said))
            continue
        assert isinstance(event, PredictionMade | ObservationRecorded)  # noqa: S101 - rows' events
        row = cells(event.row) if cells else tuple(event.row[name] for name in columns)
        if isinstance(event, PredictionMade):
            values.append((event.prediction, event.unknown_categories, *row))
        else:
            source = None if _may_say_source(new, event.source) else event.source
            values.append((event.source_id, source, *row))
    return values


def _half_of_digest(new: NewEvent) -> bytes:
    assert new.request_digest  # noqa: S101 - all rows of a run have one, or none has
    return new.request_digest[:ROW_DIGEST_BYTES]
