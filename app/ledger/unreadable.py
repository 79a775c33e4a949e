"""An entry that nobody can read is passed over, and is damage: noted once, and no reader fails.

A version of the service that writes what an older one does not know has a newer schema, and its
number stands where the application's role may not write. So an entry that cannot be read, in a
schema that this version knows, was written by no version. In a newer schema it may well be: then
this version cannot judge, and stops.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from app.database.migrating import SCHEMA_REVISION, schema_revision
from app.ledger.blocks import BlocksApart
from app.ledger.met_damage import Met, note
from app.ledger.payloads import PayloadsApart
from app.ledger.stored_bytes import whole
from app.ledger.tables import ENTRIES
from domain.events.envelope import Recorded, parse_entry
from domain.events.unreadable import EntryUnreadable, Unreadable, said
from domain.stored_damage import StoredDamage

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


def read_entry(
    connection: Connection, row: StoredRow, apart: PayloadsApart, blocks: BlocksApart
) -> Recorded:
    """The entry in a row; what nobody can read comes back as `Unreadable`, and is noted.

    Raises:
        StoredDamage: the bytes are not what the hash says.
        EntryUnreadable: it cannot be read, and a newer version may have written it.
    """
    content = whole(row.position, row.bytes, row.leaf_hash)
    try:
        entry = parse_entry(
            content,
            position=row.position,
            stream_version=row.stream_version,
            apart=apart,
            blocks=blocks,
        )
    except (EntryUnreadable, StoredDamage) as error:
        return _passed_over(connection, row.position, error)
    if not (type(row.stream_version) is int and 0 <= row.stream_version <= row.position):
        why = "a place that no entry can have"
        return _passed_over(connection, row.position, EntryUnreadable(row.position, why))
    if (entry.id, entry.stream, entry.event.type) != (row.id, row.stream, row.type):
        why = "columns beside it that say another thing"
        return _passed_over(connection, row.position, EntryUnreadable(row.position, why))
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
