"""A receipt: the proof that an entry, or a row of one, is in the ledger: to keep or to hand on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.ledger.proven_rows import proven_rows
from app.ledger.store import Ledger
from app.ledger.tree import StoredTree
from app.proof.checkpoints import Checkpoints
from domain.blocks.block import erased_row
from domain.blocks.row_proofs import RowTree
from domain.canonical import leaf_hash
from domain.errors import ProofInvalid, UnknownThing
from domain.stored_damage import StoredDamage
from domain.tree.proofs import verify_inclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An entry, the way from its hash to a root, and the signature over that root.

    It is checked with `leaf_hash` = SHA-256(0x00 || the entry's bytes), RFC 9162 (2.1.3.2) and the
    verifier key; nobody needs to be asked.
    """

    position: int
    leaf_hash: bytes  # 32 bytes
    proof: tuple[bytes, ...]  # 32 bytes each, from the leaf to the root
    checkpoint: str  # the signed note

    def as_json(self) -> dict[str, object]:
        """The receipt as JSON; hashes are 64 hex digits."""
        return {
            "position": self.position,
            "leaf_hash": self.leaf_hash.hex(),
            "proof": [each.hex() for each in self.proof],
            "checkpoint": self.checkpoint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReceipt:
    """A row of an entry of many: the way from its salted line to the root in the envelope.

    From there on it is the entry's receipt. Of `rows` nothing is to be believed but what `envelope`
    says: row 1 of 3 passes as row 1 of 4. It shows no other row. `domain/blocks/row_proofs.py`.
    """

    entry: Receipt
    row: int
    rows: int
    salt: bytes | None  # 16 bytes; None, as the content: the row is erased
    content: bytes | None  # its line
    row_proof: tuple[bytes, ...]  # 32 bytes each, from the row's leaf to `rows_root`
    envelope: bytes  # the hashed bytes of the entry

    def as_json(self) -> dict[str, object]:
        """The receipt as JSON: that of the entry, and what leads from the row to it."""
        return self.entry.as_json() | {
            "row": self.row,
            "rows": self.rows,
            "salt": None if self.salt is None else self.salt.hex(),
            "content": None if self.content is None else self.content.decode(),
            "row_proof": [each.hex() for each in self.row_proof],
            "envelope": self.envelope.decode(),
        }


def row_receipts(
    ledger: Ledger, checkpoints: Checkpoints, position: int, rows: Iterable[int]
) -> list[RowReceipt]:
    """The receipts of some rows of the entry of many at `position`.

    Each proof is verified before it is handed out.

    Raises:
        UnknownThing: as `receipt`; or there is no such row, or none stand apart from the entry.
        SigningRefused, LedgerDamaged: as `receipt`.
    """
    with ledger.snapshot() as connection:
        found = proven_rows(connection, position)
    wanted = list(rows)
    for row in wanted:
        found.check_row(row)
    entry = receipt(ledger, checkpoints, position)
    block, lines, leaves = found.block, found.block.lines, found.block.leaves()
    tree = RowTree(leaves)
    root, made = tree.root, []
    for row in wanted:
        proof = tree.proof(row)
        verify_inclusion(leaves[row], row, found.rows, proof, root)
        there = erased_row(lines[row]) is None
        made.append(
            RowReceipt(
                entry=entry,
                row=row,
                rows=found.rows,
                salt=block.salt(row) if there else None,
                content=lines[row] if there else None,
                row_proof=proof,
                envelope=found.envelope,
            )
        )
    return made


def receipt(ledger: Ledger, checkpoints: Checkpoints, position: int) -> Receipt:
    """The receipt of the entry at `position`, under the first checkpoint that covers it.

    The proof is verified before it is handed out. Signs a new checkpoint when none covers it yet.

    Raises:
        UnknownThing: there is no such entry, or another process is about to sign for it.
        SigningRefused: the ledger does not extend what was signed before.
        LedgerDamaged: entry or tree in the database are not what was signed.
    """
    stored = ledger.stored_bytes(position, position)
    if not stored:
        raise UnknownThing.entry(position, ledger.size())
    signed = checkpoints.covering(position)
    size = signed.checkpoint.size
    if size <= position:
        raise UnknownThing.checkpoint(position + 1)
    leaf = leaf_hash(stored[0])
    with ledger.connect() as connection:
        proof = StoredTree(connection, size).inclusion(position)
        try:
            verify_inclusion(leaf, position, size, proof, signed.checkpoint.root)
        except ProofInvalid as error:
            raise StoredDamage(
                f"ledger entry {position}: its bytes and the tree do not lead to the root that was "
                f"signed for {size} entries. Run `whyledger verify`. {error.message}",
                position,
            ) from error
    return Receipt(position=position, leaf_hash=leaf, proof=proof, checkpoint=signed.note)
