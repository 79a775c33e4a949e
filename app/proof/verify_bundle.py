"""Check an exported Whyledger bundle. One file: the standard library and `cryptography`, no more.

    python verify_bundle.py BUNDLE --key KEY [--checkpoint NOTE ...] [--leaves FILE]

BUNDLE is a folder or a .zip. KEY is the verifier key, from somewhere else than the bundle: with the
bundle's own key anybody could sign anything. NOTE is a file with signed checkpoints that were kept
elsewhere; FILE is the signer's memory of leaf hashes, which names the very entry that was changed.

Exit 0: everything holds. 1: something is broken; the first position is named. 2: cannot check.

What it follows: RFC 6962 (tree), C2SP signed-note and tlog-checkpoint, and docs/bundle.md.
"""

# ruff: noqa: PLR2004 - the numbers are those of the formats
from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

OK, BROKEN, CANNOT_CHECK = 0, 1, 2
FORMAT = "whyledger.bundle/1"
LINE = re.compile(
    rb'\{"position":(0|[1-9]\d*),"stream_version":(0|[1-9]\d*),"envelope":(\{.*\})\}\n'
)
FIELDS = set(
    "v id stream type schema occurred_at recorded_at actor correlation_id causation_id data".split()
)
FIELDS_APART = FIELDS - {"data"} | {"data_commit"}  # the data stands apart and may be erased
STORED = {  # the events whose artefacts must be in the bundle
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
# gone only where an entry says so
ERASABLE = ("reference_sha256", "identities_sha256", "residuals_sha256")
OPTIONAL = "residuals_sha256"  # older entries lack it, and who has none says null
REFIT = "cycle.candidate-refitted"  # null, both, where no plan came of it
ERASURE = "ledger.payload-erased"
PAYLOAD = re.compile(rb'\{"position":(0|[1-9]\d*),"salt":"([0-9a-f]{64})","data":(\{.*\})\}\n')
DOCUMENTS = {
    "model.contract-adopted": ("contracts", "contract", "contract_digest"),
    "policy.adopted": ("policies", "document", "policy_digest"),
}
NOTE = re.compile(
    r"\S+\n(?:0|[1-9][0-9]*)\n[A-Za-z0-9+/]{43}=\n(?:[^\n\u2014][^\n]*\n)*\n"
    r"\u2014 (\S+) [A-Za-z0-9+/]+={0,2}\n(?:\u2014 \S+ [A-Za-z0-9+/]+={0,2}\n)*"
)
TILE = 256
HASH = 32
CHUNK = 1 << 20
# a .zip that was damaged, and JSON of another shape than the page says
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),
    *(AttributeError, KeyError, TypeError, ValueError),
)


class Broken(Exception):
    """The bundle is not what was signed."""


class CannotCheck(Exception):
    """There is nothing to check, or nothing to check it with."""


def main(arguments: list[str] | None = None) -> int:
    """Check the bundle that the arguments name; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", required=True, help="verifier key: <name>+<id>+<base64>")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[])
    parser.add_argument("--leaves", type=Path)
    asked = parser.parse_args(arguments)
    try:
        key = read_key(asked.key)
        kept = [note for path in asked.checkpoint for note in notes_in(read_text(path))]
        leaves = asked.leaves.read_bytes() if asked.leaves else b""
        with Bundle(asked.bundle) as bundle:
            for line in check(bundle, key, kept, leaves):
                sys.stdout.write(line + "\n")
    except Broken as error:
        sys.stdout.write(f"BROKEN: {error}\n")
        return BROKEN
    except CannotCheck as error:
        sys.stdout.write(f"CANNOT CHECK: {error}\n")
        return CANNOT_CHECK
    except (OSError, UnicodeDecodeError) as error:
        sys.stdout.write(f"CANNOT CHECK: {error}\n")
        return CANNOT_CHECK
    except DAMAGE as error:
        sys.stdout.write(f"BROKEN: the bundle is damaged: {type(error).__name__}: {error}\n")
        return BROKEN
    sys.stdout.write("OK\n")
    return OK


class Bundle:
    """The files of a bundle, in a folder or a .zip."""

    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else None
        self._zip: zipfile.ZipFile | None = None
        if self._folder is None:
            if not path.exists():
                raise CannotCheck(f"{path} does not exist")
            try:
                self._zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError) as error:
                raise Broken(f"{path} is no whole .zip file: {error}") from None

    def __enter__(self) -> Bundle:
        """The bundle."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._zip is not None:
            self._zip.close()

    def names(self) -> set[str]:
        """Every file in it."""
        if self._folder is not None:
            found = (path for path in self._folder.rglob("*") if not path.is_dir())
            return {path.relative_to(self._folder).as_posix() for path in found}
        listed = [info.filename for info in self._archive().infolist() if not info.is_dir()]
        if len(set(listed)) != len(listed):
            raise Broken("a file stands twice in the .zip")
        return set(listed)

    def open(self, name: str) -> IO[bytes]:
        """One file, to read."""
        try:
            if self._folder is not None:
                return (self._folder / name).open("rb")
            return self._archive().open(name)
        except (KeyError, FileNotFoundError):
            raise Broken(f"the file {name!r} is missing") from None

    def read(self, name: str) -> bytes:
        """One file, whole."""
        try:
            with self.open(name) as file:
                return file.read()
        except (zipfile.BadZipFile, EOFError) as error:
            raise Broken(f"the file {name!r} is cut or changed: {error}") from None

    def _archive(self) -> zipfile.ZipFile:
        assert self._zip is not None  # noqa: S101 - a folder was answered before
        return self._zip


