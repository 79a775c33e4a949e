"""What the newest signed checkpoint vouches for."""

from __future__ import annotations

from app.audit.templates import moment
from app.ledger.store import Connection
from app.proof.checkpoints import latest_signed


def checkpoint_sentence(connection: Connection) -> str:
    """How many entries the newest signed checkpoint vouches for, and since when."""
    signed = latest_signed(connection)
    if signed is None:
        return "No checkpoint was signed yet."
    at = moment(signed.signed_at)
    return f"Tamper-evident since checkpoint {signed.checkpoint.size:,}, signed {at}."
