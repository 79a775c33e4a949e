"""Read models were brought to schema 2 of `cycle.decided` here; 0007 drops those."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")
