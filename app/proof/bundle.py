"""Export a ledger as a bundle that others can check without us and without our database.

A folder or a .zip: `docs/bundle.md` describes every file. The verifier, `verify_bundle.py`, shares
no code with this; the two meet in that page alone.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import orjson
from sqlalchemy import Connection, select

from app.database.durable_files import file_aside, folder_aside
from app.database.migrating import CannotJudge
from app.ledger.batch import Artefact, check_artefact
from app.ledger.known_damage import known_damage
from app.ledger.met_damage import Met
from app.ledger.store import Ledger
from app.ledger.stored_bytes import Column, whole
from app.ledger.tables import ARTEFACTS, CHECKPOINTS, TILES
from app.ledger.tree import TILE_HASHES
from app.proof.bundle_rows import has_rows_apart, rows_apart
from app.proof.verify.guards import tables_of
from app.proof.verify.storage_checks import check_storage, unreadable_is_damage
from domain.canonical import canonical_bytes, leaf_hash, sha256_hex
from domain.decisions.damage import standing
from domain.errors import LedgerDamaged, NotCanonical, RequestInvalid
from domain.events.block_events import BLOCK_EVENTS
from domain.events.events import EVENT_TYPES
from domain.faults import shown
from domain.path_parts import file_digest, is_digest
from domain.stored_damage import StoredDamage
from domain.tree.merkle import Frontier
from domain.tree.notes import VerifierKey

FORMAT: Final = "whyledger.bundle/1"
FORMAT_OF_MANY: Final = "whyledger.bundle/2"  # with entries of many rows
_VERIFIER: Final = Path(__file__).with_name("verify_bundle.py")  # a file to copy, never imported
_PAGE_ENTRIES: Final = 1000
_FEW: Final = {"yield_per": 16}  # rows with large values, held at once
_ENTRIES: Final = (
    'SELECT "position", stream_version, bytes, leaf_hash FROM entries ORDER BY "position"'
)
_PAYLOADS: Final = 'SELECT "position", salt, bytes FROM payloads ORDER BY "position"'
_DOCUMENTS: Final = {  # event type -> folder, field with the document, field with its digest
    "model.contract-adopted": ("contracts", "contract", "contract_digest"),
    "policy.adopted": ("policies", "document", "policy_digest"),
}
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the same ledger gives the same bytes

OpenFile = Callable[[str], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was exported."""

    entries: int
    root: str  # hex
    checkpoints: int
    artefacts: int
    # Of the first entry or artefact that is not what its hash says, else what stands, in words.
    damage: str | None


