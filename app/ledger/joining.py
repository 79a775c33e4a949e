"""Rows of one request that share an entry: which they are, and that entry.

Rows of different requests are never joined, for each has a cause of its own. A row alone is smaller
as a plain event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from app.cause import Cause
from app.ledger.batch import UNPLACED, PreparedEntry, PreparedRows
from app.ledger.many_rows import (
    block_of_events,
    block_of_predictions,
    block_of_sent,
    may_say_source,
)
from app.ledger.new_events import (
    NewEvent,
    NewPredictions,
    NewRows,
    NewSent,
    StreamAppend,
)
from domain.blocks.ids import ROWS_MAX, prediction_ids
from domain.blocks.layouts import LAYOUTS
from domain.canonical import holds_nul, leaf_hash
from domain.errors import NotCanonical
from domain.events.block_events import BlockEvent
from domain.events.envelope import Recorded, envelope_bytes
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade
from domain.events.rows_apart import RowsApart

_TRIES: Final = 3
ROW_DIGEST_BYTES: Final = 16  # of a row's request digest, its first half
_Shared = tuple[object, ...]
_Sent = TypeVar("_Sent", bound=NewSent)
Run: TypeAlias = tuple[NewEvent, ...] | NewPredictions | NewSent  # of two rows at least


class Apart:
    """The ids of an append's events that must not share an entry with others, for they are known.

    Others may record some of the same rows each time before it is committed. Rows that stand alone
    cannot be in its way: so it is not tried for ever.

    Args:
        appends: all that is to be appended.
    """

    def __init__(self, appends: Sequence[StreamAppend]) -> None:
        self.ids: frozenset[str] = frozenset()
        self._appends = appends
        self._tries = 0

    def add(self, known: Collection[str]) -> None:
        """These are known, as was found when it was tried; all stand apart after some tries."""
        self._tries += 1
        if self._tries < _TRIES:
            self.ids = self.ids.union(known)
        else:
            self.ids = frozenset(id for each in self._appends for id in each.ids)


def runs_of(
    events: Sequence[NewEvent | NewPredictions | NewSent], apart: Collection[str]
) -> Iterator[NewEvent | Run]:
    """The events, and runs of several that may share an entry, in order.

    An event whose id is in `apart`, or came before, stands alone and behind the others: nothing of
    it is appended when it is known.
    """
    run: list[NewEvent] = []
    shared: _Shared | None = None
    alone: list[NewEvent] = []
    there: set[str] = set()
    for new in events:
        if isinstance(new, NewRows):
            yield from _ended(run)
            run = []
        if isinstance(new, NewPredictions):
            yield new
            continue
        if isinstance(new, NewSent):
            rest, known = _without(new, {*apart, *there})
            alone += known
            there.update(rest.ids)
            if rest:
                yield rest if len(rest) > 1 else rest.event(0)
            continue
        if new.id in apart or new.id in there:
            alone.append(new)
            continue
        there.add(new.id)
        its = _shared(new)
        if run and (its is None or its != shared or len(run) == ROWS_MAX):
            yield from _ended(run)
            run = []
        run.append(new)
        shared = its
    yield from _ended(run)
    yield from alone


def _ended(run: Sequence[NewEvent]) -> Iterator[NewEvent | Run]:
    if run:
        yield tuple(run) if len(run) > 1 else run[0]


def _without(new: _Sent, apart: Collection[str]) -> tuple[_Sent, list[NewEvent]]:
    """Those whose id is not in `apart`, and the others, each by itself."""
    known = {index for index, id in enumerate(new.ids) if id in apart} if apart else set()
    if not known:
        return new, []
    rest = new.only([index for index in range(len(new)) if index not in known])
    return rest, [new.event(index) for index in sorted(known)]


def joined(stream: str, run: Run, cause: Cause, recorded_at: str) -> PreparedEntry:
    """The entry that the events of a run of several share.

    Raises:
        NotCanonical: a row holds what JSON cannot, or NUL in a text.
        ValueError: the ids of predictions do not count on from the first.
    """
    if isinstance(run, NewPredictions):
        block, made = block_of_predictions(run)
        rows = PreparedRows(block, run.ids, False, None, None)
        return _entry(stream, made, rows, run.request_digest, cause, recorded_at)
    if isinstance(run, NewSent):
        block, shared = block_of_sent(run)
        halves = None if run.digests is None else b"".join(map(_half, run.digests))
        rows = PreparedRows(block, run.ids, True, halves, None)
        return _entry(stream, shared, rows, None, cause, recorded_at)
    keys = run[0].keys
    assert keys is not None  # noqa: S101 - `runs_of` joins no others
    block, shared = block_of_events(run, keys)
    ids = [new.id for new in run]
    if isinstance(run[0].event, PredictionMade):
        _check_that_ids_count_on(ids)
        rows = PreparedRows(block, ids, False, None, run)
        return _entry(stream, shared, rows, run[0].request_digest, cause, recorded_at)
    digests = None
    if run[0].request_digest:
        digests = b"".join(_half(new.request_digest or b"") for new in run)
    rows = PreparedRows(block, ids, True, digests, run)
    return _entry(stream, shared, rows, None, cause, recorded_at)


def _check_that_ids_count_on(ids: Sequence[str]) -> None:
    if [*ids] != prediction_ids(ids[0], len(ids)):
        raise ValueError("predictions of one request whose ids do not count on from the first")


def _entry(
    stream: str,
    shared: BlockEvent,
    rows: PreparedRows,
    request_digest: bytes | None,
    cause: Cause,
    recorded_at: str,
) -> PreparedEntry:
    id, occurred_at = rows.ids[0], shared.occurred_until
    content = envelope_bytes(
        shared,
        id=id,
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
        id=id,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        actor=cause.actor,
        correlation_id=cause.correlation_id,
        causation_id=cause.causation_id,
        event=shared,
        rows=len(rows.ids),
        rows_apart=RowsApart(rows.block, LAYOUTS[shared.type, shared.schema]),
    )
    return PreparedEntry(recorded, content, leaf_hash(content), request_digest, None, rows)


def plain_rows(entry: Recorded, events: Sequence[NewEvent]) -> Iterator[Recorded]:
    """The rows of an entry that has its place, as `expand` reads them back."""
    for row, new in enumerate(events):
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
    source = event.source if may_say_source(event.source, personal=new.personal) else None
    return (type(event), keys, event.model, source, new.personal, bool(new.request_digest))


def _half(digest: bytes) -> bytes:
    return digest[:ROW_DIGEST_BYTES]