class Tree:
    """An RFC 6962 tree that only grows: the roots of its perfect subtrees, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        size, node = self.size, leaf
        while size & 1:
            node = hashlib.sha256(b"\x01" + self._roots.pop() + node).digest()
            size >>= 1
        self._roots.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root hash."""
        if not self._roots:
            return hashlib.sha256(b"").digest()
        node = self._roots[-1]
        for left in self._roots[-2::-1]:
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node


def check(bundle: Bundle, key: tuple[str, bytes], kept: list[str], leaves: bytes) -> Iterator[str]:
    """What holds, line by line; raises at the first thing that does not."""
    trailer = check_files(bundle)
    mine = [note_of(line) for line in bundle.read("checkpoints.jsonl").splitlines()]
    checkpoints = sorted({open_checkpoint(note, key) for note in [*mine, *kept]})
    if trailer.get("checkpoints") != len(mine):
        raise Broken(f"{len(mine)} checkpoints; the trailer says {trailer.get('checkpoints')}")
    if not checkpoints:
        raise CannotCheck("no checkpoint, neither in the bundle nor kept: nothing is signed")
    remembered = authentic_leaves(leaves, checkpoints)
    apart = Apart()
    tree = check_events(bundle, checkpoints, remembered, apart)
    erased = apart.check(bundle)
    if trailer.get("entries") != tree.size or trailer.get("root") != tree.root().hex():
        raise Broken(
            f"{tree.size} entries with the root {tree.root().hex()}; the trailer says "
            f"{trailer.get('entries')} and {trailer.get('root')}"
        )
    if erased:
        yield f"erased       {erased} entries have no data any more, as other entries say"
    covered = checkpoints[-1][0]
    yield f"entries      {tree.size}"
    yield f"root         {tree.root().hex()}"
    yield f"checkpoints  {len(checkpoints)}, signed by {key[0]}"
    if not kept:
        yield "kept         no checkpoint: a truncated or older copy would not be noticed"
    if covered < tree.size:
        yield (
            f"unproven     entries {covered} to {tree.size - 1} lie after the last checkpoint "
            f"({covered} entries)"
        )


def check_files(bundle: Bundle) -> dict[str, Any]:
    """The trailer, when every file it names is there as it says, and no other."""
    names = bundle.names()
    if "trailer.json" not in names:
        raise Broken("the trailer is missing: the bundle was cut, or is none")
    trailer = parse(bundle.read("trailer.json"), "trailer.json")
    if not isinstance(trailer, dict) or trailer.get("format") != FORMAT:
        raise CannotCheck(f"the trailer is not of {FORMAT}; use the verifier of its version")
    files = trailer.get("files")
    if not isinstance(files, dict):
        raise Broken("the trailer names no files")
    for name in sorted(names ^ (set(files) | {"trailer.json"})):
        raise Broken(
            f"the file {name!r} is {'not named in the trailer' if name in names else 'missing'}"
        )
    # Entries are checked below, one by one: that says more than the digest of their file.
    for name, expected in sorted(files.items()):
        if name != "events.jsonl" and digest(bundle, name) != expected:
            raise Broken(f"the file {name!r} is not the one that was written")
    return trailer


