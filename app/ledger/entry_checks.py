"""Checks of one stored entry after another: bytes, columns, versions, and what it names."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, select

from app.ledger.findings import Break
from app.ledger.tables import ARTEFACTS
from domain.canonical import sha256_hex
from domain.proofs import HASH_BYTES

_BREAKS_KEPT: Final = 1000  # a ledger with more is broken from there on
_COPIES: Final = ("id", "stream", "type", "schema", "occurred_at", "recorded_at")
# The events whose transaction stored the artefacts they name.
_STORES: Final = {
    "cycle.data-merged": ("identities_sha256",),
    "cycle.candidate-trained": ("plan_sha256", "reference_sha256", "identities_sha256"),
    "model.candidate-promoted": ("plan_sha256", "reference_sha256"),
    "model.champion-rolled-back": ("plan_sha256", "reference_sha256"),
}
_NAMES_ARTEFACTS: Final = frozenset(_STORES)


class StoredEntry(NamedTuple):
    """A row of the ledger, as it stands; none of it is believed."""

    position: int
    id: str
    stream: str
    stream_version: int
    type: str
    schema: int
    occurred_at: str
    recorded_at: str
    content: bytes
    leaf_hash: bytes


class EntryChecks:
    """Takes the entries in order and keeps what is wrong with them.

    Args:
        connection: where artefacts are looked up.
        remembered: leaf hashes that were signed, 32 bytes each from position 0 on; may be empty.
    """

    def __init__(self, connection: Connection, remembered: bytes) -> None:
        self.breaks: list[Break] = []
        self._connection = connection
        self._remembered = remembered
        self._next = 0
        self._versions: dict[str, int] = {}
        self._ids: set[str] = set()
        self._artefacts: dict[str, str] = {}  # digest -> what was found

    def check(self, entry: StoredEntry) -> bytes:
        """Check one entry; the leaf hash of its stored bytes, 32 bytes."""
        position = entry.position
        if position != self._next:
            self._wrong(self._next, "the entry", "one", f"none; the next is {position}")
        self._next = position + 1
        content = bytes(entry.content)
        leaf = hashlib.sha256(b"\x00" + content).digest()
        start = position * HASH_BYTES
        signed = self._remembered[start : start + HASH_BYTES]
        if signed and signed != leaf:
            self._wrong(position, "the entry", f"the leaf hash {signed.hex()}, signed", leaf.hex())
        elif leaf != entry.leaf_hash:
            stored = bytes(entry.leaf_hash).hex()
            self._wrong(position, "the stored bytes", f"the stored leaf hash {stored}", leaf.hex())
        self._check_envelope(entry, content)
        return leaf

    def broken_before(self, position: int) -> bool:
        """Whether an entry before `position` is known to be another than was signed."""
        return any(each.position is not None and each.position < position for each in self.breaks)

    def _check_envelope(self, entry: StoredEntry, content: bytes) -> None:
        try:
            envelope = orjson.loads(content)
            said = tuple(envelope[name] for name in _COPIES)
            stream, data = envelope["stream"], envelope.get("data", {})  # no data: it stands apart
        except (orjson.JSONDecodeError, TypeError, KeyError) as error:
            self._wrong(entry.position, "the entry", "an envelope", f"{type(error).__name__}")
            return
        stored = (entry[1], entry[2], *entry[4:8])
        if said != stored:
            for name, inside, beside in zip(_COPIES, said, stored, strict=True):
                if inside != beside:
                    self._wrong(entry.position, f"column {name!r}", repr(inside), repr(beside))
        version = self._versions[stream] = self._versions.get(stream, -1) + 1
        if version != entry.stream_version:
            said_version = str(entry.stream_version)
            self._wrong(entry.position, "the stream version", str(version), said_version)
        if envelope["id"] in self._ids:
            self._wrong(entry.position, "the id", "one of its own", f"{envelope['id']!r} again")
        self._ids.add(envelope["id"])
        if envelope["type"] in _NAMES_ARTEFACTS:
            self._check_artefacts(entry.position, envelope["type"], data)

    def _check_artefacts(self, position: int, name: str, data: dict[str, Any]) -> None:
        for field in _STORES[name]:
            sha256 = str(data.get(field))
            if sha256 not in self._artefacts:
                query = select(ARTEFACTS.c.bytes).where(ARTEFACTS.c.sha256 == sha256)
                content = self._connection.execute(query).scalar_one_or_none()
                found = "nothing under it" if content is None else sha256_hex(bytes(content))
                self._artefacts[sha256] = found
            if self._artefacts[sha256] != sha256:
                thing = f"the artefact it names as {field}"
                self._wrong(position, thing, sha256, self._artefacts[sha256])

    def _wrong(self, position: int, thing: str, expected: str, found: str) -> None:
        if len(self.breaks) < _BREAKS_KEPT:
            self.breaks.append(Break(position, thing, expected, found))
