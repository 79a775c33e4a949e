"""An entry's bytes and earlier roots, as the tree's head vouches for them: to be handed on."""

from __future__ import annotations

from sqlalchemy import Connection, select

from app.ledger.proven_tree import ProvenTree
from app.ledger.stored_bytes import whole
from app.ledger.tables import ENTRIES
from domain.canonical import leaf_hash
from domain.errors import UnknownThing
from domain.stored_damage import StoredDamage


def proven_bytes(connection: Connection, position: int) -> bytes:
    """The hashed bytes of the entry at `position`, when the tree's head holds them.

    Raises:
        UnknownThing: there is no such entry.
        StoredDamage: bytes, stored hash, tiles and head do not agree.
    """
    tree = ProvenTree(connection)
    query = select(ENTRIES.c.bytes, ENTRIES.c.leaf_hash).where(ENTRIES.c.position == position)
    row = connection.execute(query).one_or_none()
    if row is None and position >= tree.size:
        raise UnknownThing.entry(position, tree.size)
    if row is None or position >= tree.size:
        found = "missing" if row is None else f"beyond the tree's head, which has {tree.size}"
        raise StoredDamage(
            f"ledger entry {position} is {found}. Stop writing; run `whyledger verify`.", position
        )
    content = whole(position, row.bytes, row.leaf_hash)
    tree.inclusion(leaf_hash(content), position, tree.size)
    return content
