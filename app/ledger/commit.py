"""Placing prepared appends: under the ledger's lock, each whole or not at all, in one transaction.

A conflict refuses the append that has it, never its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from msgspec.structs import replace
from sqlalchemy import Connection

from app.ledger.batch import (
    Artefact,
    PreparedAppend,
    PreparedEntry,
    PreparedRows,
    PreparedStream,
)
from app.ledger.erasures import names_beyond
from app.ledger.inserting import Placed, insert_placed, store_artefacts
from app.ledger.joining import plain_rows
from app.ledger.known import (
    AskedFor,
    Known,
    each_row_known,
    is_same_request,
    known_under_lock,
)
from app.ledger.reading import head, stream_version
from domain.canonical import INTEGER_MAX
from domain.errors import IdempotencyConflict, RequestInvalid, VersionConflict
from domain.events.block_events import ObservationsRecorded, OutcomesRecorded
from domain.events.envelope import Recorded
from domain.events.events import (
    ObservationRecorded,
    OutcomeRecorded,
    PayloadErased,
)
from domain.events.expansion import expand
from domain.stored_damage import StoredDamage

Committed: TypeAlias = tuple[Recorded, ...]  # all an append asked for, as recorded


class RowsKnown(Exception):
    """Rows that were to share an entry are in the ledger already; nothing of the append was kept.

    Their root is made: whoever raises it prepares the append once more, with these apart.
    """

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(f"{len(ids)} rows are known")
        self.ids = frozenset(ids)


Refused: TypeAlias = VersionConflict | IdempotencyConflict | RequestInvalid | RowsKnown


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

    def begins(self, connection: Connection) -> bool:
        """Whether some are to be folded from the first entry on."""

    def catch_up(self, connection: Connection, *, begin: bool = False) -> tuple[int, int]:
        """Fold what is missing, a page of it at most, under the ledger's lock.

        Where some `begins`, only with `begin`: who says so has looked at every entry.

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
        StoredDamage: an entry stands where none can.
    """
    if any(append.check is not None for append in appends) and project.is_behind(connection):
        folded, there = project.catch_up(connection)  # a check looks at read models
        if folded < there:
            raise ReadModelsBehind
    known = known_under_lock(connection, _asked_for(appends))
    batch = _Batch(connection, _head(connection) + 1, known)
    answers: list[Committed | Refused] = []
    for append in appends:
        try:
            answers.append(batch.place(append))
        except (VersionConflict, IdempotencyConflict, RequestInvalid, RowsKnown) as conflict:
            answers.append(conflict)
    if batch.placed:
        insert_placed(connection, batch.placed)
        project(connection, [recorded for recorded, _ in batch.placed])
    return answers


def _head(connection: Connection) -> int:
    last = head(connection)
    if last >= INTEGER_MAX:  # a database may not even count on
        raise StoredDamage(
            f"an entry stands at position {last}, to which no ledger comes. Stop writing; restore "
            "a back-up and compare."
        )
    return last


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

    def __init__(self, connection: Connection, position: int, known: dict[str, Known]) -> None:
        self.placed: list[Placed] = []  # in order of position
        self._connection = connection
        self._position = position  # of the next entry
        self._known = known  # by id, those placed here included
        self._versions: dict[str, int] = {}

    def place(self, append: PreparedAppend) -> Committed:
        """Give every new event of `append` its place; nothing changes when it is refused.

        Raises:
            VersionConflict, IdempotencyConflict: it may not be placed.
            RowsKnown: it must be prepared once more.
        """
        fresh = _Fresh([], {}, {})
        for part in append.streams:
            self._place_part(part, fresh)
            if part.stream == PayloadErased.stream:
                self._check_erasures(fresh.placed)
        if fresh.placed:
            store_artefacts(self._connection, append.artefacts)
            if append.check is not None:
                append.check(self._connection)
        self.placed += fresh.placed
        self._position += len(fresh.placed)
        self._versions.update(fresh.versions)
        self._known.update(fresh.told)
        return tuple(self._known[id].recorded for part in append.streams for id in part.ids)

    def _place_part(self, part: PreparedStream, fresh: _Fresh) -> None:
        version = first = fresh.versions.get(part.stream)
        for entry in part.entries:
            if entry.many is None:
                if (met := self._met(entry.recorded.id, fresh)) is not None:
                    _check_same(entry, met)
                    continue
            elif self._are_met(entry, entry.many, fresh):
                continue
            if version is None:
                version = first = self._version(part.stream)
            version += 1
            position = self._position + len(fresh.placed)
            recorded = replace(entry.recorded, position=position, stream_version=version)
            fresh.add(recorded, entry)
        if version is None or first is None or version == first:
            return  # all of it is a retry: its version was checked the first time
        if part.expected_version is not None and part.expected_version != first:
            raise VersionConflict(part.stream, part.expected_version, first)
        fresh.versions[part.stream] = version

    def _met(self, id: str, fresh: _Fresh) -> Known | None:
        """What is known under `id`; of what clients sent together just before, its own event."""
        for told in (fresh.told, self._known):
            known = told.get(id)
            if known is None:
                continue
            if isinstance(known.recorded.event, ObservationsRecorded | OutcomesRecorded):
                told.update(each_row_known(known))
            return told[id]
        return None

    def _are_met(self, entry: PreparedEntry, many: PreparedRows, fresh: _Fresh) -> bool:
        """Whether these rows are recorded, all of them, as the answer to the same request.

        Raises:
            RowsKnown: some are, which came by themselves or with others.
            IdempotencyConflict: their key was used for others.
        """
        if many.have_ids_of_clients:
            known = {id for id in many.ids if id in self._known or id in fresh.told}
            if known:
                raise RowsKnown(known)
            return False
        met = self._met(entry.recorded.id, fresh)
        if met is None:
            return False
        _check_same(entry, met)
        for row in expand(met.recorded):
            fresh.told[row.id] = Known(row, met.request_digest)
        return True

    def _check_erasures(self, placed: Sequence[Placed]) -> None:
        """Refuse an erasure of what does not stand before it, or is another model's.

        Raises:
            RequestInvalid: it names that.
        """
        for recorded, _ in placed:
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


class _Fresh(NamedTuple):
    """What one append places, until it is known to be taken."""

    placed: list[Placed]
    told: dict[str, Known]  # by id: what is answered; the whole entry where nobody asks for more
    versions: dict[str, int]  # of the streams it adds to

    def add(self, recorded: Recorded, entry: PreparedEntry) -> None:
        """One more entry, with its place."""
        self.placed.append((recorded, entry))
        if entry.many is None:
            self.told[recorded.id] = Known(recorded, entry.request_digest or None)
            return
        if entry.many.events is None:
            whole = Known(recorded, entry.request_digest or entry.many.digests)
            self.told.update(dict.fromkeys(entry.many.ids, whole))
            return
        events = entry.many.events
        for row, new in zip(plain_rows(recorded, events), events, strict=True):
            self.told[new.id] = Known(row, new.request_digest or None)


def _asked_for(appends: Sequence[PreparedAppend]) -> AskedFor:
    """The ids that the ledger may know, of everything that is to be placed.

    What a client sent among others may stand alone there, and the other way about.
    """
    entries = [e for append in appends for part in append.streams for e in part.entries]
    of_clients: list[str] = []
    for entry in entries:
        if entry.many is None:
            if isinstance(entry.recorded.event, ObservationRecorded | OutcomeRecorded):
                of_clients.append(entry.recorded.id)
        elif entry.many.have_ids_of_clients:
            of_clients += entry.many.ids
    alone = [entry.recorded.id for entry in entries]
    return AskedFor([*dict.fromkeys((*alone, *of_clients))], of_clients)


def _check_same(entry: PreparedEntry, known: Known) -> None:
    recorded = known.recorded
    same = (
        is_same_request(entry.request_digest, known.request_digest)
        and entry.recorded.stream == recorded.stream
        and entry.recorded.event.type == recorded.event.type
    )
    if not same:
        raise IdempotencyConflict(
            f"id {recorded.id!r} was used before, for another {recorded.event.type} "
            f"in {recorded.stream!r}. Send the same body again, or choose another id."
        )
