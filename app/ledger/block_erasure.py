"""Erasing rows of entries of many: their blocks are written anew without them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, delete, select

from app.database.engine import insert_rows
from app.ledger.stored_bytes import as_bytes
from app.ledger.tables import BLOCKS, ENTRIES, ROW_IDS
from domain.blocks.block import Block
from domain.blocks.ids import prediction_id
from domain.events.block_events import PredictionsMade, RowPlace
from domain.stored_damage import StoredDamage

_DIGEST: Final = 16  # bytes of a row's request digest


def erase_rows(connection: Connection, places: Iterable[RowPlace]) -> None:
    """Erase these rows, which an entry names; the database refuses what no entry names.

    With them goes what they could be guessed from: their own digests, and that of the request.

    Raises:
        StoredDamage: the id of a row does not stand where it was written.
    """
    ordered = sorted(set(places), key=attrgetter("position", "row"))
    for position, together in groupby(ordered, key=attrgetter("position")):
        found = connection.execute(select(BLOCKS).where(BLOCKS.c.position == position)).one()
        rows = [each.row for each in together]
        block = Block(
            as_bytes(found.salts, "the salts beside it", position),
            as_bytes(found.bytes, "its rows", position),
        )
        left = block.erased(_ids(connection, position, rows))
        digests = found.digests
        if digests is not None:
            digests = bytearray(as_bytes(digests, "the digests beside it", position))
            for row in rows:
                digests[row * _DIGEST : (row + 1) * _DIGEST] = bytes(_DIGEST)
            digests = bytes(digests)
        connection.execute(delete(BLOCKS).where(BLOCKS.c.position == position))
        insert_rows(
            connection, BLOCKS, [(position, found.rows, left.salts, left.content, digests, None)]
        )


def _ids(connection: Connection, position: int, rows: list[int]) -> dict[int, str]:
    """Row -> the id of its event, which outlives it."""
    entry = connection.execute(
        select(ENTRIES.c.id, ENTRIES.c.type).where(ENTRIES.c.position == position)
    ).one()
    if entry.type == PredictionsMade.type:
        return {row: prediction_id(entry.id, row) for row in rows}
    stored = connection.execute(
        select(ROW_IDS.c.row, ROW_IDS.c.id).where(ROW_IDS.c.position == position)
    )
    known = {row: as_bytes(id, "the id of a row", position) for row, id in stored}
    for row in rows:
        if row not in known:
            raise StoredDamage(
                f"the id of row {row} of entry {position} is missing, and an erased row keeps it. "
                "Nothing was erased; restore a back-up and compare.",
                position,
            )
    return {row: str(UUID(bytes=known[row])) for row in rows}
