"""Damage to what is stored, apart from what merely cannot be read by this version."""

from __future__ import annotations

from domain.errors import LedgerDamaged


class StoredDamage(LedgerDamaged):
    """What is stored is not what was written: bytes, hashes, order, or something that is gone.

    Whoever meets it stops more than its own request: until the ledger was verified, or somebody
    says to go on, nothing is promoted and nothing is signed. `position` is the entry's; None: no
    single entry is concerned.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position