class Apart:
    """What does not stand in the entries themselves, and what they say was erased of it."""

    def __init__(self) -> None:
        self._commits: dict[int, str] = {}  # position -> the commitment to its data
        self._missing: dict[str, int] = {}  # artefact that is not there -> position that names it
        self._entries: set[int] = set()
        self._artefacts: set[str] = set()
        self._rows: dict[int, str] = {}  # position of an entry with data apart -> its model
        self._frozen: dict[str, set[str]] = {}  # model -> the artefacts its entries name
        self._cycles: set[str] = set()  # that began so far

    def add(self, position: int, envelope: dict[str, Any]) -> None:
        """Take note of what an entry commits to, or says was erased."""
        if "data_commit" in envelope:
            self._commits[position] = str(envelope["data_commit"])
            self._rows[position] = envelope["stream"].partition("-")[2]
            return
        kind, _, rest = envelope["stream"].partition("-")
        if kind == "cycle":
            self._cycles.add(rest)
        if envelope["type"] in STORED:
            model = rest.rpartition("-")[0] if kind == "cycle" else rest
            named = (envelope["data"].get(field) for field in ERASABLE)
            self._frozen.setdefault(model, set()).update(str(each) for each in named)
        if envelope["type"] == ERASURE:
            self._add_erasure(position, envelope["data"])

    def _add_erasure(self, position: int, data: dict[str, Any]) -> None:
        """An erasure reaches what stands before it, of the same model, and nothing else."""
        model = data["model"]
        for entry in data["entries"]:
            if type(entry) is not int or entry >= position or self._rows.get(entry) != model:
                raise Broken(
                    f"position {position}: the erasure names entry {entry}, which is no data of "
                    f"{model!r} that stands before it"
                )
        for artefact in data["artefacts"]:
            if artefact not in self._frozen.get(model, set()):
                raise Broken(
                    f"position {position}: the erasure names the artefact {artefact}, which no "
                    f"entry of {model!r} before it names"
                )
        for cycle in data["cycles"]:
            if cycle.rpartition("-")[0] != model or cycle not in self._cycles:
                raise Broken(
                    f"position {position}: the erasure names the cycle {cycle}, which is none of "
                    f"{model!r} before it"
                )
        self._entries.update(data["entries"])
        self._artefacts.update(data["artefacts"])

    def lacks(self, position: int, artefact: str) -> None:
        """An artefact that may have been erased is not in the bundle."""
        self._missing.setdefault(artefact, position)

    def check(self, bundle: Bundle) -> int:
        """How many entries have no data any more, when all others have what they commit to."""
        missing = dict(self._commits)
        with bundle.open("payloads.jsonl") as file:
            for number, line in enumerate(file, 1):
                matched = PAYLOAD.fullmatch(line)
                if matched is None:
                    raise Broken(f"payloads.jsonl, line {number} is cut or no payload")
                position = int(matched[1])
                found = hashlib.sha256(bytes.fromhex(matched[2].decode()) + matched[3]).hexdigest()
                expected = missing.pop(position, "none, or one only once")
                if found != expected:
                    raise Broken(
                        f"position {position}: expected data with the commitment {expected}; "
                        f"found {found}"
                    )
        for position in sorted(set(missing) - self._entries):
            raise Broken(
                f"position {position}: its data is missing, and no entry says it is erased"
            )
        for artefact, position in self._missing.items():
            if artefact not in self._artefacts:
                raise Broken(f"position {position}: the artefact {artefact} it names is missing")
        return len(missing)


