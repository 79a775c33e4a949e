"""`rows.jsonl` of a bundle: the rows of entries of many, a line each, a few entries at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, bindparam, select, text

from app.ledger.met_damage import Met
from app.ledger.tables import BLOCKS, ENTRIES
from domain.blocks.block import SALT_BYTES, Block, row_members
from domain.events.block_events import BLOCK_TYPES
from domain.events.envelope import parse_entry
from domain.events.unreadable import EntryUnreadable
from domain.stored_damage import StoredDamage

_FEW: Final = 8  # entries fetched at once: each has up to 10,000 rows
_REMEDY: Final = "Run `whyledger verify`."
_ANY: Final = text(
    "SELECT EXISTS (SELECT 1 FROM blocks) OR EXISTS (SELECT 1 FROM entries WHERE type IN :types)"
).bindparams(bindparam("types", sorted(BLOCK_TYPES), expanding=True))


def has_rows_apart(connection: Connection) -> bool:
    """Whether the ledger has entries of many rows, or rows that should be some."""
    return bool(connection.execute(_ANY).scalar_one())


def rows_apart(connection: Connection) -> Iterator[tuple[bytes, Met | None]]:
    """The lines of one entry's rows after another, and what is damaged in them.

    What is damaged is among the lines as it stands, for whoever has to judge it.
    """
    query = (
        select(BLOCKS.c.position, BLOCKS.c.salts, BLOCKS.c.bytes, ENTRIES.c.bytes)
        .outerjoin(ENTRIES, ENTRIES.c.position == BLOCKS.c.position)
        .order_by(BLOCKS.c.position)
    )
    with connection.execute(query, execution_options={"yield_per": _FEW}) as found:
        for position, salts, content, entry in found:
            block = Block(bytes(salts), bytes(content))
            lines = b"".join(row_lines(position, block))
            yield lines, _met(position, None if entry is None else bytes(entry), block)
    without = (
        select(ENTRIES.c.position)
        .outerjoin(BLOCKS, BLOCKS.c.position == ENTRIES.c.position)
        .where(ENTRIES.c.type.in_(BLOCK_TYPES), BLOCKS.c.position.is_(None))
    )
    missing = connection.execute(without.order_by(ENTRIES.c.position).limit(1)).scalar()
    if missing is not None:
        yield b"", Met(missing, f"the rows of entry {missing} are missing. {_REMEDY}")


def row_lines(position: int, block: Block) -> Iterator[bytes]:
    """A line for each row of the entry at `position`: the bytes behind `"data":` are its own.

    A salt without a row has a line, too, which is none of the format.
    """
    lines = block.lines
    for row in range(max(len(lines), -(-len(block.salts) // SALT_BYTES))):
        line = lines[row] if row < len(lines) else b""
        yield b'{"position":%d,%s}\n' % (position, row_members(row, line, block.salt(row)))


def _met(position: int, entry: bytes | None, block: Block) -> Met | None:
    if entry is None:
        return Met(position, f"rows stand at {position}, where no entry does. {_REMEDY}")
    try:
        read = parse_entry(
            entry,
            position=position,
            stream_version=0,
            apart=lambda _: None,
            blocks=lambda _: block,
        )
    except StoredDamage as damage:
        return Met(damage.position, damage.message)
    except EntryUnreadable:
        return None  # no version wrote it; the bundle's verifier names its position
    if read.rows_apart is None:
        return Met(position, f"rows stand at {position}, where an entry has none. {_REMEDY}")
    return None
