"""Reading the ledger on a connection that is open already; every entry is checked as it is read.

Who reads by position, or by id, passes over what nobody can read. Who reads a stream to decide by
it does not, where an entry is not what was written, until somebody accepts that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, select

from app.database.engine import fetch
from app.database.many_values import among, among_values
from app.ledger.batch import Artefact, check_artefact
from app.ledger.blocks import BlocksApart, rows_at
from app.ledger.known_damage import refuse_to_lack
from app.ledger.payloads import PayloadsApart
from app.ledger.stored_bytes import as_bytes
from app.ledger.tables import ARTEFACTS, ENTRIES
from app.ledger.unreadable import STORED_COLUMNS, StoredRow, read_entry
from domain.errors import UnknownThing
from domain.events.block_events import BLOCK_TYPES
from domain.events.envelope import Recorded
from domain.events.expansion import expand
from domain.events.unreadable import Unreadable
from domain.stored_damage import StoredDamage

PAGE_ROWS_MAX: Final = 20_000  # of one page, whose rows are held at once
_Row: TypeAlias = Sequence[Any]  # the values of a `StoredRow`
_AT_ONCE: Final = 500  # positions of one query
_POSITION_MAX: Final = 2**63 - 1  # which a database can count to

# The statements of every append, and of every page, are the drivers' own: building one costs more
# than running it, and rows that SQLAlchemy makes cost more than those it gets.
# No version is below 0 or beyond its entry's position. One that is, or none that SQLite took for a
# number, was put there by somebody: it may not be in the way of who goes on from it.
_IN_PLACE: Final = ' FROM entries WHERE stream = {} AND stream_version BETWEEN 0 AND "position"'
_VERSION: Final = f"SELECT max(stream_version){_IN_PLACE}"
_VERSION_SQLITE: Final = f"{_VERSION} AND typeof(stream_version) = 'integer'"
_ENTRIES: Final = f"SELECT {STORED_COLUMNS} FROM entries WHERE "  # noqa: S608 - our own names
_PAGE: Final = (
    _ENTRIES + '"position" > {mark} AND "position" <= {mark} ORDER BY "position" LIMIT {mark}'
)
_AT: Final = _ENTRIES + '"position" {among} ORDER BY "position"'
_OF_STREAM: Final = _ENTRIES + 'stream = {mark} ORDER BY "position"'


@dataclass(frozen=True, slots=True)
class StreamHistory:
    """One stream, whole: its entries, oldest first, and its version (-1: it does not exist).

    What nobody can read is not among the entries, and counts in the version.
    """

    stream: str
    entries: tuple[Recorded, ...]
    version: int


def head(connection: Connection) -> int:
    """The last position, -1 when the ledger is empty."""
    ((found,),) = fetch(connection, 'SELECT max("position") FROM entries')
    return -1 if found is None else int(found)


def read_entries(
    connection: Connection, after: int, limit: int, *, up_to: int | None = None
) -> list[Recorded]:
    """As `Ledger.read`, on a connection that is open already."""
    last = _POSITION_MAX if up_to is None else up_to
    rows = fetch(connection, _said(_PAGE, connection.dialect.name), (after, last, limit))
    return read_back(connection, _held_at_once(connection, rows))


def entries_at(connection: Connection, positions: Iterable[int]) -> Iterator[Recorded]:
    """The entries at these positions, which ascend; of many rows only few are held at a time.

    Raises:
        LedgerDamaged: as `read_back`.
    """
    wanted = iter(positions)
    while part := list(islice(wanted, _AT_ONCE)):
        statement = _said(_AT, connection.dialect.name)
        rows: Sequence[_Row] = fetch(connection, statement, among_values(connection, part))
        while rows:
            held = _held_at_once(connection, rows)
            yield from read_back(connection, held)
            rows = rows[len(held) :]


def read_stream(connection: Connection, stream: str) -> StreamHistory:
    """As `Ledger.read_stream`, on a connection that is open already.

    Raises:
        StoredDamage: an entry of it is not what was written, and nobody accepted that.
    """
    entries = stream_entries(connection, stream)
    refuse_to_lack(connection, entries)
    there = tuple(entry for entry in entries if not isinstance(entry.event, Unreadable))
    return StreamHistory(stream, there, stream_version(connection, stream) if entries else -1)


def stream_entries(connection: Connection, stream: str) -> list[Recorded]:
    """The entries of one stream, oldest first; what nobody can read among them, for who looks for
    one entry and needs no other."""
    rows = fetch(connection, _said(_OF_STREAM, connection.dialect.name), (stream,))
    return read_back(connection, rows)


def dense_pages(
    connection: Connection, after: int, up_to: int, entries: int
) -> Iterator[list[Recorded]]:
    """The entries with position in (`after`, `up_to`], in order, so many at a time.

    Raises:
        LedgerDamaged: the positions have a gap.
    """
    while after < up_to:
        page = read_entries(connection, after, entries, up_to=up_to)
        if not page:  # the gap is wider than what was asked for
            raise StoredDamage(
                f"the ledger has no entry {after + 1}, and others behind it. Stop writing; restore "
                "a back-up and compare.",
                after + 1,
            )
        for expected, entry in enumerate(page, after + 1):
            if entry.position != expected:
                raise StoredDamage(
                    f"the ledger has entry {entry.position} where {expected} should stand. "
                    "Stop writing; restore a back-up and compare.",
                    expected,
                )
        yield page
        after = page[-1].position


def stored_artefact(connection: Connection, sha256: str) -> bytes:
    """The artefact with this digest, on a connection that is open already.

    Raises:
        UnknownThing: none was stored.
        LedgerDamaged: what is stored has another digest.
    """
    row = connection.execute(
        select(ARTEFACTS.c.kind, ARTEFACTS.c.bytes).where(ARTEFACTS.c.sha256 == sha256)
    ).one_or_none()
    if row is None:
        raise UnknownThing(
            f"the ledger holds no artefact {sha256}. Only digests that an event names are stored."
        )
    content = as_bytes(row.bytes, f"the bytes of artefact {sha256}")
    artefact = Artefact(sha256, row.kind, content)
    check_artefact(artefact)
    return artefact.content


def read_rows(
    connection: Connection, after: int, after_row: int | None, limit: int
) -> list[Recorded]:
    """At most `limit` plain events, in order: behind the entry `after`, or behind a row of it.

    Raises:
        LedgerDamaged: as `read_back`.
    """
    found: list[Recorded] = []
    since = after if after_row is None else after - 1
    while page := read_entries(connection, since, limit - len(found)):
        for entry in page:
            known = 0 if after_row is None or entry.position > after else after_row + 1
            if known < entry.rows:
                found += islice(expand(entry, known), limit - len(found))
            if len(found) == limit:
                return found
        since = page[-1].position
    return found


def stream_version(connection: Connection, stream: str) -> int:
    """Index of the stream's last event, -1 when it does not exist."""
    if connection.dialect.name == "sqlite":
        ((found,),) = fetch(connection, _VERSION_SQLITE.format("?"), (stream,))
    else:
        ((found,),) = fetch(connection, _VERSION.format("%s"), (stream,))
    return -1 if found is None else int(found)


