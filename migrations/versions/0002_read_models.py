"""Read models were made here; 0007 drops them, so a database that had none gets none.

They follow from the ledger and are made from it by whoever needs them, not by migrations.
"""

from __future__ import annotations

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")
