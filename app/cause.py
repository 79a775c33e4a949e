"""Who acts, and what led to it: made once where something enters, handed to every append.

There are no keys yet, so whoever reaches the loopback address or the machine itself is
`local:unauthenticated`; keys will name them here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.events.envelope import Recorded

UNAUTHENTICATED: Final = "local:unauthenticated"


@dataclass(frozen=True, slots=True)
class Cause:
    """What every event of one request, command or step has in common."""

    actor: str  # who acts; an opaque id, never a name or a secret
    correlation_id: str  # the same for everything that one outside cause led to
    causation_id: str | None = None  # id of the event that led here; None: it came from outside
    request_id: str | None = None  # the client's `X-Request-Id`

    @classmethod
    def unauthenticated(cls, correlation_id: str) -> Cause:
        """Whoever is on this machine: the command line, the service itself."""
        return cls(UNAUTHENTICATED, correlation_id)

    @classmethod
    def following(cls, entry: Recorded) -> Cause:
        """As `entry`: the same actor and correlation, with the entry itself as what led here."""
        return cls(entry.actor, entry.correlation_id, causation_id=entry.id)
