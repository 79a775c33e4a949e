"""What the ledger knows by id: events in entries of their own, and rows of entries of many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection

from app.database.engine import fetch
from app.database.many_values import among, among_values
from app.ledger.blocks import BlocksApart, digests_at, places_by_stored_ids, places_of
from app.ledger.new_events import SAID_BY_ID
from app.ledger.payloads import PayloadsApart
from app.ledger.reading import read_entries
from app.ledger.stored_bytes import as_bytes
from app.ledger.unreadable import StoredRow, read_entry
from domain.events.block_events import PredictionsMade
from domain.events.envelope import Recorded
from domain.events.expansion import expand, rows_of

# The statements of every append are the drivers' own: building one costs more than running it.
_STATEMENT: Final = (
    'SELECT e."position", e.stream_version, e.bytes, e.leaf_hash, e.id, e.stream, e.type,'
    " coalesce(p.request_digest, b.request_digest, e.request_digest) AS request_digest"
    ' FROM entries e LEFT JOIN payloads p ON p."position" = e."position"'
    ' LEFT JOIN blocks b ON b."position" = e."position" WHERE e.id {}'
)
_KNOWN: Final = {dialect: _STATEMENT.format(among(dialect)) for dialect in ("sqlite", "postgresql")}
_HALF: Final = 16  # bytes of a digest that are kept of a row of many


class Known(NamedTuple):
    """What is recorded under an id, and from what request."""

    recorded: Recorded
    request_digest: bytes | None  # 32 bytes; of a row of many its first 16; None: none, or erased


class AskedFor(NamedTuple):
    """Ids that the ledger may know."""

    entries: Sequence[str]  # as an entry may have them
    rows: Sequence[str]  # of clients: as a row of an entry of many may have them, too


def is_same_request(sent: bytes | None, known: bytes | None) -> bool:
    """Whether a request has the digest that is known, or what is known of it.

    Args:
        sent: as `NewEvent.request_digest`.
        known: as `Known.request_digest`.
    """
    if sent == SAID_BY_ID:
        return True
    if sent is None or not known:
        return sent is known
    return sent[: len(known)] == known


def known_entries(connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    """The entries with those of `ids` that are recorded, those of many rows whole."""
    rows = fetch(connection, _KNOWN[connection.dialect.name], among_values(connection, ids))
    apart = PayloadsApart(connection, [row[0] for row in rows])
    blocks = BlocksApart(connection)
    found: dict[str, Known] = {}
    for *row, request_digest in rows:
        recorded = read_entry(connection, StoredRow(*row), apart, blocks)
        digest = None
        if request_digest is not None:
            name = "the digest of its request"
            digest = as_bytes(request_digest, name, recorded.position)
        found[recorded.id] = Known(recorded, digest)
    return found


def known_under_lock(connection: Connection, asked: AskedFor) -> dict[str, Known]:
    """What is recorded under the ids that are asked for.

    Of predictions that share an entry the entry itself comes, under the id of its first row.
    """
    found = {
        id: known
        for id, known in known_entries(connection, asked.entries).items()
        if known.recorded.rows_apart is None or isinstance(known.recorded.event, PredictionsMade)
    }
    return found | _in_entries_of_many(connection, asked.rows)


def known_of_clients(connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    """Those of `ids`, which follow from what clients said, that are recorded: as plain events."""
    return known_under_lock(connection, AskedFor(ids, ids))


def first_answer(connection: Connection, id: str) -> tuple[list[Recorded], bytes | None] | None:
    """The predictions of the entry with this id, and the digest of their request; None: none is."""
    known = known_entries(connection, [id]).get(id)
    return None if known is None else (list(expand(known.recorded)), known.request_digest)


def recorded_rows(connection: Connection, ids: Sequence[str]) -> dict[str, Recorded]:
    """The plain events with those of `ids` that are recorded, in entries of their own or of many.

    Raises:
        LedgerDamaged: as `read_entries`.
    """
    found = {}
    for id, known in known_entries(connection, ids).items():
        found[id] = next(rows_of(known.recorded, (0,)))
    places = places_of(connection, [id for id in ids if id not in found])
    found.update(_at(connection, places))
    return found


def _in_entries_of_many(connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    places = places_by_stored_ids(connection, ids)
    digests = digests_at(connection, sorted({position for position, _ in places.values()}))
    return {
        id: Known(recorded, _digest_in(digests.get(places[id][0]), places[id][1]))
        for id, recorded in _at(connection, places)
    }


def each_row_known(whole: Known) -> dict[str, Known]:
    """What is known of each row of an entry of many, by id.

    `whole`: the entry, and what is known of its rows' requests one behind the other.
    """
    return {
        each.id: Known(each, _digest_in(whole.request_digest, each.row))
        for each in expand(whole.recorded)
    }


def _digest_in(kept: bytes | None, row: int) -> bytes | None:
    digest = None if kept is None else kept[row * _HALF : (row + 1) * _HALF]
    return digest if digest and any(digest) else None  # of an erased row zeros are left


def _at(
    connection: Connection, places: dict[str, tuple[int, int]]
) -> Iterable[tuple[str, Recorded]]:
    """Ids and plain events of what stands at these places, one entry's rows at a time."""
    wanted: dict[int, dict[int, str]] = {}  # position -> row -> id
    for id, (position, row) in places.items():
        wanted.setdefault(position, {})[row] = id
    for position, rows in wanted.items():
        for entry in read_entries(connection, position - 1, 1, up_to=position):
            yield from _named(entry, rows)


def _named(entry: Recorded, rows: dict[int, str]) -> Iterator[tuple[str, Recorded]]:
    if entry.rows_apart is None:  # nobody can read it; its rows are known all the same
        yield from ((id, entry) for id in rows.values())
        return
    there = (row for row in rows if row < entry.rows)
    yield from ((rows[each.row], each) for each in rows_of(entry, there))
