"""The rows of an entry of many, as the tree's head vouches for them: to be handed on."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from app.ledger.blocks import BlocksApart
from app.ledger.proven_entry import proven_bytes
from domain.blocks.block import Block
from domain.errors import UnknownThing
from domain.events.envelope import parse_entry
from domain.events.unreadable import EntryUnreadable, said
from domain.stored_damage import StoredDamage


@dataclass(frozen=True, slots=True)
class ProvenRows:
    """Rows that are those of their entry's root, erased ones among them."""

    position: int
    envelope: bytes  # the entry's hashed bytes
    block: Block
    rows: int

    def check_row(self, row: int) -> None:
        """Raise UnknownThing when there is no such row."""
        if not 0 <= row < self.rows:
            raise UnknownThing(
                f"entry {self.position} has no row {row}: it has {self.rows}, from 0 on. Ask for "
                f"one below {self.rows}, or for all: GET /ledger/events/{self.position}/rows."
            )


def proven_rows(connection: Connection, position: int) -> ProvenRows:
    """The rows of the entry at `position`, when the tree's head holds it.

    Raises:
        UnknownThing: there is no such entry, or it is a single row, with none apart from it.
        StoredDamage: rows, bytes, stored hash, tiles and head do not agree, or nobody can read it.
    """
    content = proven_bytes(connection, position)
    try:
        entry = parse_entry(
            content,
            position=position,
            stream_version=0,
            apart=lambda _: None,
            blocks=BlocksApart(connection),
        )
    except EntryUnreadable as error:
        raise StoredDamage(said(position, error.why), position) from error
    if entry.rows_apart is None:
        raise UnknownThing(
            f"entry {position} is one row alone, and none stand apart from it. Its hashed bytes "
            f"and its receipt: GET /ledger/events/{position}, and ?receipt=true."
        )
    return ProvenRows(position, content, entry.rows_apart.block, entry.rows)
