"""What was erased, as far as an erasure is believed: `domain/events/erasure_reach.py` says of what.

What names more than it may, and what nobody can read, is damage. It is noticed, and erases nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import orjson
from sqlalchemy import Connection, and_, or_, select

from app.ledger.known_damage import damages_of, not_accepted
from app.ledger.met_damage import Met, note
from app.ledger.stored_bytes import whole
from app.ledger.streams import cycle_of_stream, cycle_stream, cycle_streams, model_stream
from app.ledger.tables import BLOCKS, ENTRIES
from app.ledger.unreadable import STORED, StoredRow, read_entry
from domain.events.envelope import Recorded
from domain.events.erasure_reach import (
    FREEZE,
    ManyRows,
    StoodBefore,
    beyond_reach,
    frozen_in,
    model_of_frozen,
    model_of_rows,
    within_reach,
)
from domain.events.events import PayloadErased
from domain.events.unreadable import Unreadable
from domain.stored_damage import StoredDamage

_AT_ONCE: Final = 500  # positions of one query
_KEPT: Final = "whyledger.gone"  # where a connection keeps them
_Newest: TypeAlias = tuple[int, bytes] | None  # position and leaf hash of the newest erasure


class PlacedErasure(NamedTuple):
    """An erasure and where it stands."""

    position: int
    event: PayloadErased


class _Gone(NamedTuple):
    """What is gone, as erasures say that may say so."""

    positions: frozenset[int]  # of entries whose data is
    rows: Mapping[int, frozenset[int]]  # position of an entry of many -> rows of it


class _Kept(NamedTuple):
    """What a connection keeps of the erasures that it read."""

    newest: _Newest
    edited: tuple[int, ...]  # positions of those that are not what was written
    gone: _Gone


def believed_erasures(connection: Connection) -> list[PayloadErased]:
    """Every recorded erasure, oldest first, naming only what it may."""
    before = _Before(connection)
    return [
        within_reach(event, position, before(event, position))
        for position, event in _recorded(connection)
    ]


def refuse_beyond_reach(connection: Connection) -> None:
    """Look at what every recorded erasure names.

    Raises:
        StoredDamage: one names what it may not.
    """
    before = _Before(connection)
    for position, event in _recorded(connection):
        for named in beyond_reach(event, position, before(event, position)):
            raise StoredDamage(
                f"the erasure at entry {position} names {named}. Nobody wrote that with "
                "`whyledger erase`, and nothing was done about it; run `whyledger verify`.",
                position,
            )


def positions_gone(connection: Connection) -> frozenset[int]:
    """The positions of all entries whose data is gone, as an erasure that may say so says."""
    return _gone(connection).positions


def rows_gone(connection: Connection) -> Mapping[int, frozenset[int]]:
    """By the position of an entry of many those of its rows that are gone, as `positions_gone`."""
    return _gone(connection).rows


def _gone(connection: Connection) -> _Gone:
    """A connection keeps what it found until there is another erasure: whoever pages through
    entries would read all of them again with each page."""
    newest = _newest(connection)
    kept: _Kept | None = connection.info.get(_KEPT)
    if kept is None or kept.newest != newest or _is_put_back(connection, kept.edited):
        recorded = _entries(connection)
        edited = (damage.position for damage in damages_of(recorded))
        kept = connection.info[_KEPT] = _Kept(
            newest,
            tuple(position for position in edited if position is not None),
            _read_gone(connection, _erasures(recorded)),
        )
    return kept.gone


def _is_put_back(connection: Connection, edited: Sequence[int]) -> bool:
    """Whether one of these entries can be read again."""
    if not edited:
        return False
    query = select(*STORED).where(ENTRIES.c.position.in_(list(edited)))
    entries = [read_entry(connection, StoredRow(*row)) for row in connection.execute(query)]
    return any(not isinstance(entry.event, Unreadable) for entry in entries)


def _newest(connection: Connection) -> _Newest:
    row = connection.execute(
        select(ENTRIES.c.position, ENTRIES.c.leaf_hash)
        .where(ENTRIES.c.stream == PayloadErased.stream, ENTRIES.c.type == PayloadErased.type)
        .order_by(ENTRIES.c.stream_version.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.position, row.leaf_hash)


def _read_gone(connection: Connection, erasures: Iterable[PlacedErasure]) -> _Gone:
    positions: set[int] = set()
    rows: dict[int, set[int]] = {}
    for position, event in erasures:
        before = [each for each in event.entries if each < position]
        rows_before = [each for each in event.rows if each.position < position]
        models = models_of_rows(connection, [*before, *(each.position for each in rows_before)])
        positions.update(each for each in before if models.get(each) == event.model)
        for each in rows_before:
            if models.get(each.position) == event.model:
                rows.setdefault(each.position, set()).add(each.row)
    return _Gone(frozenset(positions), {at: frozenset(each) for at, each in rows.items()})


def erased_artefacts(connection: Connection) -> frozenset[str]:
    """The digests of references, residuals and identities that are gone, as `positions_gone`."""
    frozen = _Frozen(connection)
    return frozenset(
        sha256
        for position, event in _recorded(connection)
        for sha256 in event.artefacts
        if frozen.before(sha256, event.model, position)
    )


def names_beyond(connection: Connection, event: PayloadErased, position: int) -> Iterator[str]:
    """What the erasure at `position` names and may not, in words."""
    yield from beyond_reach(event, position, _Before(connection)(event, position))
    for each in _whole_entries(connection, [each for each in event.entries if each < position]):
        yield f"entry {each}, whose data does not stand apart from it"


def _whole_entries(connection: Connection, positions: Sequence[int]) -> Iterator[int]:
    """Those of these entries that hold their data themselves: nothing of them can be erased."""
    for start in range(0, len(positions), _AT_ONCE):
        part = list(positions[start : start + _AT_ONCE])
        query = select(ENTRIES.c.position, ENTRIES.c.bytes).where(ENTRIES.c.position.in_(part))
        for row in connection.execute(query.order_by(ENTRIES.c.position)):
            if not _stands_apart(row.bytes):
                yield row.position


def _stands_apart(content: bytes) -> bool:
    try:
        envelope = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return isinstance(envelope, dict) and "data_commit" in envelope


def _recorded(connection: Connection) -> list[PlacedErasure]:
    """Every recorded erasure, oldest first, whether it may be believed or not."""
    return _erasures(_entries(connection))


def _entries(connection: Connection) -> list[Recorded]:
    rows = connection.execute(
        select(*STORED)
        .where(ENTRIES.c.stream == PayloadErased.stream, ENTRIES.c.type == PayloadErased.type)
        .order_by(ENTRIES.c.position)
    )
    return [read_entry(connection, StoredRow(*row)) for row in rows]


def _erasures(entries: Iterable[Recorded]) -> list[PlacedErasure]:
    """Those that somebody can read: no other erases anything."""
    return [
        PlacedErasure(entry.position, entry.event)
        for entry in entries
        if isinstance(entry.event, PayloadErased)
    ]


class _Before:
    """What stood before one erasure after another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._frozen = _Frozen(connection)

    def __call__(self, event: PayloadErased, position: int) -> StoodBefore:
        rows = [each for each in event.entries if each < position]
        started = _started_before(self._connection, event.cycles, position)
        return StoodBefore(
            rows_model=models_of_rows(self._connection, rows).get,
            many_rows=_many_rows(self._connection, [each.position for each in event.rows]).get,
            is_frozen=lambda sha256: self._frozen.before(sha256, event.model, position),
            has_started=started.__contains__,
        )


