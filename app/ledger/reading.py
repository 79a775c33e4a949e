"""Reading the ledger on a connection that is open already; every entry is checked as it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, select

from app.ledger.batch import Artefact, check_artefact
from app.ledger.tables import ARTEFACTS, ENTRIES
from domain.canonical import leaf_hash
from domain.envelope import Recorded, parse_entry
from domain.errors import LedgerDamaged, UnknownThing

STORED: Final = (
    ENTRIES.c.position,
    ENTRIES.c.stream_version,
    ENTRIES.c.bytes,
    ENTRIES.c.leaf_hash,
)

# The statements of every append are the drivers' own: building one costs more than running it.
_VERSION: Final = "SELECT max(stream_version) FROM entries WHERE stream = {}"
_KNOWN: Final = (
    'SELECT "position", stream_version, bytes, leaf_hash, request_digest FROM entries WHERE id {}'
)
_KNOWN_SQLITE: Final = _KNOWN.format("IN (SELECT value FROM json_each(?))")  # however many
_KNOWN_POSTGRESQL: Final = _KNOWN.format("= ANY(%s)")


def head(connection: Connection) -> int:
    """The last position, -1 when the ledger is empty."""
    found = connection.exec_driver_sql('SELECT max("position") FROM entries').scalar_one()
    return -1 if found is None else int(found)


def read_entries(
    connection: Connection, after: int, limit: int, *, up_to: int | None = None
) -> list[Recorded]:
    """As `Ledger.read`, on a connection that is open already."""
    query = select(*STORED).where(ENTRIES.c.position > after)
    if up_to is not None:
        query = query.where(ENTRIES.c.position <= up_to)
    rows = connection.execute(query.order_by(ENTRIES.c.position).limit(limit))
    return [read_back(row) for row in rows]


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
    artefact = Artefact(sha256, row.kind, bytes(row.bytes))
    check_artefact(artefact)
    return artefact.content


def known_entries(
    connection: Connection, ids: Sequence[str]
) -> dict[str, tuple[Recorded, bytes | None]]:
    """Those of `ids` that are recorded: id -> entry and request digest (32 bytes or None)."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(_KNOWN_SQLITE, (orjson.dumps(ids).decode(),))
    else:
        rows = connection.exec_driver_sql(_KNOWN_POSTGRESQL, (list(ids),))
    found: dict[str, tuple[Recorded, bytes | None]] = {}
    for row in rows:
        recorded = read_back(row)
        digest = None if row.request_digest is None else bytes(row.request_digest)
        found[recorded.id] = (recorded, digest)
    return found


def stream_version(connection: Connection, stream: str) -> int:
    """Index of the stream's last event, -1 when it does not exist."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    found = connection.exec_driver_sql(_VERSION.format(mark), (stream,)).scalar_one()
    return -1 if found is None else int(found)


def read_back(row: Row[*tuple[Any, ...]]) -> Recorded:
    """The entry in a row of `STORED` columns, checked against its leaf hash.

    Raises:
        LedgerDamaged: the bytes are not what the hash says, or cannot be read.
    """
    content = bytes(row.bytes)
    if leaf_hash(content) != bytes(row.leaf_hash):
        raise LedgerDamaged(
            f"ledger entry {row.position}: the stored bytes hash to {leaf_hash(content).hex()}, "
            f"the entry says {bytes(row.leaf_hash).hex()}. Stop writing; compare with a back-up."
        )
    return parse_entry(content, position=row.position, stream_version=row.stream_version)
