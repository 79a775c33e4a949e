"""Checks of one stored entry after another: bytes, columns, versions, and what it names."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, Row, select

from app.ledger.streams import cycle_stream
from app.ledger.tables import ARTEFACTS
from app.proof.leaf_memory import LeafMemory
from app.proof.verify.breaks import BREAKS_KEPT, Break
from app.proof.verify.seen import Seen
from domain.blocks.ids import ROWS_MAX
from domain.canonical import sha256_hex
from domain.events.block_events import BLOCK_TYPES
from domain.events.envelope import UNREADABLE, event_from_data, why_unreadable
from domain.events.erasure_reach import (
    ERASABLE_FIELDS,
    FREEZE,
    ManyRows,
    StoodBefore,
    beyond_reach,
    frozen_in,
    model_of_frozen,
    model_of_rows,
    within_reach,
)
from domain.events.events import PayloadErased
from domain.events.unreadable import EXPECTED, THING
from domain.tree.proofs import HASH_BYTES

_NOTHING: Final = "nothing under it"
_COPIES: Final = ("id", "stream", "type", "schema", "occurred_at", "recorded_at")
# The events whose transaction stored the artefacts they name.
STORES: Final = {
    "cycle.drift-measured": ("residuals_sha256",),
    "cycle.data-merged": ("identities_sha256",),
    "cycle.candidate-trained": (
        *("plan_sha256", "reference_sha256", "identities_sha256"),
        "residuals_sha256",
    ),
    "cycle.candidate-refitted": ("plan_sha256", "identities_sha256"),
    "model.candidate-promoted": ("plan_sha256", "reference_sha256"),
    "model.champion-rolled-back": ("plan_sha256", "reference_sha256"),
}
_LOOKED_INTO: Final = FREEZE | BLOCK_TYPES | {PayloadErased.type}
_OPTIONAL: Final = "residuals_sha256"  # older entries lack it, and who has none says null
_REFIT: Final = "cycle.candidate-refitted"  # null, both, where no plan came of it


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
        remembered: leaf hashes that were signed; may be none.
        seen: takes what later checks need.
    """

    def __init__(self, connection: Connection, remembered: LeafMemory, seen: Seen) -> None:
        self.breaks: list[Break] = []
        self.named: dict[str, set[str]] = {}  # digest of an artefact -> the fields that name it
        self._seen = seen
        self._erased_artefacts: set[str] = set()
        self._missing: list[tuple[int, str, str]] = []  # position, field and digest; or erased
        self._frozen: dict[str, set[str]] = {}  # model -> digests its entries name as erasable
        self._connection = connection
        self._remembered = remembered
        self._next = 0
        self._versions: dict[str, int] = {}  # by stream: one for each cycle, and few others
        self._ids: list[tuple[str, int]] = []  # of this page, with their positions
        self._artefacts: dict[str, str] = {}  # digest -> what was found

    def check(self, page: Sequence[Row[*tuple[Any, ...]]]) -> list[bytes]:
        """Check entries that follow each other; the leaf hashes (32 bytes) of their stored bytes.

        `page` holds rows of `StoredEntry`'s columns. The ordinary entry takes the short way: its
        bytes end as its columns say, which canonical JSON, with its keys in order, allows to see
        without parsing it.
        """
        leaves: list[bytes] = []
        versions, ids = self._versions, self._ids
        first = max(page[0][0], 0)
        remembered = self._remembered.read(first, first + len(page))
        for row in page:
            position, id, stream, version, type_, schema, occurred, recorded, content, stored = row
            if type(content) is not bytes or type(stored) is not bytes:  # SQLite takes text, too
                content = self._as_bytes(position, "bytes", content)
                stored = self._as_bytes(position, "leaf_hash", stored)
            leaf = sha256(b"\x00" + content).digest()
            leaves.append(leaf)
            why = why_unreadable(content, position)
            expected = versions.get(stream, -1) + 1
            ending = (
                f',"id":"{id}","occurred_at":"{occurred}","recorded_at":"{recorded}",'
                f'"schema":{schema},"stream":"{stream}","type":"{type_}","v":1}}'
            )
            start = (position - first) * HASH_BYTES
            if 0 <= start < len(page) * HASH_BYTES:
                signed = remembered[start : start + HASH_BYTES]
            else:  # behind a gap, or before the first
                signed = self._remembered.read(position, position + 1)
            if (
                leaf == stored
                and (leaf == signed or not signed)
                and position == self._next
                and version == expected
                and type_ not in _LOOKED_INTO
                and b'"data_commit":' not in content
                and content.endswith(ending.encode())
                and why is None
            ):
                versions[stream] = expected
                ids.append((id, position))
                self._next = position + 1
            else:
                self._check_thoroughly(
                    StoredEntry(*row)._replace(content=content, leaf_hash=stored), leaf, signed
                )
                if why is not None:
                    self._wrong(position, THING, EXPECTED, why)
        for id, position in self._seen.add_ids(ids):
            self._wrong(position, "the id", "one of its own", f"{id!r} again")
        ids.clear()
        return leaves

    def broken_before(self, position: int) -> bool:
        """Whether an entry before `position` is known to be another than was signed."""
        return any(each.position is not None and each.position < position for each in self.breaks)

    def _as_bytes(self, position: int, column: str, value: object) -> bytes:
        if isinstance(value, bytes):
            return value
        self._wrong(position, f"column {column!r}", "bytes", type(value).__name__)
        return str(value).encode()

    def _check_thoroughly(self, entry: StoredEntry, leaf: bytes, signed: bytes) -> None:
        position = entry.position
        if position != self._next:
            self._wrong(self._next, "the entry", "one", f"none; the next is {position}")
        self._next = position + 1
        if signed and signed != leaf:
            self._wrong(position, "the entry", f"the leaf hash {signed.hex()}, signed", leaf.hex())
        elif leaf != entry.leaf_hash:
            stored = bytes(entry.leaf_hash).hex()
            self._wrong(position, "the stored bytes", f"the stored leaf hash {stored}", leaf.hex())
        self._check_envelope(entry, is_hashed=leaf == entry.leaf_hash)

    def _check_envelope(self, entry: StoredEntry, *, is_hashed: bool) -> None:
        try:
            envelope = orjson.loads(entry.content)
            said = tuple(envelope[name] for name in _COPIES)
            stream, data = envelope["stream"], envelope.get("data", {})  # no data: it stands apart
            if not isinstance(data, dict) or not all(isinstance(name, str) for name in said[:3]):
                raise TypeError
        except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
            # It was named already; its place in the stream is what the columns say.
            self._versions[entry.stream] = self._versions.get(entry.stream, -1) + 1
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
        self._ids.append((envelope["id"], entry.position))
        if "data_commit" in envelope:
            commit, model = str(envelope["data_commit"]), model_of_rows(stream)
            self._seen.add_apart(entry.position, commit, model)
        if envelope["type"] in BLOCK_TYPES and type(data.get("rows")) is int:
            rows = min(data["rows"], ROWS_MAX)  # who says more is named where its block is checked
            self._seen.add_many(entry.position, ManyRows(model_of_rows(stream), rows))
        erases = envelope["type"] == PayloadErased.type and stream == PayloadErased.stream
        if erases and is_hashed:  # no other is believed by anybody
            self._check_erasure(entry.position, envelope["schema"], data)
        if envelope["type"] in FREEZE:
            self._frozen.setdefault(model_of_frozen(stream) or "", set()).update(frozen_in(data))
            self._check_artefacts(entry.position, envelope["type"], data)

    def _check_erasure(self, position: int, schema: int, data: dict[str, Any]) -> None:
        try:
            event = event_from_data(PayloadErased.type, schema, data)
        except UNREADABLE:
            return  # it was named already
        assert isinstance(event, PayloadErased)  # noqa: S101 - its type says so
        frozen = self._frozen.get(event.model, set())
        before = StoodBefore(
            rows_model=self._seen.model_of_rows,
            many_rows=self._seen.many_rows,
            is_frozen=frozen.__contains__,
            has_started=lambda cycle: cycle_stream(cycle) in self._versions,
        )
        for named in beyond_reach(event, position, before):
            expected = f"what stands before it, of {event.model!r}"
            self._wrong(position, "what the erasure names", expected, named)
        believed = within_reach(event, position, before)
        self._seen.add_erased(believed.entries)
        self._seen.add_erased_rows(believed.rows)
        self._erased_artefacts.update(believed.artefacts)

    def finish(self) -> None:
        """After the last entry: what is missing and may be, since an erasure says so."""
        for position, field, named in self._missing:
            if named not in self._erased_artefacts:
                self._wrong(position, f"the artefact it names as {field}", named, _NOTHING)

    def _check_artefacts(self, position: int, name: str, data: dict[str, Any]) -> None:
        for field in STORES[name]:
            if data.get(field) is None and (field == _OPTIONAL or name == _REFIT):
                continue
            named = str(data.get(field))
            self.named.setdefault(named, set()).add(field)
            if named not in self._artefacts:
                query = select(ARTEFACTS.c.bytes).where(ARTEFACTS.c.sha256 == named)
                content = self._connection.execute(query).scalar_one_or_none()
                self._artefacts[named] = _NOTHING if content is None else sha256_hex(bytes(content))
            if self._artefacts[named] == _NOTHING and field in ERASABLE_FIELDS:
                self._missing.append((position, field, named))
            elif self._artefacts[named] != named:
                thing = f"the artefact it names as {field}"
                self._wrong(position, thing, named, self._artefacts[named])

    def _wrong(self, position: int, thing: str, expected: str, found: str) -> None:
        if len(self.breaks) < BREAKS_KEPT:
            self.breaks.append(Break(position, thing, expected, found))