class _Frozen:
    """Where a model's entries first name a digest as one that can be erased; read once a model."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._first: dict[str, dict[str, int]] = {}  # model -> digest -> position
        self._edited: dict[str, list[StoredDamage]] = {}  # model -> what may name others

    def before(self, sha256: str, model: str, position: int) -> bool:
        """Whether an entry of the model before `position` names it.

        Raises:
            StoredDamage: none does, and one is not what its hash says, which nobody accepted.
        """
        if model not in self._first:
            self._first[model] = self._read(model)
        if self._first[model].get(sha256, position) < position:
            return True
        damage = not_accepted(self._connection, self._edited.get(model, ()))
        if damage is not None:
            raise damage
        return False

    def _read(self, model: str) -> dict[str, int]:
        first, beyond = cycle_streams(model)
        stream = ENTRIES.c.stream
        query = (
            select(ENTRIES.c.position, stream, ENTRIES.c.bytes, ENTRIES.c.leaf_hash)
            .where(
                ENTRIES.c.type.in_(FREEZE),
                or_(stream == model_stream(model), and_(stream >= first, stream < beyond)),
            )
            .order_by(ENTRIES.c.position)
        )
        found: dict[str, int] = {}
        for row in self._connection.execute(query):
            if model_of_frozen(row.stream) != model:
                continue
            try:
                content = whole(row.position, row.bytes, row.leaf_hash)
            except StoredDamage as damage:
                note(self._connection, Met(damage.position, damage.message))
                self._edited.setdefault(model, []).append(damage)
                continue
            for sha256 in _names_frozen(content):
                found.setdefault(sha256, row.position)
        return found


def _names_frozen(content: bytes) -> set[str]:
    """The digests that an entry names; of bytes that are no envelope, none: `verify` names it."""
    try:
        data = orjson.loads(content)["data"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return set()
    return frozen_in(data) if isinstance(data, dict) else set()


def models_of_rows(connection: Connection, positions: Sequence[int]) -> dict[int, str | None]:
    """Position -> the model whose rows stand there, None where none do, for entries there are."""
    found: dict[int, str | None] = {}
    for start in range(0, len(positions), _AT_ONCE):
        part = list(positions[start : start + _AT_ONCE])
        query = select(ENTRIES.c.position, ENTRIES.c.stream).where(ENTRIES.c.position.in_(part))
        found.update({row.position: model_of_rows(row.stream) for row in connection.execute(query)})
    return found


def _many_rows(connection: Connection, positions: Sequence[int]) -> dict[int, ManyRows]:
    found: dict[int, ManyRows] = {}
    for start in range(0, len(positions), _AT_ONCE):
        part = list(positions[start : start + _AT_ONCE])
        query = (
            select(ENTRIES.c.position, ENTRIES.c.stream, BLOCKS.c.rows)
            .join(BLOCKS, BLOCKS.c.position == ENTRIES.c.position)
            .where(ENTRIES.c.position.in_(part))
        )
        for row in connection.execute(query):
            found[row.position] = ManyRows(model_of_rows(row.stream), row.rows)
    return found


def _started_before(connection: Connection, cycles: Iterable[str], position: int) -> set[str]:
    streams = [cycle_stream(cycle) for cycle in cycles]
    found: set[str] = set()
    for start in range(0, len(streams), _AT_ONCE):
        part = streams[start : start + _AT_ONCE]
        query = select(ENTRIES.c.stream).where(
            ENTRIES.c.stream.in_(part),
            ENTRIES.c.stream_version == 0,
            ENTRIES.c.position < position,
        )
        found.update(connection.execute(query).scalars())
    return {cycle_of_stream(stream) for stream in found}
