"""Placing prepared appends: under the ledger's lock, each whole or not at all, in one transaction.

A conflict refuses the append that has it, never its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from app.database.engine import in_plain_words, insert_rows
from app.ledger.batch import Artefact, PreparedAppend, PreparedEntry, PreparedStream
from app.ledger.erasures import names_beyond
from app.ledger.reading import head, known_entries, stream_version
from app.ledger.tables import ARTEFACTS, ENTRIES, PAYLOADS
from app.ledger.tree import grow
from domain.errors import IdempotencyConflict, RequestInvalid, VersionConflict
from domain.events.envelope import Recorded
from domain.events.events import (
    ObservationRecorded,
    OutcomeRecorded,
    PayloadErased,
    PredictionMade,
)
from domain.stored_damage import StoredDamage

Placed: TypeAlias = tuple[Recorded, PreparedEntry]
Committed: TypeAlias = tuple[Recorded, ...]  # all an append asked for, as recorded
Refused: TypeAlias = VersionConflict | IdempotencyConflict | RequestInvalid


class ReadModelsBehind(Exception):
    """Too many entries are not folded for one transaction to do it; nothing of it was kept.

    Whoever raises it into a transaction catches up outside of it, page by page, and tries again.
    """


class Project(Protocol):
    """Folds entries into the read models this process keeps; the ledger is given it.

    Others may append without them: processes of another version, which keep other read models.
    """

    def __call__(self, connection: Connection, entries: Sequence[Recorded]) -> None:
        """Fold new entries, inside their append's transaction; what others left out before them.

        Raises ReadModelsBehind when they left out more than a page.
        """

    def is_behind(self, connection: Connection) -> bool:
        """Whether there are entries that are not folded yet."""

    def catch_up(self, connection: Connection) -> tuple[int, int]:
        """Fold what is missing, a page of it at most, under the ledger's lock.

        Returns how many entries are folded, and how many there are.
        """

    def fold_beside(self, connection: Connection) -> tuple[int, int] | None:
        """As `catch_up`, on PostgreSQL and without the lock: others append meanwhile.

        None: nothing was done, for what is missing must be folded under the lock.
        """

    def begin_anew(self, connection: Connection) -> None:
        """Drop the read models this process keeps, under the ledger's lock, to be folded again."""

    def drop_others(self, connection: Connection, unfolded_before: str | None = None) -> list[str]:
        """Drop the read models that other versions keep, under the ledger's lock; their names."""


def commit_all(
    connection: Connection, appends: Sequence[PreparedAppend], project: Project
) -> list[Committed | Refused]:
    """Place, insert and project what is new; what became of each append, in order.

    Raises:
        ReadModelsBehind: more than a page of them is not folded; nothing was placed.
    """
    if any(append.check is not None for append in appends) and project.is_behind(connection):
        folded, there = project.catch_up(connection)  # a check looks at read models
        if folded < there:
            raise ReadModelsBehind
    known = known_entries(
        connection,
        [e.recorded.id for append in appends for part in append.streams for e in part.entries],
    )
    batch = _Batch(connection, head(connection) + 1, known)
    answers: list[Committed | Refused] = []
    for append in appends:
        try:
            answers.append(batch.place(append))
        except (VersionConflict, IdempotencyConflict, RequestInvalid) as conflict:
            answers.append(conflict)
    _insert(connection, batch.placed, project)
    return answers


def commit(
    connection: Connection,
    prepared: Sequence[PreparedStream],
    artefacts: Sequence[Artefact],
    check: Callable[[Connection], None] | None,
    project: Project,
) -> Committed:
    """One append on a connection that holds the lock already.

    Raises:
        VersionConflict, IdempotencyConflict: nothing of it was kept.
        ReadModelsBehind: not under `Ledger.writing`, which sees to it that they are not.
    """
    append = PreparedAppend(tuple(prepared), tuple(artefacts), check)
    (answer,) = commit_all(connection, [append], project)
    if isinstance(answer, Exception):
        raise answer
    return answer


