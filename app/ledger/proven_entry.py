"""An entry's bytes and earlier roots, as the tree's head vouches for them: to be handed on."""

from __future__ import annotations

from sqlalchemy import Connection, select

from app.ledger.stored_bytes import whole
from app.ledger.tables import ENTRIES
from app.ledger.tree import StoredTree, read_head
from domain.canonical import leaf_hash
from domain.errors import ProofInvalid, UnknownThing
from domain.stored_damage import StoredDamage
from domain.tree.merkle import Frontier
from domain.tree.proofs import verify_consistency, verify_inclusion


def proven_bytes(connection: Connection, position: int) -> bytes:
    """The hashed bytes of the entry at `position`, when the tree's head holds them.

    Raises:
        UnknownThing: there is no such entry.
        StoredDamage: bytes, stored hash, tiles and head do not agree.
    """
    head = read_head(connection)
    query = select(ENTRIES.c.bytes, ENTRIES.c.leaf_hash).where(ENTRIES.c.position == position)
    row = connection.execute(query).one_or_none()
    if row is None and position >= head.size:
        raise UnknownThing.entry(position, head.size)
    if row is None or position >= head.size:
        found = "missing" if row is None else f"beyond the tree's head, which has {head.size}"
        raise StoredDamage(
            f"ledger entry {position} is {found}. Stop writing; run `whyledger verify`.", position
        )
    content = whole(position, row.bytes, row.leaf_hash)
    proof = StoredTree(connection, head.size).inclusion(position)
    try:
        verify_inclusion(leaf_hash(content), position, head.size, proof, head.root())
    except ProofInvalid as error:
        raise StoredDamage(
            f"ledger entry {position}: its bytes and the stored tiles do not lead to the root of "
            f"the tree of {head.size} entries. Run `whyledger verify`. {error.message}",
            position,
        ) from error
    return content


def proven_root(connection: Connection, size: int, head: Frontier) -> bytes:
    """The root of the first `size` entries (1 or more), 32 bytes, when the head's tree extends it.

    Raises:
        RequestInvalid: the head has fewer entries.
        StoredDamage: the stored tiles lead to another root than the head's.
    """
    root = StoredTree(connection, size).root()
    proof = StoredTree(connection, head.size).consistency(size)
    try:
        verify_consistency(size, head.size, root, head.root(), proof)
    except ProofInvalid as error:
        raise StoredDamage(
            f"the stored tiles do not lead from the tree of {size} entries to the head of "
            f"{head.size}. Run `whyledger verify`. {error.message}"
        ) from error
    return root
