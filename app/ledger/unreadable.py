"""An entry that nobody can read is passed over, and is damage: noted once, and no reader fails.

So is one whose bytes are not what its hash says, of which nobody knows what it said.

A version of the service that writes what an older one does not know has a newer schema, and its
number stands where the application's role may not write. So an entry that cannot be read, in a
schema that this version knows, was written by no version. In a newer schema it may well be: then
this version cannot judge, and stops.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from app.database.migrating import SCHEMA_REVISION, schema_revision
from app.ledger.met_damage import Met, note
from app.ledger.stored_bytes import whole
from app.ledger.tables import ENTRIES
from domain.blocks.block import Block
from domain.events.envelope import PayloadOf, Recorded, parse_entry
from domain.events.erasure import Payload
from domain.events.rows_apart import BlockOf
from domain.events.unreadable import EntryUnreadable, Unreadable, said
from domain.stored_damage import StoredDamage

STORED: Final = (  # the columns of a `StoredRow`
    ENTRIES.c.position,
    ENTRIES.c.stream_version,
    ENTRIES.c.bytes,
    ENTRIES.c.leaf_hash,
    ENTRIES.c.id,
    ENTRIES.c.stream,
    ENTRIES.c.type,
)
STORED_COLUMNS: Final = ", ".join(f'"{column.name}"' for column in STORED)  # for the drivers
_TEXTS: Final = ("id", "stream", "type", "occurred_at", "recorded_at")


class StoredRow(NamedTuple):
    """An entry as it is read: its hashed bytes, and the columns that it is found by."""

    position: int
    stream_version: int
    bytes: Any
    leaf_hash: Any
    id: str
    stream: str
    type: str


def data_missing(position: int) -> StoredDamage:
    """What keeps whoever reads the entry from its data, which stands apart."""
    return StoredDamage(
        f"the data of entry {position} is missing, and no entry says that it was erased. "
        "Stop writing; restore a back-up and compare.",
        position,
    )


def rows_missing(position: int) -> StoredDamage:
    """What keeps whoever reads the entry of many rows from them."""
    return StoredDamage(
        f"the rows of entry {position} are missing; of erased ones their hashes stay. Stop "
        "writing; restore a back-up and compare.",
        position,
    )


def _no_data(position: int) -> Payload | None:
    raise data_missing(position)


def _no_rows(position: int) -> Block | None:
    raise rows_missing(position)


def read_entry(
    connection: Connection,
    row: StoredRow,
    apart: PayloadOf = _no_data,
    blocks: BlockOf = _no_rows,
) -> Recorded:
    """The entry in a row; what nobody can read comes back as `Unreadable`, and is noted.

    `apart` and `blocks` are asked for what is not in its bytes; without them, nothing is there.

    Raises:
        EntryUnreadable: it cannot be read, and a newer version may have written it.
    """
    position, stream_version, stored, stored_hash, id, stream, kind = row
    try:
        entry = parse_entry(
            whole(position, stored, stored_hash),
            position=position,
            stream_version=stream_version,
            apart=apart,
            blocks=blocks,
        )
    except (EntryUnreadable, StoredDamage) as error:
        return _passed_over(connection, position, error)
    if not (type(stream_version) is int and 0 <= stream_version <= position):
        why = "a place that no entry can have"
        return _passed_over(connection, position, EntryUnreadable(position, why))
    if entry.id != id or entry.stream != stream or entry.event.type != kind:
        why = "columns beside it that say another thing"
        return _passed_over(connection, position, EntryUnreadable(position, why))
    return entry


def may_be_newer(connection: Connection) -> bool:
    """Whether a newer version of the service may have written here: by the schema's revision."""
    found = schema_revision(connection)
    return found is None or found > SCHEMA_REVISION


def _passed_over(
    connection: Connection, position: int, error: EntryUnreadable | StoredDamage
) -> Recorded:
    if isinstance(error, EntryUnreadable) and may_be_newer(connection):
        raise error
    told = said(position, error.why) if isinstance(error, EntryUnreadable) else error.message
    note(connection, Met(position, told))
    why = error.why if isinstance(error, EntryUnreadable) else error.message
    columns = (ENTRIES.c.stream_version, ENTRIES.c.schema, *(ENTRIES.c[name] for name in _TEXTS))
    row = connection.execute(select(*columns).where(ENTRIES.c.position == position)).one()
    texts = {name: _text(row._mapping[name]) for name in _TEXTS}
    schema = row.schema if type(row.schema) is int else 0
    edited = isinstance(error, StoredDamage)
    event = Unreadable(type=texts.pop("type"), schema=schema, why=why.rstrip("."), edited=edited)
    return Recorded(
        position=position,
        stream_version=row.stream_version if type(row.stream_version) is int else -1,
        actor="",
        correlation_id="",
        causation_id=None,
        event=event,
        id=texts["id"],
        stream=texts["stream"],
        occurred_at=texts["occurred_at"],
        recorded_at=texts["recorded_at"],
    )


def _text(value: object) -> str:
    """SQLite takes bytes where text should stand."""
    return value if isinstance(value, str) else f"a {type(value).__name__}"
