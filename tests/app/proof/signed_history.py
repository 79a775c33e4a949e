"""A history of few entries and their rows, and the bundle of it that somebody with the key writes.

He recomputes every root, digest and signature, so only what the entries and rows say is left to be
looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.clock import new_id
from domain.blocks.block import Block, row_members
from domain.blocks.ids import prediction_id
from domain.canonical import canonical_bytes, leaf_hash
from domain.events.block_events import RowPlace
from domain.events.envelope import envelope_bytes
from domain.events.events import Event
from domain.tree.merkle import root_of
from domain.tree.notes import Checkpoint, NoteSignature, VerifierKey, format_note
from tests.app.many_rows import Many, observations, outcomes, predictions, written
from tests.app.planting import erasure
from tests.app.proof.forged_rows import FIRST
from tests.app.proof.signed_ledger import Kept, checked, with_true_trailer
from tests.ledger_events import observation, prediction, refused
from tests.plausible import TIME

_SECRET: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_KEY: Final = VerifierKey("history", _SECRET.public_key().public_bytes_raw())


@dataclass
class History:
    """Entries, and the rows that stand apart from them: each may be exchanged."""

    entries: list[bytes] = field(default_factory=list)  # hashed bytes
    rows: dict[int, list[bytes]] = field(default_factory=dict)  # position -> lines of rows.jsonl

    def add(self, event: Event, stream: str, id: str = "") -> None:
        """A plain entry."""
        said: dict[str, Any] = {
            "occurred_at": TIME,
            "recorded_at": TIME,
            "actor": "local:unauthenticated",
            "correlation_id": "c",
            "causation_id": None,
        }
        self.entries.append(envelope_bytes(event, id=id or new_id(), stream=stream, **said))

    def add_many(self, many: Many, id: str | None = None) -> Block:
        """An entry of many rows; the rows."""
        content, block = written(many, id)
        self.put(content, block)
        return block

    def put(self, content: bytes, block: Block) -> None:
        """An entry of these bytes with these rows, whether or not they fit."""
        self.rows[len(self.entries)] = lines_of(len(self.entries), block)
        self.entries.append(content)

    def erase(self, *places: tuple[int, int]) -> None:
        """An entry says that these rows are erased. The rows themselves stay."""
        named = tuple(RowPlace(position=at, row=row) for at, row in places)
        self.add(erasure(rows=named), "ledger")

    def say(self, position: int, **data: Any) -> None:
        """The entry there says other data than it did."""
        envelope = json.loads(self.entries[position])
        envelope["data"] |= data
        self.entries[position] = canonical_bytes(envelope)

    def bundle(self, folder: Path, *, signed: int | None = None) -> tuple[Path, Kept]:
        """The bundle of it, signed to the last entry (or to so many), and what a reader has."""
        folder.mkdir()
        versions: dict[str, int] = {}
        lines = []
        for position, content in enumerate(self.entries):
            stream = json.loads(content)["stream"]
            versions[stream] = versions.get(stream, -1) + 1
            said = (position, versions[stream], content)
            lines.append(b'{"position":%d,"stream_version":%d,"envelope":%s}\n' % said)
        leaves = [leaf_hash(content) for content in self.entries]
        note = signed_note(leaves[: len(leaves) if signed is None else signed])
        rows = [line for position in sorted(self.rows) for line in self.rows[position]]
        for name, content in {
            "events.jsonl": b"".join(lines),
            "payloads.jsonl": b"",
            "rows.jsonl": b"".join(rows),
            "checkpoints.jsonl": json.dumps({"note": note}).encode() + b"\n",
        }.items():
            (folder / name).write_bytes(content)
        trailer = {
            "format": "whyledger.bundle/2",
            "entries": len(leaves),
            "root": root_of(leaves).hex(),
            "checkpoints": 1,
        }
        (folder / "trailer.json").write_text(json.dumps(trailer))
        return with_true_trailer(folder), Kept(_KEY, note, b"")


def signed_note(leaves: list[bytes]) -> str:
    """A checkpoint over these leaf hashes."""
    text = Checkpoint(_KEY.name, len(leaves), root_of(leaves)).text()
    signature = NoteSignature(_KEY.name, _KEY.key_id, _SECRET.sign(text.encode()))
    return format_note(text, [signature])


def lines_of(position: int, block: Block) -> list[bytes]:
    """The lines of rows.jsonl for a block, as an export writes them."""
    return [
        b'{"position":%d,%s}\n' % (position, row_members(row, line, block.salt(row)))
        for row, line in enumerate(block.lines)
    ]


def true_history() -> History:
    """Predictions at 1, observations at 2, outcomes at 3, plain entries at 0, 4 and 5."""
    history = History()
    history.add(refused(), "observations-cars")
    history.add_many(predictions(1, 2, 3), FIRST)
    history.add_many(observations(4, 5, 6))
    history.add_many(outcomes((FIRST, "car=1"), (prediction_id(FIRST, 1), "car=2")))
    history.add(observation("car=7"), "observations-cars")
    history.add(prediction("car=8"), "predictions-cars")
    return history


def verified(history: History, folder: Path, **how: Any) -> tuple[int, str]:
    """Exit code and words of the verifier over the bundle that is made of it."""
    bundle, kept = history.bundle(folder / "bundle", **how)
    return checked(bundle, kept, folder, ["note"])