class _Batch:
    """Positions and versions for the events of one transaction that are not in the ledger yet."""

    def __init__(
        self,
        connection: Connection,
        position: int,
        known: dict[str, tuple[Recorded, bytes | None]],
    ) -> None:
        self.placed: list[Placed] = []  # in order of position
        self._connection = connection
        self._position = position  # of the next entry
        self._known = known  # by id, those placed here included
        self._versions: dict[str, int] = {}

    def place(self, append: PreparedAppend) -> Committed:
        """Give every new event of `append` its place; nothing changes when it is refused.

        Raises:
            VersionConflict, IdempotencyConflict: it may not be placed.
        """
        fresh: dict[str, Placed] = {}
        versions: dict[str, int] = {}
        for part in append.streams:
            self._place_part(part, fresh, versions)
            if part.stream == PayloadErased.stream:
                self._check_erasures(fresh)
        if fresh:
            _store_artefacts(self._connection, append.artefacts)
            if append.check is not None:
                append.check(self._connection)
        self.placed += fresh.values()
        self._position += len(fresh)
        self._versions.update(versions)
        for id, (recorded, entry) in fresh.items():
            self._known[id] = (recorded, entry.request_digest)
        return tuple(
            self._known[entry.recorded.id][0] for part in append.streams for entry in part.entries
        )

    def _place_part(
        self, part: PreparedStream, fresh: dict[str, Placed], versions: dict[str, int]
    ) -> None:
        new: list[PreparedEntry] = []
        for entry in part.entries:
            id = entry.recorded.id
            if id in self._known:
                _check_same(entry, *self._known[id])
            elif id in fresh:
                _check_same(entry, fresh[id][0], fresh[id][1].request_digest)
            else:
                new.append(entry)
                fresh[id] = (entry.recorded, entry)
        if not new:
            return  # all of it is a retry: its version was checked the first time
        version = versions.get(part.stream)
        if version is None:
            version = self._version(part.stream)
        expected = part.expected_version
        if expected is not None and expected != version:
            raise VersionConflict(part.stream, expected, version)
        position = self._position + len(fresh) - len(new)
        for count, entry in enumerate(new):
            version += 1
            recorded = _with_place(entry.recorded, position + count, version)
            fresh[recorded.id] = (recorded, entry)
        versions[part.stream] = version

    def _check_erasures(self, fresh: dict[str, Placed]) -> None:
        """Refuse an erasure of what does not stand before it, or is another model's.

        Raises:
            RequestInvalid: it names that.
        """
        for recorded, _ in fresh.values():
            if isinstance(recorded.event, PayloadErased):
                beyond = names_beyond(self._connection, recorded.event, self._position)
                for named in beyond:
                    raise RequestInvalid(
                        f"an erasure may not name {named}. Erase with `whyledger erase`, which "
                        "looks at what is kept."
                    )

    def _version(self, stream: str) -> int:
        if stream not in self._versions:
            self._versions[stream] = stream_version(self._connection, stream)
        return self._versions[stream]


def _with_place(recorded: Recorded, position: int, stream_version: int) -> Recorded:
    """`dataclasses.replace`, three times as fast."""
    return Recorded(
        position=position,
        stream=recorded.stream,
        stream_version=stream_version,
        id=recorded.id,
        occurred_at=recorded.occurred_at,
        recorded_at=recorded.recorded_at,
        actor=recorded.actor,
        correlation_id=recorded.correlation_id,
        causation_id=recorded.causation_id,
        event=recorded.event,
    )


def _check_same(entry: PreparedEntry, recorded: Recorded, request_digest: bytes | None) -> None:
    same = (
        entry.request_digest == request_digest
        and entry.recorded.stream == recorded.stream
        and entry.recorded.event.type == recorded.event.type
    )
    if not same:
        raise IdempotencyConflict(
            f"id {recorded.id!r} was used before, for another {recorded.event.type} "
            f"in {recorded.stream!r}. Send the same body again, or choose another id."
        )


def _insert(connection: Connection, placed: Sequence[Placed], project: Project) -> None:
    if not placed:
        return
    try:
        insert_rows(connection, ENTRIES, [_as_row(*each) for each in placed])
        insert_rows(connection, PAYLOADS, _payload_rows(placed))
        grow(connection, placed[0][0].position, [entry.leaf_hash for _, entry in placed])
    except IntegrityError as error:
        raise StoredDamage(
            "a row stands in the ledger's tables where an append puts its own, which nobody but "
            f"somebody behind its back can have put there ({in_plain_words(error)}). Nothing was "
            "kept. Run `whyledger repair --plan`."
        ) from error
    project(connection, [recorded for recorded, _ in placed])


def _store_artefacts(connection: Connection, artefacts: Sequence[Artefact]) -> None:
    if not artefacts:
        return
    wanted = {artefact.sha256: artefact for artefact in artefacts}
    query = select(ARTEFACTS.c.sha256, ARTEFACTS.c.kind, ARTEFACTS.c.bytes)
    for there in connection.execute(query.where(ARTEFACTS.c.sha256.in_(list(wanted)))):
        artefact = wanted.pop(there.sha256)
        if (there.kind, there.bytes) != (artefact.kind, artefact.content):
            raise StoredDamage(
                f"artefact {there.sha256} stands in the ledger with another kind or other bytes "
                "than its digest says, which nobody but somebody behind its back can have put "
                "there. Nothing was kept. Run `whyledger repair --plan`."
            )
    insert_rows(connection, ARTEFACTS, [(a.sha256, a.kind, a.content) for a in wanted.values()])


def _as_row(recorded: Recorded, entry: PreparedEntry) -> tuple[object, ...]:
    return (
        recorded.position,
        recorded.id,
        recorded.stream,
        recorded.stream_version,
        recorded.event.type,
        recorded.event.schema,
        recorded.occurred_at,
        recorded.recorded_at,
        entry.content,
        entry.leaf_hash,
        entry.request_digest if entry.payload is None else None,
    )


def _payload_rows(placed: Sequence[Placed]) -> list[tuple[object, ...]]:
    """The rows of what stands apart; the request's digest too, for who guesses could check it."""
    rows: list[tuple[object, ...]] = []
    for recorded, entry in placed:
        payload, event = entry.payload, entry.recorded.event
        if payload is None:
            continue
        assert isinstance(event, PredictionMade | ObservationRecorded | OutcomeRecorded)  # noqa: S101 - `prepare` refuses others
        place = (recorded.position, event.model, event.identity)
        rows.append((*place, payload.salt, payload.content, entry.request_digest))
    return rows
