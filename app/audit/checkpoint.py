"""What the newest signed checkpoint vouches for."""

from __future__ import annotations

from app.audit.templates import moment
from app.proof.checkpoints import Signed


def checkpoint_sentence(signed: Signed | None) -> str:
    """How many entries the newest checkpoint that is believed vouches for, and since when."""
    if signed is None:
        return "No checkpoint was signed yet."
    at = moment(signed.signed_at)
    return f"Tamper-evident since checkpoint {signed.checkpoint.size:,}, signed {at}."
