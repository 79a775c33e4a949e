"""A receipt: the proof that an entry is in the ledger, to keep or to hand on."""

from __future__ import annotations

from dataclasses import dataclass

from app.ledger.store import Ledger
from app.ledger.tree import StoredTree
from app.proof.checkpoints import Checkpoints
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
