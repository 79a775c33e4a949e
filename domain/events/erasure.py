"""Payloads that can be erased: what hashed bytes hold of them, and what is read when they are gone.

A person's data never stands in hashed bytes. The envelope of such an event holds `data_commit`,
SHA-256(salt || RFC 8785 bytes of the data); salt and data stand apart. Without the salt, which is
erased with the data, nobody can find out by guessing whether a guess was right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Payload:
    """What stands apart from an envelope."""

    salt: bytes  # 32 random bytes, of this payload alone
    content: bytes  # RFC 8785 bytes of the event's data

    @property
    def commit(self) -> str:
        """What the envelope says of it: SHA-256(salt || content), 64 hex digits."""
        return hashlib.sha256(self.salt + self.content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """Stands where an event was whose payload was erased: only its envelope is left.

    Folds and projections pass it over.
    """

    type: str  # as the envelope says
    schema: int