def export_bundle(
    ledger: Ledger,
    target: Path,
    key: VerifierKey | None,
    *,
    retained: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Exported:
    """Write everything at one moment of the ledger to `target`: a new folder, or a new .zip file.

    Written beside it and renamed when it is whole. What is damaged is written as it stands, for
    whoever has to judge it, and noticed; damage that was found before and stands is said as well.

    Args:
        ledger: open.
        target: must not exist; a name that ends in .zip makes one file.
        key: whose signatures stand in the checkpoints; the reader must have it from elsewhere too.
        retained: signed notes kept outside the database, added to those in it.
        progress: told how many entries of how many are written.

    Raises:
        RequestInvalid: `target` exists.
        CannotJudge: the schema is newer than this code, or older than the tree.
        LedgerDamaged: the tables themselves cannot be read, or hold what names no file. Nothing of
            the bundle is left then.
    """
    if target.exists() or target.is_symlink():
        raise RequestInvalid(f"{target} exists. Name a folder or .zip file that does not.")
    opening = _zip(target) if target.suffix == ".zip" else _folder(target)
    with ledger.snapshot() as connection, unreadable_is_damage():
        tables = tables_of(connection)
        if "tiles" not in tables:
            raise CannotJudge(
                "the ledger's schema is older than '0003' and has no tree to export. Let a "
                "service of this version open it once, which migrates it, and export again."
            )
        check_storage(connection, tables)
        with opening as open_file:
            export = _Export(connection, open_file, progress, tables)
            written = export.write(key, retained)
    if export.met is not None:
        ledger.met.add(export.met)
    return written


class _Export:
    """One export: writes file after file, and at last the trailer that names them all."""

    def __init__(
        self,
        connection: Connection,
        open_file: OpenFile,
        progress: Callable[[int, int], None],
        tables: Set[str],
    ) -> None:
        self._tables = tables
        self._connection = connection
        self._open_file = open_file
        self._progress = progress
        self._files: dict[str, str] = {}  # name -> SHA-256
        self.met: Met | None = None  # the first that is not what its hash says

    def write(self, key: VerifierKey | None, retained: Sequence[str]) -> Exported:
        tree = self._write_events()
        tiles = self._write_tiles(tree.size)
        artefacts = self._write_artefacts()
        self._write_payloads()
        many = self._write_rows()
        checkpoints = self._write_checkpoints(retained)
        self._write("schema/events.json", _json(_schemas(many)))
        self._write("verify_bundle.py", _VERIFIER.read_bytes())
        trailer = {
            "format": FORMAT_OF_MANY if many else FORMAT,
            "verifier_key": None if key is None else str(key),
            "entries": tree.size,
            "root": tree.root().hex(),
            "checkpoints": checkpoints,
            "tiles": tiles,
            "artefacts": artefacts,
            "files": dict(sorted(self._files.items())),
        }
        self._write("trailer.json", _json(trailer))  # last: a bundle that was cut has none
        return Exported(
            entries=tree.size,
            root=tree.root().hex(),
            checkpoints=checkpoints,
            artefacts=artefacts,
            damage=_standing(self._connection) if self.met is None else self.met.said,
        )

    def _write_events(self) -> Frontier:
        total = self._connection.exec_driver_sql("SELECT count(*) FROM entries").scalar_one()
        tree = Frontier()
        documents: dict[str, bytes] = {}
        options = {"yield_per": _PAGE_ENTRIES}
        with (
            self._stream("events.jsonl") as file,
            self._connection.exec_driver_sql(_ENTRIES, execution_options=options) as rows,
        ):
            for page in rows.partitions(_PAGE_ENTRIES):
                leaves = []
                for position, version, stored, said in page:
                    content = bytes(stored)
                    # The canonical bytes stand in the line as they are: they are JSON.
                    file.write(
                        b'{"position":%d,"stream_version":%d,"envelope":%s}\n'
                        % (position, version, content)
                    )
                    leaves.append(leaf_hash(content))
                    if leaves[-1] != said and self.met is None:
                        self.met = _met(position, stored, said)
                    documents.update(_documents(content))
                tree = tree.append(leaves)
                self._progress(tree.size, total)
        for name, document in documents.items():
            self._write(name, document)
        return tree

    def _write_tiles(self, size: int) -> int:
        count = 0
        query = select(TILES.c.level, TILES.c.number, TILES.c.bytes)
        with self._connection.execute(query, execution_options=_FEW) as rows:
            for level, number, content in rows:
                if not (type(level) is type(number) is int and min(level, number) >= 0):
                    raise LedgerDamaged(
                        f"tile {shown(level)}/{shown(number)} has no place in a tree. Stop "
                        "writing; run `whyledger verify`."
                    )
                if (number + 1) * TILE_HASHES ** (level + 1) <= size:
                    self._write(f"tiles/{level}/{number}", bytes(content))
                    count += 1
        return count

    def _write_artefacts(self) -> int:
        count = 0
        query = select(ARTEFACTS.c.sha256, ARTEFACTS.c.kind, ARTEFACTS.c.bytes)
        with self._connection.execute(query, execution_options=_FEW) as rows:
            for sha256, kind, content in rows:
                name = file_digest(sha256, "the digest of an artefact")
                self._write(f"artefacts/{name}", bytes(content))
                try:
                    check_artefact(Artefact(name, str(kind), bytes(content)))
                except StoredDamage as damage:
                    self.met = self.met or Met(damage.position, damage.message)
                count += 1
        return count

    def _write_payloads(self) -> None:
        with self._stream("payloads.jsonl") as file:
            if "payloads" not in self._tables:
                return  # an older schema: nothing stood apart
            with self._connection.exec_driver_sql(_PAYLOADS, execution_options=_FEW) as rows:
                for position, salt, content in rows:
                    # The bytes that the entry commits to stand in the line as they are, too.
                    line = b'{"position":%d,"salt":"%s","data":%s}\n'
                    file.write(line % (position, bytes(salt).hex().encode(), bytes(content)))

    def _write_rows(self) -> bool:
        """Whether there are rows of entries of many; a bundle without has no file for them."""
        if "blocks" not in self._tables or not has_rows_apart(self._connection):
            return False
        with self._stream("rows.jsonl") as file:
            for lines, met in rows_apart(self._connection):
                file.write(lines)
                self.met = self.met or met
        return True

    def _write_checkpoints(self, retained: Sequence[str]) -> int:
        rows = self._connection.execute(select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size))
        notes = list(dict.fromkeys([*rows.scalars(), *retained]))
        self._write("checkpoints.jsonl", b"".join(_json({"note": note}) for note in notes))
        return len(notes)

    def _write(self, name: str, content: bytes) -> None:
        if name not in self._files:
            with self._stream(name) as file:
                file.write(content)

    @contextmanager
    def _stream(self, name: str) -> Iterator[_Hashed]:
        with self._open_file(name) as file:
            hashed = _Hashed(file)
            yield hashed
        self._files[name] = hashed.digest()


