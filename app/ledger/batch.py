"""What is asked to be appended, and its preparation: bytes and hashes, made before the lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from app.cause import Cause
from app.clock import new_salt
from domain.canonical import INTEGER_MAX, holds_nul, leaf_hash, sha256_hex
from domain.errors import NotCanonical, RequestInvalid
from domain.events.envelope import Recorded, envelope_bytes, parse_entry, payload_of
from domain.events.erasure import Payload
from domain.events.events import Event, ObservationRecorded, OutcomeRecorded, PredictionMade, Row
from domain.faults import pointer
from domain.stored_damage import StoredDamage

EVENTS_PER_APPEND_MAX: Final = 10_000  # one transaction must not hold the lock for long
_UNPLACED: Final = -1  # position and version of an entry that has neither yet
# The events that come by the thousand. Reading each back would cost half of its preparation; a
# property test holds that what is read back equals the event itself.
_NOT_READ_BACK: Final = (PredictionMade, ObservationRecorded, OutcomeRecorded)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that somebody wants in the ledger."""

    event: Event
    id: str  # UUID; UUIDv7 of ours, or UUIDv5 of what the client said
    occurred_at: str
    request_digest: bytes | None = None  # SHA-256 of what the client sent, 32 bytes
    personal: bool = False  # a row's event about a person: its data is kept apart, to be erasable


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """Events for one stream.

    `expected_version` is the stream's version the decision was made on; -1: it must not exist yet;
    None: whatever it is.
    """

    stream: str
    events: tuple[NewEvent, ...]
    expected_version: int | None


@dataclass(frozen=True, slots=True)
class Artefact:
    """Bytes that an event names by digest, kept in the same transaction."""

    sha256: str
    kind: str  # plan, reference or identities
    content: bytes


@dataclass(frozen=True, slots=True)
class PreparedEntry:
    """An entry that lacks only its place."""

    recorded: Recorded  # as it reads back, without position and version
    content: bytes
    leaf_hash: bytes
    request_digest: bytes | None
    payload: Payload | None = None  # what stands apart; None: all of it is in `content`


@dataclass(frozen=True, slots=True)
class PreparedStream:
    """One stream's share of an append."""

    stream: str
    entries: tuple[PreparedEntry, ...]
    expected_version: int | None


@dataclass(frozen=True, slots=True)
class PreparedAppend:
    """Everything one caller wants appended, all or nothing, ready for the lock.

    `check` runs under the lock, after the artefacts and before the events, when there is anything
    to append; what it raises undoes everything.
    """

    streams: tuple[PreparedStream, ...]
    artefacts: tuple[Artefact, ...] = ()
    check: Callable[[Connection], None] | None = None

    @property
    def events(self) -> int:
        """How many events it holds."""
        return sum(len(part.entries) for part in self.streams)

    @property
    def alone(self) -> bool:
        """Whether it needs a transaction of its own: what it does may undo the transaction."""
        return bool(self.artefacts) or self.check is not None


def prepare(
    appends: Sequence[StreamAppend], cause: Cause, *, recorded_at: str
) -> tuple[PreparedStream, ...]:
    """Canonical bytes and leaf hashes of everything.

    What projections see equals what a rebuild will read from those bytes: entries are read back
    here, but for the few types whose every value survives the way (a test holds them to it).

    Raises:
        NotCanonical: an event holds what JSON cannot, or NUL in a text.
        RequestInvalid: more events than one append may hold.
        ValueError: an event belongs into another category of streams.
    """
    count = sum(len(append.events) for append in appends)
    if count > EVENTS_PER_APPEND_MAX:
        raise RequestInvalid(
            f"{count} events in one append; at most {EVENTS_PER_APPEND_MAX}. Send them in parts."
        )
    return tuple(
        PreparedStream(
            append.stream,
            tuple(_prepare_entry(append.stream, new, cause, recorded_at) for new in append.events),
            append.expected_version,
        )
        for append in appends
    )


def check_artefact(artefact: Artefact) -> None:
    """Refuse bytes that are not what their name says.

    Raises:
        LedgerDamaged: the digest of the content is another one.
    """
    found = sha256_hex(artefact.content)
    if found != artefact.sha256:
        raise StoredDamage(
            f"artefact {artefact.sha256} ({artefact.kind}) has the digest {found}. "
            "Restore the database from a back-up, or make the artefact again."
        )


def category(stream: str) -> str:
    """The part of a stream's name before the first `-`."""
    return stream.partition("-")[0]


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
            position=_UNPLACED,
            stream=stream,
            stream_version=_UNPLACED,
            id=new.id,
            occurred_at=new.occurred_at,
            recorded_at=recorded_at,
            actor=cause.actor,
            correlation_id=cause.correlation_id,
            causation_id=cause.causation_id,
            event=new.event,
        )
    else:
        recorded = parse_entry(content, position=_UNPLACED, stream_version=_UNPLACED)
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