def check_events(
    bundle: Bundle, checkpoints: list[tuple[int, bytes]], remembered: bytes, apart: Apart
) -> Tree:
    """The tree over the entries, when they are what the checkpoints sign."""
    tree, proven = Tree(), 0
    versions: dict[str, int] = {}
    ids: set[str] = set()
    names, tiles = bundle.names(), [bytearray()]
    artefacts: dict[str, str] = {}  # name -> digest of its content
    pending = list(checkpoints)
    for position, version, content, envelope in events(bundle):
        if position != tree.size:
            raise Broken(
                f"position {tree.size}: expected that entry; found position {position}: "
                "missing, reordered or repeated"
            )
        leaf = hashlib.sha256(b"\x00" + content).digest()
        signed = remembered[position * HASH : (position + 1) * HASH]
        if signed and signed != leaf:
            raise Broken(
                f"position {position}: expected the leaf hash {signed.hex()}, signed; "
                f"found {leaf.hex()}"
            )
        stream = envelope["stream"]
        versions[stream] = versions.get(stream, -1) + 1
        if version != versions[stream]:
            raise Broken(
                f"position {position}: expected version {versions[stream]} of {stream!r}; "
                f"found {version}"
            )
        if envelope["id"] in ids:
            raise Broken(f"position {position}: the id {envelope['id']!r} a second time")
        ids.add(envelope["id"])
        apart.add(position, envelope)
        check_named(bundle, names, artefacts, position, envelope, apart)
        tree.add(leaf)
        tiles[0] += leaf
        while pending and pending[0][0] == tree.size:
            size, root = pending.pop(0)
            if tree.root() != root:
                raise Broken(
                    f"positions {proven} to {size - 1}: expected the root {root.hex()}, signed "
                    f"for {size} entries; found {tree.root().hex()}"
                )
            proven = size
        if tree.size % TILE == 0:
            check_tiles(bundle, names, tiles, tree.size)
    for name in sorted(names - set(artefacts)):
        if name.startswith("artefacts/") and digest(bundle, name) != name.partition("/")[2]:
            raise Broken(f"the artefact {name!r} has another digest than its name")
    if tree.size == 0:
        raise Broken("no entries at all: an empty bundle proves nothing")
    if pending:
        raise Broken(
            f"position {tree.size}: expected an entry, {pending[-1][0]} were signed; "
            "found the end of the bundle"
        )
    return tree


def events(bundle: Bundle) -> Iterator[tuple[int, int, bytes, dict[str, Any]]]:
    """Position, stream version, hashed bytes and envelope of each entry, in the file's order."""
    with bundle.open("events.jsonl") as file:
        try:
            for number, line in enumerate(file, 1):
                matched = LINE.fullmatch(line)
                if matched is None:
                    raise Broken(f"events.jsonl, line {number} is cut or no entry")
                content = matched[3]
                envelope = parse(content, f"events.jsonl, line {number}")
                if set(envelope) not in (FIELDS, FIELDS_APART) or envelope["v"] != 1:
                    raise Broken(f"position {int(matched[1])}: no envelope of version 1")
                yield int(matched[1]), int(matched[2]), content, envelope
        except (zipfile.BadZipFile, EOFError) as error:
            raise Broken(f"events.jsonl is cut or changed: {error}") from None


def check_named(
    bundle: Bundle,
    names: set[str],
    artefacts: dict[str, str],
    position: int,
    envelope: dict[str, Any],
    apart: Apart,
) -> None:
    """What the entry names by digest is in the bundle."""
    kind, data = envelope["type"], envelope.get("data", {})
    for field in STORED.get(kind, ()):
        if data.get(field) is None and (field == OPTIONAL or kind == REFIT):
            continue
        name = f"artefacts/{data.get(field)}"
        if name not in names and field in ERASABLE:
            apart.lacks(position, str(data.get(field)))
            continue
        if name not in names:
            raise Broken(f"position {position}: the artefact {data.get(field)} it names is missing")
        if name not in artefacts:
            artefacts[name] = digest(bundle, name)
        if name != f"artefacts/{artefacts[name]}":
            raise Broken(
                f"position {position}: expected the artefact {data.get(field)} it names as "
                f"{field}; found one with the digest {artefacts[name]}"
            )
    if kind in DOCUMENTS:
        folder, field, named = DOCUMENTS[kind]
        name = f"{folder}/{data.get(named)}.json"
        if name not in names:
            raise Broken(f"position {position}: the document {name!r} it adopts is missing")
        content = bundle.read(name)
        if hashlib.sha256(content).hexdigest() != data[named]:
            raise Broken(f"position {position}: {name!r} has another digest than the entry says")
        if parse(content, name) != data.get(field):
            raise Broken(f"position {position}: {name!r} is not the document in the entry")


def check_tiles(bundle: Bundle, names: set[str], tiles: list[bytearray], size: int) -> None:
    """Every tile that is full at this size stands in the bundle, with these hashes."""
    level = 0
    while len(tiles[level]) == TILE * HASH:
        hashes = bytes(tiles[level])
        tiles[level].clear()
        number = size // TILE ** (level + 1) - 1
        name = f"tiles/{level}/{number}"
        if name not in names or bundle.read(name) != hashes:
            first = number * TILE ** (level + 1)
            raise Broken(
                f"positions {first} to {size - 1}: the tile {name!r} is missing or holds other "
                "hashes than the entries"
            )
        while len(hashes) > HASH:
            pairs = range(0, len(hashes), 2 * HASH)
            hashes = b"".join(
                hashlib.sha256(b"\x01" + hashes[at : at + 2 * HASH]).digest() for at in pairs
            )
        level += 1
        if level == len(tiles):
            tiles.append(bytearray())
        tiles[level] += hashes


