"""What is ready of an append before the lock is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from app.ledger.new_events import NewEvent
from domain.blocks.block import Block
from domain.canonical import sha256_hex
from domain.events.envelope import Recorded
from domain.events.erasure import Payload
from domain.stored_damage import StoredDamage

UNPLACED: Final = -1  # position and version of an entry that has neither yet


@dataclass(frozen=True, slots=True)
class Artefact:
    """Bytes that an event names by digest, kept in the same transaction."""

    sha256: str
    kind: str  # plan, reference or identities
    content: bytes


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """The rows of an entry of many, as they will stand apart from it."""

    block: Block
    ids: Sequence[str]  # of the rows' events
    have_ids_of_clients: bool  # they follow from what clients said; otherwise from the entry's id
    digests: bytes | None  # 16 bytes a row: the first half of its request digest; None: it has none
    events: tuple[NewEvent, ...] | None  # one a row; None: nobody asks for what each came to


@dataclass(frozen=True, slots=True)
class PreparedEntry:
    """An entry that lacks only its place."""

    recorded: Recorded  # as it reads back, without position and version
    content: bytes
    leaf_hash: bytes
    request_digest: bytes | None
    payload: Payload | None = None  # what stands apart; None: all of it is in `content`
    many: PreparedRows | None = None  # of an entry of many rows


@dataclass(frozen=True, slots=True)
class PreparedStream:
    """One stream's share of an append."""

    stream: str
    entries: tuple[PreparedEntry, ...]
    expected_version: int | None
    ids: tuple[str, ...]  # of what was asked for, in that order


@dataclass(frozen=True, slots=True)
class PreparedAppend:
    """Everything one caller wants appended, all or nothing, ready for the lock.

    `check` runs under the lock, after the artefacts and before the events, when there is anything
    to append; what it raises undoes everything.
    """

    streams: tuple[PreparedStream, ...]
    artefacts: tuple[Artefact, ...] = ()
    check: Callable[[Connection], None] | None = None

    @property
    def rows(self) -> int:
        """How many events were asked for, those that share an entry each by itself."""
        return sum(len(part.ids) for part in self.streams)

    @property
    def alone(self) -> bool:
        """Whether it needs a transaction of its own: what it does may undo the transaction."""
        return bool(self.artefacts) or self.check is not None


def check_artefact(artefact: Artefact) -> None:
    """Refuse bytes that are not what their name says.

    Raises:
        LedgerDamaged: the digest of the content is another one.
    """
    found = sha256_hex(artefact.content)
    if found != artefact.sha256:
        raise StoredDamage(
            f"artefact {artefact.sha256} ({artefact.kind}) has the digest {found}. "
            "Restore the database from a back-up, or make the artefact again."
        )


def category(stream: str) -> str:
    """The part of a stream's name before the first `-`."""
    return stream.partition("-")[0]