def end_of_stream(connection: Connection, stream: str) -> int:
    """The position of the stream's last event, -1 when it does not exist."""
    found = connection.execute(
        select(ENTRIES.c.position)
        .where(ENTRIES.c.stream == stream)
        .order_by(ENTRIES.c.stream_version.desc())
        .limit(1)
    ).scalar_one_or_none()
    return -1 if found is None else int(found)


def read_back(connection: Connection, rows: Iterable[_Row]) -> list[Recorded]:
    """The entries in rows of `STORED` columns, each checked against its leaf hash.

    What nobody can read, or is not what its hash says, comes back as `Unreadable`, and is noted as
    damage.

    Raises:
        LedgerDamaged: a newer version may have written one that this version cannot read.
    """
    stored = [*map(StoredRow._make, rows)]
    apart = PayloadsApart(connection, [row[0] for row in stored])
    blocks = BlocksApart(connection, [row[0] for row in stored if row.type in BLOCK_TYPES])
    return [read_entry(connection, row, apart, blocks) for row in stored]


@cache
def _said(statement: str, dialect: str) -> str:
    """A statement in the words of the database's driver."""
    return statement.format(mark="?" if dialect == "sqlite" else "%s", among=among(dialect))


def _held_at_once(connection: Connection, rows: Sequence[_Row]) -> Sequence[_Row]:
    """The first of these entries, one at least, with at most `PAGE_ROWS_MAX` rows together."""
    of_many = [row[0] for row in rows if row[-1] in BLOCK_TYPES]
    many = rows_at(connection, of_many) if of_many else {}
    held = 0
    for index, row in enumerate(rows if many else ()):
        held += many.get(row[0], 1)
        if index and held > PAGE_ROWS_MAX:
            return rows[:index]
    return rows
