"""Preparing what is to be appended before the lock: bytes, hashes, which rows share an entry."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from app.cause import Cause
from app.clock import new_salt
from app.ledger.batch import (
    UNPLACED,
    PreparedEntry,
    PreparedStream,
    category,
)
from app.ledger.joining import joined, runs_of
from app.ledger.new_events import NewEvent, StreamAppend
from domain.canonical import INTEGER_MAX, holds_nul, leaf_hash
from domain.errors import NotCanonical, RequestInvalid
from domain.events.envelope import Recorded, envelope_bytes, parse_entry, payload_of
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade, Row
from domain.faults import pointer

EVENTS_PER_APPEND_MAX: Final = 10_000  # one transaction must not hold the lock for long
# The events that come by the thousand. Reading each back would cost half of its preparation; a
# property test holds that what is read back equals the event itself.
_NOT_READ_BACK: Final = (PredictionMade, ObservationRecorded, OutcomeRecorded)


def prepare(
    appends: Sequence[StreamAppend],
    cause: Cause,
    *,
    recorded_at: str,
    apart: Collection[str] = (),
) -> tuple[PreparedStream, ...]:
    """Canonical bytes and leaf hashes of everything.

    What projections see equals what a rebuild will read from those bytes: entries are read back
    here, but for the few types whose every value survives the way (a test holds them to it).

    Args:
        appends: by stream.
        cause: of all of them.
        recorded_at: when the ledger takes them.
        apart: ids of events that must not share an entry with others, for they may be known.

    Raises:
        NotCanonical: an event holds what JSON cannot, or NUL in a text.
        RequestInvalid: more events than one append may hold.
        ValueError: an event belongs into another category of streams.
    """
    ids = [append.ids for append in appends]
    count = sum(map(len, ids))
    if count > EVENTS_PER_APPEND_MAX:
        raise RequestInvalid(
            f"{count} events in one append; at most {EVENTS_PER_APPEND_MAX}. Send them in parts."
        )
    return tuple(
        PreparedStream(
            append.stream,
            tuple(
                _prepare_entry(append.stream, run, cause, recorded_at)
                if isinstance(run, NewEvent)
                else joined(append.stream, run, cause, recorded_at)
                for run in runs_of(append.events, apart)
            ),
            append.expected_version,
            asked,
        )
        for append, asked in zip(appends, ids, strict=True)
    )


def _prepare_entry(stream: str, new: NewEvent, cause: Cause, recorded_at: str) -> PreparedEntry:
    if category(stream) != category(new.event.stream):
        raise ValueError(f"{new.event.type} belongs into {new.event.stream!r}, not {stream!r}")
    payload = None
    if new.personal:
        if not isinstance(new.event, _NOT_READ_BACK):
            raise ValueError(f"{new.event.type} is no event about a row; its data stays with it")
        payload = payload_of(new.event, new_salt())
    content = envelope_bytes(
        new.event,
        id=new.id,
        stream=stream,
        occurred_at=new.occurred_at,
        recorded_at=recorded_at,
        actor=cause.actor,
        correlation_id=cause.correlation_id,
        causation_id=cause.causation_id,
        data_commit=None if payload is None else payload.commit,
    )
    if holds_nul(content) or (payload is not None and holds_nul(payload.content)):
        raise NotCanonical(
            f"{new.event.type}: a text holds U+0000 (NUL), which not every database keeps. Leave "
            "it out."
        )
    if isinstance(new.event, _NOT_READ_BACK):
        if not isinstance(new.event, OutcomeRecorded):
            _check_reads_back(new.event.row)
        recorded = Recorded(
            position=UNPLACED,
            stream=stream,
            stream_version=UNPLACED,
            id=new.id,
            occurred_at=new.occurred_at,
            recorded_at=recorded_at,
            actor=cause.actor,
            correlation_id=cause.correlation_id,
            causation_id=cause.causation_id,
            event=new.event,
        )
    else:
        recorded = parse_entry(content, position=UNPLACED, stream_version=UNPLACED)
    return PreparedEntry(recorded, content, leaf_hash(content), new.request_digest, payload)


def _check_reads_back(row: Row) -> None:
    """Refuse a number that canonical JSON writes as an integer too large to be read again.

    Raises:
        NotCanonical: a float beyond 2^53 - 1; between, 5.0 is written as 5, which is equal.
    """
    for name, value in row.items():
        if type(value) is float and not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise NotCanonical(
                f"{pointer('data', 'row', name)}: {value!r} has no canonical form that reads back "
                "the same (a number beyond 2^53 - 1); choose a larger unit."
            )