def authentic_leaves(leaves: bytes, checkpoints: list[tuple[int, bytes]]) -> bytes:
    """The signer's memory, when a checkpoint vouches for all of it; otherwise nothing."""
    tree = Tree()
    for at in range(0, len(leaves) - HASH + 1, HASH):
        tree.add(leaves[at : at + HASH])
    return leaves if (tree.size, tree.root()) in checkpoints else b""


def open_checkpoint(note: str, key: tuple[str, bytes]) -> tuple[int, bytes]:
    """Size and root of the checkpoint, when `key` signed it."""
    text, blank, lines = note.rpartition("\n\n")
    text += "\n"
    if not blank or not lines.endswith("\n"):
        raise Broken("a checkpoint without signatures")
    name, public = key
    identity = key_id(name, public)
    signed = False
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014":
            raise Broken(f"a checkpoint with the signature line {line[:80]!r}")
        content = decode(parts[2], "a signature")
        if parts[1] == name and content[:4] == identity:
            if not verifies(public, content[4:], text.encode()):
                raise Broken("a checkpoint whose signature does not fit its text")
            signed = True
    if not signed:
        raise Broken(f"a checkpoint that {name}+{identity.hex()} did not sign: the wrong key")
    lines_of_text = text.split("\n")
    if len(lines_of_text) < 4 or lines_of_text[0] != name:
        raise Broken(f"a checkpoint of {lines_of_text[0]!r}; the key signs for {name!r}")
    if not re.fullmatch(r"0|[1-9]\d{0,18}", lines_of_text[1]):
        raise Broken(f"a checkpoint with the size {lines_of_text[1][:40]!r}")
    root = decode(lines_of_text[2], "a checkpoint's root")
    if len(root) != HASH:
        raise Broken("a checkpoint whose root is no SHA-256")
    return int(lines_of_text[1]), root


def read_key(text: str) -> tuple[str, bytes]:
    """Name and public key of a verifier key."""
    parts = text.strip().split("+", 2)
    try:
        content = base64.b64decode(parts[2], validate=True) if len(parts) == 3 else b""
    except (binascii.Error, ValueError):
        content = b""
    if len(content) != 33 or content[:1] != b"\x01":
        raise CannotCheck("--key is no Ed25519 verifier key: <name>+<id>+<base64>")
    if key_id(parts[0], content[1:]).hex() != parts[1]:
        raise CannotCheck("--key was cut or mistyped: its id is not its own")
    return parts[0], content[1:]


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes by which a signature names its key."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the Ed25519 signature is that of the key over the message."""
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - may be missing
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )
    except ImportError:
        raise CannotCheck("`cryptography` is not installed: pip install cryptography") from None
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def notes_in(text: str) -> list[str]:
    """The notes in a file of kept checkpoints: one, or many with a blank line between."""
    found = []
    for match in NOTE.finditer(text):
        # a note begins with its signer's name; what a torn write left before it is passed over
        begins = match[0].partition("\n\n")[0].rfind(match[1] + "\n")
        found.append(match[0][max(0, begins) :])
    if not found:
        raise CannotCheck("a --checkpoint file holds no signed note")
    return found


def note_of(line: bytes) -> str:
    """The note in a line of checkpoints.jsonl."""
    value = parse(line, "checkpoints.jsonl")
    if not isinstance(value, dict) or not isinstance(value.get("note"), str):
        raise Broken("checkpoints.jsonl holds a line without a note")
    return str(value["note"])


def parse(content: bytes, name: str) -> Any:
    """The JSON value; a key given twice is refused."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise Broken(f"{name}: a key stands twice")
        return dict(pairs)

    try:
        return json.loads(content, object_pairs_hook=once)
    except ValueError as error:
        raise Broken(f"{name} is cut or no JSON: {error}") from None


def decode(text: str, what: str) -> bytes:
    """The bytes in base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Broken(f"{what} is no base64") from None


def digest(bundle: Bundle, name: str) -> str:
    """SHA-256 of a file, hex."""
    found = hashlib.sha256()
    try:
        with bundle.open(name) as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
    except (zipfile.BadZipFile, EOFError) as error:
        raise Broken(f"the file {name!r} is cut or changed: {error}") from None
    return found.hexdigest()


def read_text(path: Path) -> str:
    """A text file, whole."""
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