class _Hashed:
    """A file that knows the SHA-256 of what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._sha256.update(content)

    def digest(self) -> str:
        return self._sha256.hexdigest()


def _met(position: int, stored: Column, said: Column) -> Met | None:
    try:
        whole(position, stored, said)
    except StoredDamage as damage:
        return Met(damage.position, damage.message)
    return None


def _standing(connection: Connection) -> str | None:
    """Damage that was found before, and is not settled; None: none."""
    try:
        stands = standing(known_damage(connection))
    except LedgerDamaged as error:
        return error.message
    more = f" {len(stands) - 1} more were found." if len(stands) > 1 else ""
    return f"{stands[0].found.said}{more}" if stands else None


def _documents(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The contract or policy that an entry adopts, as a file named by its digest."""
    if not any(name.encode() in content for name in _DOCUMENTS):
        return
    try:
        envelope = orjson.loads(content)
        if envelope["type"] not in _DOCUMENTS:
            return
        folder, document, digest = _DOCUMENTS[envelope["type"]]
        found = canonical_bytes(envelope["data"][document])
        name = envelope["data"][digest]
    except (ValueError, TypeError, KeyError, NotCanonical):
        return  # nobody can read it; the bundle's verifier names its position
    # Never write outside the bundle, whatever somebody made of the entry.
    yield f"{folder}/{name if is_digest(name) else sha256_hex(found)}.json", found


@cache
def _schemas(many: bool) -> dict[str, Any]:
    """JSON Schema of every event's data, by type and schema number.

    Where rows stand apart (`many`), also what their lines hold, in words.
    """
    schemas = {f"{event.type}/{event.schema}": msgspec.json.schema(event) for event in EVENT_TYPES}
    for event in BLOCK_EVENTS if many else ():
        schemas[f"{event.type}/{event.schema}"]["x-line"] = event.line
    return schemas


def _json(value: object) -> bytes:
    return orjson.dumps(value) + b"\n"


@contextmanager
def _folder(target: Path) -> Iterator[OpenFile]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with folder_aside(target) as folder:

        def open_file(name: str) -> IO[bytes]:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("xb")

        yield open_file


@contextmanager
def _zip(target: Path) -> Iterator[OpenFile]:
    """A new .zip, under its name when it is whole and on the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with file_aside(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:

        def open_file(name: str) -> IO[bytes]:
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            return archive.open(info, "w", force_zip64=True)

        yield open_file
