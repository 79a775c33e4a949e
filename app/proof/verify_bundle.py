"""Check an exported Whyledger bundle. One file: the standard library and `cryptography`, no more.

    python verify_bundle.py BUNDLE --key KEY [--checkpoint NOTE ...] [--leaves FILE]

BUNDLE is a folder or a .zip. KEY is the verifier key, from somewhere else than the bundle: with the
bundle's own key anybody could sign anything. NOTE is a file with signed checkpoints that were kept
elsewhere; FILE is the signer's memory of leaf hashes, which names the very entry that was changed.

Exit 0: everything holds. 1: something is broken; the first position is named. 2: cannot check.

A bundle is written by somebody you need not trust: no link, pipe or device in it is followed, no
member but those of the format is read, and none is held whole but small ones. What must be known of
each entry is in a temporary file without a name, and what was signed decides of how many.

What it follows: RFC 6962 (tree), C2SP signed-note and tlog-checkpoint, and docs/bundle.md.
"""

# ruff: noqa: PLR2004 - the numbers are those of the formats
from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import io
import json
import os
import re
import stat
import struct
import sys
import uuid
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

NO_ROOM: tuple[type[Exception], ...]  # for what is kept aside
try:
    import sqlite3
except ImportError:  # a Python that was built without it
    NO_ROOM = ()
else:
    NO_ROOM = (sqlite3.Error,)

OK, BROKEN, CANNOT_CHECK = 0, 1, 2
FORMAT = "whyledger.bundle/1"
FORMAT_OF_MANY = "whyledger.bundle/2"  # with entries of many rows, which are in rows.jsonl
LINE = re.compile(
    rb'\{"position":(0|[1-9]\d{0,17}),"stream_version":(0|[1-9]\d{0,17}),"envelope":(\{.*\})\}\n'
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
ROWS = ("observations", "predictions")  # categories of streams whose data stands apart
PAYLOAD = re.compile(rb'\{"position":(0|[1-9]\d{0,17}),"salt":"([0-9a-f]{64})","data":(\{.*\})\}\n')
ROW = re.compile(
    rb'\{"position":(0|[1-9]\d{0,17}),"row":(0|[1-9]\d{0,4}),(?:'
    rb'"salt":"([0-9a-f]{32})","data":(\[.*\])|'
    rb'"erased":"([0-9a-f]{64}) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")\}\n'
)
PLACE = re.compile(rb'\{"position":\d{1,18},"row":\d{1,5}\}')  # a row, as an erasure names it
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # behind no backslash that is one itself
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
SOURCES = uuid.UUID("6f0ee2a5-35c7-5d4c-8f1c-0f6d5a5b7f3e")  # within which ids of rows are made
KNOWN = {  # the events of the format: the newest schema of each
    "champion.value-measured": 1,
    "cycle.attempt-started": 1,
    "cycle.candidate-compared": 3,
    "cycle.candidate-evaluated": 1,
    "cycle.candidate-refitted": 1,
    "cycle.candidate-trained": 2,
    "cycle.data-merged": 2,
    "cycle.decided": 3,
    "cycle.drift-measured": 3,
    "cycle.failed": 1,
    "cycle.halted": 2,
    "cycle.health-reported": 2,
    "cycle.not-decided": 1,
    "cycle.parity-checked": 2,
    "cycle.promotion-settled": 1,
    "cycle.started": 2,
    "cycle.training-failed": 1,
    "cycle.window-guarded": 2,
    "ledger.created": 1,
    "ledger.damage-found": 1,
    "ledger.damage-settled": 1,
    "ledger.payload-erased": 2,
    "model.candidate-promoted": 1,
    "model.champion-rolled-back": 1,
    "model.contract-adopted": 1,
    "observations.dataset-received": 2,
    "observations.observation-recorded": 2,
    "observations.observations-recorded": 1,
    "observations.outcome-recorded": 2,
    "observations.outcomes-recorded": 1,
    "observations.rows-refused": 1,
    "policy.adopted": 1,
    "predictions.prediction-made": 1,
    "predictions.predictions-made": 1,
}
DOCUMENTS = {
    "model.contract-adopted": ("contracts", "contract", "contract_digest"),
    "policy.adopted": ("policies", "document", "policy_digest"),
}
NOTE = re.compile(  # from behind its origin on; bounded, so no file takes longer than its length
    r"(?<=\S)\n(?:0|[1-9][0-9]{0,18})\n[A-Za-z0-9+/]{43}=\n(?:[^\n\u2014][^\n]{0,999}\n){0,16}\n"
    r"\u2014 (\S+) [A-Za-z0-9+/]+={0,2}\n(?:\u2014 \S+ [A-Za-z0-9+/]+={0,2}\n)*"
)
ORIGIN_MAX = 255  # characters looked back for the name of a ledger
TILE = 256
HASH = 32
CHUNK = 1 << 20
# What is held at once, in bytes; honest bundles stay far below.
LINE_MAX = 16 << 20  # one line
MEMBER_MAX = 16 << 20  # one file that is read whole
TRAILER_MAX = DIRECTORY_MAX = 32 << 20  # some 300,000 files: 70 million entries
MARKS_MAX = 100_000  # brackets, commas and colons of one JSON text; a longer one may hold more:
BYTES_PER_MARK = 7  # an erasure's positions have as many, and nothing honest has fewer
TRAILER_BYTES_PER_MARK = 40  # names and digests of files
KEPT_MAX = 64 << 20  # a file of kept checkpoints
SAID_MAX = 1000  # characters of one line that is said
UNPROVEN_MAX = 1_000_000  # entries after the last checkpoint: what nobody signed costs room too
UNPROVEN_ROWS_MAX = 10_000_000  # rows of them
ROWS_MIN, ROWS_MAX = 2, 10_000  # of one entry
SHARED = "model rows rows_root row_schema occurred_from occurred_until".split()
INTEGER_MAX = 2**53 - 1
DIGEST = re.compile(r"[0-9a-f]{64}")
NAMES = re.compile(  # of every file that the format knows
    r"(?:events|payloads|rows|checkpoints)\.jsonl|trailer\.json|schema/events\.json|verify_bundle\.py"
    r"|tiles/[0-9]/(?:0|[1-9][0-9]{0,15})|artefacts/[0-9a-f]{64}"
    r"|(?:contracts|policies)/[0-9a-f]{64}\.json"
)
FOLDERS = re.compile(r"schema|tiles|tiles/[0-9]|artefacts|contracts|policies")
UNSIGNED = ("schema/events.json", "verify_bundle.py")  # handed along; nothing signed names them
DESCRIPTORS = (12, 16, 20, 24)  # bytes that may follow a member whose flag says so
# a .zip that was damaged, and JSON of another shape than the page says
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),
    *(AttributeError, KeyError, TypeError, ValueError, ArithmeticError, struct.error),
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
        with (
            open_regular(asked.leaves) if asked.leaves else io.BytesIO() as leaves,
            Bundle(asked.bundle) as bundle,
            Seen() as seen,
        ):
            for line in check(bundle, key, kept, leaves, seen):
                say(line)
    except Broken as error:
        say(f"BROKEN: {error}")
        return BROKEN
    except (CannotCheck, OSError) as error:
        say(f"CANNOT CHECK: {error}")
        return CANNOT_CHECK
    except NO_ROOM as error:
        say(
            f"CANNOT CHECK: what is kept aside meanwhile has no room: {error}. It grows "
            "with the entries; name a folder with more room in SQLITE_TMPDIR."
        )
        return CANNOT_CHECK
    except MemoryError:
        say(
            "CANNOT CHECK: it takes more memory than this process may have. An honest "
            "bundle takes its largest line and its files' names; give it more, or ask who sent it."
        )
        return CANNOT_CHECK
    except DAMAGE as error:
        say(f"BROKEN: the bundle is damaged: {type(error).__name__}: {error}")
        return BROKEN
    say("OK")
    return OK


def say(line: str) -> None:
    """One line, whatever stands in it: a bundle's words move no cursor and begin no line."""
    cut = line if len(line) <= SAID_MAX else f"{line[:SAID_MAX]}..."
    plain = (each if " " <= each <= "~" else ascii(each)[1:-1] for each in cut)
    sys.stdout.write("".join(plain) + "\n")


class Bundle:
    """The files of a bundle, in a folder or a .zip: regular files of the format, and no others."""

    def __init__(self, path: Path) -> None:
        self.strange: str | None = None  # what is not of the format, as far as we know that
        self._folder = path if path.is_dir() else None
        self._file: IO[bytes] | None = None
        self._zip: zipfile.ZipFile | None = None
        if self._folder is not None:
            self._names, self.strange = names_in_folder(self._folder)
            return
        self._file = open_regular(path)
        try:
            check_zip_end(self._file)
            self._zip = zipfile.ZipFile(self._file)
            self._names, self.strange = names_in_zip(self._zip, self._file)
        except BaseException as error:
            self._file.close()
            if isinstance(error, DAMAGE):
                raise Broken(f"{path} is no whole .zip file: {error}") from None
            raise

    def __enter__(self) -> Bundle:
        """The bundle."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._zip is not None:
            self._zip.close()
        if self._file is not None:
            self._file.close()

    def names(self) -> frozenset[str]:
        """Every file in it."""
        return self._names

    def open(self, name: str) -> IO[bytes]:
        """One file, to read."""
        if name not in self._names:
            raise Broken(f"the file {name!r} is missing")
        if self._folder is not None:
            return open_member(self._folder, name)
        assert self._zip is not None  # noqa: S101 - a folder was answered before
        return io.BufferedReader(self._zip.open(name), CHUNK)  # type: ignore[type-var]

    def read(self, name: str, most: int = MEMBER_MAX) -> bytes:
        """One file, whole; at most `most` bytes."""
        try:
            with self.open(name) as file:
                content = file.read(most + 1)
        except (zipfile.BadZipFile, EOFError) as error:
            raise Broken(f"the file {name!r} is cut or changed: {error}") from None
        if len(content) > most:
            raise Broken(
                f"the file {name!r} is longer than {most} bytes, which none of its kind is"
            )
        return content

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of one file, each with its end."""
        try:
            with self.open(name) as file:
                number = 1
                while line := file.readline(LINE_MAX + 1):
                    if len(line) > LINE_MAX:
                        raise Broken(f"{name}, line {number} is longer than {LINE_MAX} bytes")
                    yield line
                    number += 1
        except (zipfile.BadZipFile, EOFError) as error:
            raise Broken(f"{name} is cut or changed: {error}") from None


def open_regular(path: Path) -> IO[bytes]:
    """A file that the command line names: no pipe, device or folder, which might never end."""
    if not path.exists():
        raise CannotCheck(f"{path} does not exist: No such file")
    if not stat.S_ISREG(path.stat().st_mode):
        raise CannotCheck(f"{path} is no regular file")
    return path.open("rb")


def read_regular(path: Path, most: int) -> bytes:
    """As `open_regular`, whole; at most `most` bytes."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise CannotCheck(f"{path} is longer than {most} bytes: is that a file of checkpoints?")
    return content


def names_in_folder(folder: Path) -> tuple[frozenset[str], str | None]:
    """Every file below the folder, and what is strange there; nothing is followed or opened."""
    found: set[str] = set()
    strange = None
    waiting = [""]
    while waiting:
        within = waiting.pop()
        with os.scandir(folder / within) as entries:
            for entry in entries:
                name = f"{within}{entry.name}"
                mode = entry.stat(follow_symlinks=False).st_mode
                no_file = f"{name!r} is neither a regular file nor a folder of the format"
                if stat.S_ISDIR(mode) and FOLDERS.fullmatch(name):
                    waiting.append(f"{name}/")
                elif stat.S_ISREG(mode):
                    strange = add_name(found, name) or strange
                elif stat.S_ISDIR(mode):
                    strange = no_file
                else:
                    raise Broken(no_file)
    return frozenset(found), strange


def open_member(folder: Path, name: str) -> IO[bytes]:
    """A file of the folder, if it still is one: somebody may exchange it meanwhile."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(folder / name, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Broken(f"the file {name!r} cannot be read: {error.strerror}") from None
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Broken(f"{name!r} is no regular file any more")
    return file


def check_zip_end(file: IO[bytes]) -> None:
    """The .zip ends where its directory does, and that is no larger than an honest one."""
    size = file.seek(0, io.SEEK_END)
    ends = size - 22
    file.seek(max(0, ends))
    end = file.read(22)
    if len(end) != 22 or end[:4] != b"PK\5\6" or end[20:] != bytes(2):
        raise Broken("this is no whole .zip file: it ends with something else than its directory")
    length, start = struct.unpack("<II", end[12:20])
    if ends >= 76:
        file.seek(ends - 76)
        large = file.read(76)
        if large[56:60] == b"PK\6\7":
            ends -= 76
            if large[:4] != b"PK\6\6":
                raise Broken("this is no whole .zip file: its directory is not where it says")
            length, start = struct.unpack("<QQ", large[40:56])
    if length > DIRECTORY_MAX:
        raise Broken(
            f"the directory of the .zip has {length} bytes; none of the format has so many"
        )
    if start + length != ends:
        raise Broken(
            "this is no whole .zip file: something stands before its first file or after its last"
        )


def names_in_zip(archive: zipfile.ZipFile, file: IO[bytes]) -> tuple[frozenset[str], str | None]:
    """Every file in the .zip, when they alone fill it one after another, and what is strange."""
    found: set[str] = set()
    strange = None
    end = 0
    described = False
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        name = info.orig_filename
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir():
            raise Broken(
                f"{name[:200]!r} in the .zip is an entry for a folder, which the format does not "
                "have. Was it unpacked and packed again? Pack it without folder entries (zip -D), "
                "or check the folder"
            )
        if kind not in (0, stat.S_IFREG):
            raise Broken(f"{name[:200]!r} in the .zip is no regular file")
        if name in found:
            raise Broken(f"the file {name!r} stands twice in the .zip")
        if info.flag_bits & 0x1 or info.compress_type not in (0, zipfile.ZIP_DEFLATED):
            raise Broken(
                f"the file {name[:200]!r} is encrypted, or compressed as none of the format"
            )
        strange = add_name(found, name) or strange
        check_gap(info.header_offset - end, described, name)
        file.seek(info.header_offset)
        header = file.read(30)
        if len(header) != 30 or header[:4] != b"PK\3\4":
            raise Broken(f"the file {name!r} is not where the directory of the .zip says")
        end = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:])) + info.compress_size
        described = bool(info.flag_bits & 0x8)
    check_gap(archive.start_dir - end, described, "the directory")
    return frozenset(found), strange


def check_gap(gap: int, described: bool, before: str) -> None:
    """Nothing stands between two members of a .zip that no reader looks at."""
    if gap != 0 and not (described and gap in DESCRIPTORS):
        raise Broken(f"{gap} bytes of the .zip before {before!r} belong to no file, or to two")


def add_name(found: set[str], name: str) -> str | None:
    """Add the name of a file, when the format knows such a one; else what is strange."""
    if not NAMES.fullmatch(name):
        return f"the file {name[:200]!r} is none of the format"
    found.add(name)
    return None


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


class Seen:
    """What is kept aside of every entry: a temporary file without a name, gone with the process."""

    def __init__(self) -> None:
        if not NO_ROOM:
            raise CannotCheck(
                "this Python has no sqlite3, which keeps what must be known of entries"
            )
        self._file = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA cache_size = -8192",  # KiB in memory
            "CREATE TABLE ids (id BLOB PRIMARY KEY) WITHOUT ROWID",
            "CREATE TABLE apart (position INTEGER PRIMARY KEY, kept BLOB)",
            "CREATE TABLE erased (position INTEGER PRIMARY KEY)",
            "CREATE TABLE many (position INTEGER PRIMARY KEY, model BLOB, rows INTEGER)",
            "CREATE TABLE erased_rows (position INTEGER, row INTEGER, PRIMARY KEY (position, row))"
            " WITHOUT ROWID",
            "CREATE TABLE gone_rows (position INTEGER, row INTEGER, PRIMARY KEY (position, row))"
            " WITHOUT ROWID",
            "BEGIN",
        ):
            self._file.execute(statement)

    def __enter__(self) -> Seen:
        """Nothing seen yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget it."""
        self._file.close()

    def is_new(self, identity: bytes) -> bool:
        """Whether the id is given for the first time; it is kept."""
        added = self._file.execute("INSERT OR IGNORE INTO ids VALUES (?)", (identity,))
        return added.rowcount == 1

    def set_apart(self, position: int, kept: bytes) -> None:
        """The entry commits to data that stands apart."""
        self._file.execute("INSERT INTO apart VALUES (?, ?)", (position, kept))

    def apart(self, position: int) -> bytes:
        """What was kept of the entry there; nothing, when its data does not stand apart."""
        query = "SELECT kept FROM apart WHERE position = ?"
        row = self._file.execute(query, (position,)).fetchone()
        return b"" if row is None else bytes(row[0])

    def found(self, position: int) -> None:
        """The data of the entry there is in the bundle."""
        self._file.execute("DELETE FROM apart WHERE position = ?", (position,))

    def erase(self, positions: list[int]) -> None:
        """An entry says that their data is erased."""
        rows = ((position,) for position in positions)
        self._file.executemany("INSERT OR IGNORE INTO erased VALUES (?)", rows)

    def missing(self) -> tuple[int, int | None]:
        """How many were not found, and the first of them that no entry says is erased."""
        (count,) = self._file.execute("SELECT count(*) FROM apart").fetchone()
        (first,) = self._file.execute(
            "SELECT min(position) FROM apart WHERE position NOT IN (SELECT position FROM erased)"
        ).fetchone()
        return count, first

    def add_many(self, position: int, model: bytes, rows: int) -> None:
        """The entry is one of so many rows, of the model whose name has this digest."""
        self._file.execute("INSERT INTO many VALUES (?, ?, ?)", (position, model, rows))

    def has_row(self, position: int, row: int, model: bytes) -> bool:
        """Whether there is an entry of many rows of this model there that has such a row."""
        query = "SELECT 1 FROM many WHERE position = ? AND model = ? AND rows > ?"
        return self._file.execute(query, (position, model, row)).fetchone() is not None

    def erase_row(self, position: int, row: int) -> None:
        """An entry says that the row is erased."""
        self._file.execute("INSERT OR IGNORE INTO erased_rows VALUES (?, ?)", (position, row))

    def row_gone(self, position: int, row: int) -> None:
        """Only its hash and its id are in the bundle."""
        self._file.execute("INSERT INTO gone_rows VALUES (?, ?)", (position, row))

    def rows_gone(self) -> int:
        """Of how many rows no more is in the bundle."""
        (count,) = self._file.execute("SELECT count(*) FROM gone_rows").fetchone()
        return int(count)

    def row_otherwise(self) -> tuple[int, int, bool] | None:
        """The first row, by position, that is gone and not erased (false), or the reverse."""
        query = (
            "SELECT * FROM (SELECT position, row, 0 FROM (SELECT * FROM gone_rows EXCEPT"
            " SELECT * FROM erased_rows) UNION ALL SELECT position, row, 1 FROM (SELECT * FROM"
            " erased_rows EXCEPT SELECT * FROM gone_rows)) ORDER BY 1, 2 LIMIT 1"
        )
        found = self._file.execute(query).fetchone()
        return None if found is None else (found[0], found[1], bool(found[2]))


def check(
    bundle: Bundle, key: tuple[str, bytes], kept: list[str], leaves: IO[bytes], seen: Seen
) -> Iterator[str]:
    """What holds, line by line; raises at the first thing that does not."""
    trailer = check_files(bundle)
    mine = 0
    signed = {open_checkpoint(note, key) for note in kept}
    for line in bundle.lines("checkpoints.jsonl"):
        signed.add(open_checkpoint(note_of(line), key))
        mine += 1
    checkpoints = sorted(signed)
    if trailer["checkpoints"] != mine:
        raise Broken(f"{mine} checkpoints; the trailer says {trailer['checkpoints']}")
    if not checkpoints:
        raise CannotCheck("no checkpoint, neither in the bundle nor kept: nothing is signed")
    remembered = authentic_leaves(leaves, checkpoints)
    apart = Apart(seen)
    rows = Rows(bundle, seen, checkpoints[-1][0])
    tree, unnamed = check_events(bundle, checkpoints, remembered, apart, rows, seen)
    erased, erased_rows = apart.check(bundle), rows.finish()
    if "rows.jsonl" in bundle.names():  # the ids of some erased rows are hashed by nothing else
        check_digest(bundle, "rows.jsonl", trailer["files"]["rows.jsonl"])
    for what in ("tiles", "artefacts"):
        there = sum(name.startswith(f"{what}/") for name in bundle.names())
        if trailer[what] != there:
            raise Broken(f"{there} {what}; the trailer says {trailer[what]}")
    if trailer["entries"] != tree.size or trailer["root"] != tree.root().hex():
        raise Broken(
            f"{tree.size} entries with the root {tree.root().hex()}; the trailer says "
            f"{trailer['entries']} and {trailer['root']}"
        )
    if erased:
        yield f"erased       {erased} entries have no data any more, as other entries say"
    if erased_rows:
        yield f"erased rows  {erased_rows} of entries of many are gone, as other entries say"
    if unnamed:
        yield f"unnamed      {unnamed} artefacts that no entry names: nobody signed them"
    covered = checkpoints[-1][0]
    yield f"entries      {tree.size}"
    yield f"root         {tree.root().hex()}"
    yield f"checkpoints  {len(checkpoints)}, signed by {key[0]}"
    yield f"not signed   {' and '.join(UNSIGNED)}: run and believe your own copies"
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
    trailer = parse(
        bundle.read("trailer.json", TRAILER_MAX), "trailer.json", TRAILER_BYTES_PER_MARK
    )
    if not isinstance(trailer, dict) or trailer.get("format") not in (FORMAT, FORMAT_OF_MANY):
        raise CannotCheck(
            f"the trailer is not of {FORMAT} or {FORMAT_OF_MANY}; use the verifier of its version"
        )
    if bundle.strange is not None:  # and not because the format is a later one
        raise Broken(bundle.strange)
    if (trailer["format"] == FORMAT_OF_MANY) != ("rows.jsonl" in names):
        raise Broken(f"rows.jsonl is in every bundle of {FORMAT_OF_MANY}, and in no other")
    for what in ("entries", "checkpoints", "tiles", "artefacts"):
        if type(trailer.get(what)) is not int:  # true is an int, too
            raise Broken(f"the trailer's {what} are no number")
    if not isinstance(trailer.get("root"), str) or not DIGEST.fullmatch(trailer["root"]):
        raise Broken("the trailer's root is no SHA-256")
    files = trailer.get("files")
    if not isinstance(files, dict):
        raise Broken("the trailer names no files")
    for name in sorted(names ^ (set(files) | {"trailer.json"})):
        raise Broken(
            f"the file {name!r} is {'not named in the trailer' if name in names else 'missing'}"
        )
    # Entries and rows are checked below, one by one: that says more than the digest of their file.
    for name, expected in sorted(files.items()):
        one_by_one = name in ("events.jsonl", "rows.jsonl")
        if not one_by_one:
            check_digest(bundle, name, expected)
    return trailer


def check_digest(bundle: Bundle, name: str, expected: object) -> None:
    """The file is the one that the trailer names, which nobody signed."""
    if digest(bundle, name) != expected:
        raise Broken(f"the file {name!r} is not the one that was written")


class Apart:
    """What does not stand in the entries themselves, and what they say was erased of it.

    Models are kept by the digest of their name, as the ids: whoever writes one says how long.
    """

    def __init__(self, seen: Seen) -> None:
        self._seen = seen  # of each position: the commitment to its data, its model
        self._frozen: set[bytes] = set()  # artefacts that entries name, each with its model
        self._missing: dict[str, int] = {}  # artefact that is not there -> position that names it
        self._artefacts: set[str] = set()

    def add(self, position: int, envelope: dict[str, Any], streams: dict[bytes, int]) -> None:
        """Take note of what an entry commits to, or says was erased; `streams` began so far."""
        kind, _, rest = envelope["stream"].partition("-")
        if "data_commit" in envelope:
            if not DIGEST.fullmatch(envelope["data_commit"]):
                raise Broken(f"position {position}: its data_commit is no SHA-256")
            model = name_digest(rest if kind in ROWS else "")
            self._seen.set_apart(position, bytes.fromhex(envelope["data_commit"]) + model)
            return
        if envelope["type"] in LAYOUTS:
            self._seen.add_many(position, name_digest(rest), envelope["data"]["rows"])
        if envelope["type"] in STORED:
            model = rest.rpartition("-")[0] if kind == "cycle" else rest
            for field in ERASABLE:
                named = envelope["data"].get(field)
                if named is not None and not DIGEST.fullmatch(str(named)):
                    raise Broken(f"position {position}: its {field} is no SHA-256")
                if named is not None:
                    self._frozen.add(name_digest(f"{model}\n{named}"))
        if envelope["type"] == ERASURE and envelope["stream"] == "ledger":
            self._add_erasure(position, envelope["schema"], envelope["data"], streams)

    def _add_erasure(
        self, position: int, schema: int, data: dict[str, Any], streams: dict[bytes, int]
    ) -> None:
        """An erasure reaches what stands before it, of the same model, and nothing else.

        So what it says costs no memory beyond that of the entries it speaks of.
        """
        model = data["model"]
        of_model = name_digest(model)
        for entry in data["entries"]:
            before = type(entry) is int and 0 <= entry < position
            if not before or self._seen.apart(entry)[HASH:] != of_model:
                raise Broken(
                    f"position {position}: the erasure names entry {str(entry)[:200]}, which is "
                    f"no data of {model[:200]!r} that stands before it"
                )
        for place in data["rows"] if schema > 1 else ():  # the first schema names none
            at, row = place["position"], place["row"]
            before = type(at) is type(row) is int and 0 <= at < position and row >= 0
            if not before or not self._seen.has_row(at, row, of_model):
                raise Broken(
                    f"position {position}: the erasure names row {str(row)[:200]} of entry "
                    f"{str(at)[:200]}, which is no row of {model[:200]!r} that stands before it"
                )
            self._seen.erase_row(at, row)
        for artefact in data["artefacts"]:
            if name_digest(f"{model}\n{artefact}") not in self._frozen:
                raise Broken(
                    f"position {position}: the erasure names the artefact {str(artefact)[:200]}, "
                    f"which no entry of {model[:200]!r} before it names"
                )
        for cycle in data["cycles"]:
            if cycle.rpartition("-")[0] != model or name_digest(f"cycle-{cycle}") not in streams:
                raise Broken(
                    f"position {position}: the erasure names the cycle {cycle[:200]}, which is "
                    f"none of {model[:200]!r} before it"
                )
        self._seen.erase(data["entries"])
        self._artefacts.update(data["artefacts"])

    def lacks(self, position: int, artefact: str) -> None:
        """An artefact that may have been erased is not in the bundle."""
        self._missing.setdefault(artefact, position)

    def check(self, bundle: Bundle) -> int:
        """How many entries have no data any more, when all others have what they commit to."""
        for number, line in enumerate(bundle.lines("payloads.jsonl"), 1):
            matched = PAYLOAD.fullmatch(line)
            if matched is None:
                raise Broken(f"payloads.jsonl, line {number} is cut or no payload")
            position = int(matched[1])
            found = hashlib.sha256(bytes.fromhex(matched[2].decode()) + matched[3]).hexdigest()
            kept = self._seen.apart(position)
            self._seen.found(position)
            expected = kept[:HASH].hex() or "none, or one only once"
            if found != expected:
                raise Broken(
                    f"position {position}: expected data with the commitment {expected}; "
                    f"found {found}"
                )
        missing, first = self._seen.missing()
        if first is not None:
            raise Broken(f"position {first}: its data is missing, and no entry says it is erased")
        for artefact, position in self._missing.items():
            if artefact not in self._artefacts:
                raise Broken(f"position {position}: the artefact {artefact} it names is missing")
        return missing


def check_events(
    bundle: Bundle,
    checkpoints: list[tuple[int, bytes]],
    remembered: IO[bytes],
    apart: Apart,
    rows: Rows,
    seen: Seen,
) -> tuple[Tree, int]:
    """The tree over the entries, when they are what the checkpoints sign; the artefacts unnamed."""
    tree, proven = Tree(), 0
    versions: dict[bytes, int] = {}  # by digest, as the ids: whoever writes them says how long
    documents: set[str] = set()
    names, tiles = bundle.names(), [bytearray()]
    artefacts: dict[str, str] = {}  # name -> digest of its content
    pending = deque(checkpoints)
    for position, version, content, envelope in events(bundle, checkpoints[-1][0]):
        if position != tree.size:
            raise Broken(
                f"position {tree.size}: expected that entry; found position {position}: "
                "missing, reordered or repeated"
            )
        leaf = hashlib.sha256(b"\x00" + content).digest()
        signed = remembered.read(HASH)
        if signed and signed != leaf:
            raise Broken(
                f"position {position}: expected the leaf hash {signed.hex()}, signed; "
                f"found {leaf.hex()}"
            )
        stream = name_digest(envelope["stream"])
        versions[stream] = versions.get(stream, -1) + 1
        if version != versions[stream]:
            raise Broken(
                f"position {position}: expected version {versions[stream]} of "
                f"{envelope['stream'][:200]!r}; found {version}"
            )
        if not seen.is_new(id_key(envelope["id"])):
            raise Broken(f"position {position}: the id {envelope['id'][:200]!r} a second time")
        if envelope["type"] in LAYOUTS:
            rows.check(position, envelope)
        apart.add(position, envelope, versions)
        check_named(bundle, names, artefacts, documents, position, envelope, apart)
        tree.add(leaf)
        tiles[0] += leaf
        while pending and pending[0][0] == tree.size:
            size, root = pending.popleft()
            if tree.root() != root:
                raise Broken(
                    f"positions {proven} to {size - 1}: expected the root {root.hex()}, signed "
                    f"for {size} entries; found {tree.root().hex()}"
                )
            proven = size
        if tree.size % TILE == 0:
            check_tiles(bundle, names, tiles, tree.size)
    if tree.size == 0:
        raise Broken("no entries at all: an empty bundle proves nothing")
    if pending:
        raise Broken(
            f"position {tree.size}: expected an entry, {pending[-1][0]} were signed; "
            "found the end of the bundle"
        )
    return tree, check_unnamed(bundle, set(artefacts) | documents, tree.size)


class Line(NamedTuple):
    """A line of rows.jsonl."""

    position: int
    row: int
    salt: bytes
    data: bytes | None  # None: the row is erased
    leaf: bytes  # of an erased row; else it follows from salt and data
    id: str


class Rows:
    """The rows of entries of many, read beside these: one line of rows.jsonl is held at a time."""

    def __init__(self, bundle: Bundle, seen: Seen, signed: int) -> None:
        there = "rows.jsonl" in bundle.names()  # as the format says
        self._lines = enumerate(bundle.lines("rows.jsonl") if there else iter(()), 1)
        self._ahead: Line | None = None
        self._seen = seen
        self._signed = signed  # entries
        self._unproven = 0

    def check(self, position: int, envelope: dict[str, Any]) -> None:
        """The rows of the entry there are those of its root, each of its layout, with its own id.

        Whether an erased one was erased by an entry is known at the end.
        """
        many = Many(position, envelope)
        if position >= self._signed:
            self._unproven += many.rows
            if self._unproven > UNPROVEN_ROWS_MAX:
                raise CannotCheck(
                    f"over {UNPROVEN_ROWS_MAX} rows lie after the last checkpoint ({self._signed} "
                    "entries), and what nobody signed costs room: let them be signed, and export "
                    "again"
                )
        tree, times, gone = Tree(), Times(), False
        for row in range(many.rows):
            line = self._take(position, row, many.rows)
            if line.data is None:
                leaf, id = line.leaf, many.id_of_erased(row, line.id)
                self._seen.row_gone(position, row)
                gone = True
            else:
                leaf = hashlib.sha256(b"\x00" + line.salt + line.data).digest()
                id, time = many.read(row, line.data)
                times.add(time)
            tree.add(leaf)
            if row == 0 and id != envelope["id"]:
                raise Broken(
                    f"position {position}: row 0: expected the id of its entry, "
                    f"{envelope['id'][:200]}; found {id}"
                )
            if row > 0 and not self._seen.is_new(id_key(id)):
                raise Broken(f"position {position}: row {row}: the id {id} a second time")
        if tree.root() != many.root:
            raise Broken(
                f"position {position}: expected {many.rows} rows with the root {many.root.hex()}, "
                f"as the entry says; found rows with the root {tree.root().hex()}"
            )
        times.check(position, envelope["data"], gone)

    def finish(self) -> int:
        """How many rows are erased, when entries say so of them and of no other."""
        if (line := self._peek()) is not None:
            raise unexpected(line)
        found = self._seen.row_otherwise()
        if found is not None:
            position, row, said = found
            expected, is_there = (
                ("it erased, as an entry says", "there")
                if said
                else ("it there, or an entry that says it is erased", "neither")
            )
            raise Broken(f"position {position}: row {row}: expected {expected}; found {is_there}")
        return self._seen.rows_gone()

    def _take(self, position: int, row: int, rows: int) -> Line:
        line = self._peek()
        if line is not None and line.position < position:
            raise unexpected(line)
        if line is None or (line.position, line.row) != (position, row):
            found = "none" if line is None else f"row {line.row} of entry {line.position}"
            raise Broken(
                f"position {position}: row {row}: expected it, the entry has {rows} rows; "
                f"found {found}: missing, reordered or repeated"
            )
        self._ahead = None
        return line

    def _peek(self) -> Line | None:
        """The next line; None at the end."""
        if self._ahead is None:
            number, content = next(self._lines, (0, b""))
            self._ahead = row_line(content, number) if number else None
        return self._ahead


def unexpected(line: Line) -> Broken:
    """What a row is that no entry has."""
    return Broken(
        f"position {line.position}: row {line.row}: expected none, for no entry of many rows "
        "there has it; found one"
    )


def row_line(content: bytes, number: int) -> Line:
    """What a line of rows.jsonl says."""
    matched = ROW.fullmatch(content)
    if matched is None:
        begins = re.match(rb'\{"position":(\d{1,18}),"row":(\d{1,5}),', content)
        where = f"position {int(begins[1])}: row {int(begins[2])}: " if begins else ""
        raise Broken(f"{where}rows.jsonl, line {number} is cut or no row")
    position, row = int(matched[1]), int(matched[2])
    if matched[4] is None:
        leaf = bytes.fromhex(matched[5].decode())
        return Line(position, row, b"", None, leaf, matched[6].decode())
    return Line(position, row, bytes.fromhex(matched[3].decode()), matched[4], b"", "")


class Times:
    """The least and the greatest event time of rows that are there."""

    def __init__(self) -> None:
        self._least = self._greatest = ""

    def add(self, time: str) -> None:
        """Of one row."""
        if not self._least or time < self._least:
            self._least = time
        self._greatest = max(self._greatest, time)

    def check(self, position: int, said: dict[str, Any], gone: bool) -> None:
        """They are those the entry says; where a row is erased, its time may be one of them."""
        least, greatest = said["occurred_from"], said["occurred_until"]
        if gone:
            fits = not self._least or least <= self._least <= self._greatest <= greatest
        else:
            fits = (least, greatest) == (self._least, self._greatest)
        if not fits:
            raise Broken(
                f"position {position}: expected rows from {least} to {greatest}, as the entry "
                f"says; found {self._least} to {self._greatest}"
            )


class Many:
    """What an entry of many rows says of them: what they share, when it fits together."""

    def __init__(self, position: int, envelope: dict[str, Any]) -> None:
        self._position, self._kind, self._first = position, envelope["type"], envelope["id"]
        self._layout = LAYOUTS[self._kind]
        self._data = data = envelope["data"]
        wrong = (
            self._wrong_names(envelope) or self._wrong_figures(envelope) or self._wrong_columns()
        )
        if wrong:
            raise Broken(f"position {position}: {self._kind!r} with {wrong}")
        if data["row_schema"] > KNOWN[self._layout.plain]:
            raise CannotCheck(
                f"position {position}: rows of {self._layout.plain!r} schema "
                f"{str(data['row_schema'])[:20]} are unknown to this verifier. Use that of a newer "
                "version"
            )
        self.rows: int = data["rows"]
        self.root = bytes.fromhex(data["rows_root"])
        self._columns: list[str] = data["columns"] if self._layout.columns else []
        self._length = len(self._layout.fixed) + len(self._columns)
        if self._layout.columns:
            at = {name: len(self._layout.fixed) + n for n, name in enumerate(self._columns)}
            self._identity = {at[name] for name in data["identity"]}
            self._time = at[data["event_time"]["column"]]
            self._mid_year = data["event_time"]["read_as"] == "mid-year"

    def _wrong_names(self, envelope: dict[str, Any]) -> str:
        stream = envelope["stream"].partition("-")[0]
        if stream != self._kind.partition(".")[0]:
            return "a stream that is none of its rows"
        if not UUID.fullmatch(self._first):
            return "an id that is no UUID"
        if set(self._data) != self._layout.fields():
            return "other fields than it has"
        for name in ("model", *self._layout.texts):
            if type(self._data.get(name)) is not str:
                return f"no {name}"
        if type(self._data.get(self._layout.or_null, 0)) not in (str, type(None)):
            return f"no {self._layout.or_null}, and no null"
        return ""

    def _wrong_figures(self, envelope: dict[str, Any]) -> str:
        data = self._data
        if type(data.get("rows")) is not int or not ROWS_MIN <= data["rows"] <= ROWS_MAX:
            rows = str(data.get("rows"))[:20]
            return f"{rows} rows, where an entry of many has {ROWS_MIN} to {ROWS_MAX}"
        if not DIGEST.fullmatch(str(data.get("rows_root"))):
            return "a root of its rows that is no SHA-256"
        if type(data.get("row_schema")) is not int or data["row_schema"] < 1:
            return "rows of no schema"
        least, greatest = data.get("occurred_from"), data.get("occurred_until")
        if not is_text(least, data) or not least <= greatest == envelope["occurred_at"]:
            return "times that are not those of its rows"
        return ""

    def _wrong_columns(self) -> str:
        data = self._data
        if not self._layout.columns:
            return ""
        columns, identity, time = data.get("columns"), data.get("identity"), data.get("event_time")
        if not is_texts(columns, data) or not is_texts(identity, data):
            return "no names of columns"
        if type(time) is not dict or set(time) != {"column", "read_as"}:
            return "no column of event times, and how they are read"
        if type(time["column"]) is not str:
            return "no column of event times"
        if time["read_as"] not in ("mid-year", "timestamp"):
            return "event times that are read as nothing known"
        if columns != sorted(set(columns), key=utf_16):
            return "columns that do not ascend"
        there = set(columns)
        for name in (*identity, time["column"]):
            if name not in there:
                return f"no column {name[:60]!r}, which it names"
        return ""

    def read(self, row: int, line: bytes) -> tuple[str, str]:
        """The id and the event time of the row, when its line is one of the layout."""
        said = parse(line, f"position {self._position}: row {row}")
        values = [double_if_large(value) for value in said]
        wrong = self._wrong(values)
        if not wrong and not is_canonical(values, line):
            wrong = "another writing of its values than RFC 8785"
        if not wrong and NUL.search(line):
            wrong = "text that holds U+0000 (NUL)"
        if wrong:
            raise Broken(
                f"position {self._position}: row {row}: expected one of {self._layout.plain!r}; "
                f"found {wrong}"
            )
        if not self._layout.columns:
            time = values[5]
        elif self._mid_year:
            time = f"{values[self._time]:04d}-07-01T00:00:00.000000Z"
        else:
            time = values[self._time]
        if not self._layout.sourced:
            return counted_id(self._first, row), time
        source = self._data["source"] if values[1] is None else values[1]
        return str(uuid.uuid5(source_space(source), values[0])), time

    def id_of_erased(self, row: int, id: str) -> str:
        """The id in an erased row's line; of a prediction it is the one that follows."""
        if not self._layout.sourced and id != counted_id(self._first, row):
            raise Broken(
                f"position {self._position}: row {row}: expected the id "
                f"{counted_id(self._first, row)}; found {id}"
            )
        return id

    def _wrong(self, values: list[Any]) -> str:
        if len(values) != self._length:
            return f"{len(values)} values, not {self._length}"
        for at, fits in enumerate(self._layout.fixed):
            if not fits(values[at], self._data):
                return f"another kind of value at {at}"
        for at in range(len(self._layout.fixed), self._length):
            if type(values[at]) not in (str, int, float, type(None)):
                return f"another kind of value at {at}"
        if not self._layout.columns:
            return ""
        for at in self._identity:
            if type(values[at]) not in (str, int):
                return f"no value of the identity at {at}"
        time = values[self._time]
        if self._mid_year:
            fits_time = type(time) is int and 1 <= time <= 9999
        else:
            fits_time = is_time(time, self._data)
        return "" if fits_time else f"no event time at {self._time}"


def counted_id(first: str, row: int) -> str:
    """The id of a prediction: its last 16 bits count on from those of the entry's."""
    return f"{first[:32]}{(int(first[32:], 16) + row) % 65536:04x}"


@lru_cache(maxsize=1)
def source_space(source: str) -> uuid.UUID:
    """Within what the ids that a source gave are made."""
    return uuid.uuid5(SOURCES, f"source {source}")


def utf_16(name: str) -> bytes:
    """As RFC 8785 sorts names."""
    return name.encode("utf-16-be", "surrogatepass")


def is_number(value: Any, _: dict[str, Any]) -> bool:
    """Whether it is a number."""
    return type(value) in (int, float)


def is_text(value: Any, _: dict[str, Any]) -> bool:
    """Whether it is text."""
    return type(value) is str


def is_texts(value: Any, _: dict[str, Any]) -> bool:
    """Whether it is a list of texts."""
    return type(value) is list and all(type(each) is str for each in value)


def is_source(value: Any, shared: dict[str, Any]) -> bool:
    """Whether it is the row's own source, or null where all rows share one."""
    return type(value) is str if shared["source"] is None else value is None


def is_time(value: Any, _: dict[str, Any]) -> bool:
    """Whether it is a time that there is, in the one form."""
    if type(value) is not str or not TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value[:-1])
    except ValueError:
        return False
    return True


Kind = Callable[[Any, dict[str, Any]], bool]  # of a value, beside what all rows share


class Layout(NamedTuple):
    """What stands in the lines of a type of entries of many rows."""

    plain: str  # the type of the event that each row is
    fixed: tuple[Kind, ...]  # what stands before the columns
    columns: bool  # whether the values of columns follow
    texts: tuple[str, ...]  # that all rows share, beside the model
    or_null: str  # and one that may be null
    sourced: bool  # whether a row's id is that of its source, which named it

    def fields(self) -> set[str]:
        """What the data of such an entry has."""
        columns = ("columns", "identity", "event_time") if self.columns else ()
        return {*SHARED, *self.texts, self.or_null, *columns}


LAYOUTS = {  # those of the first schema
    "predictions.predictions-made": Layout(
        "predictions.prediction-made",
        (is_number, is_texts),
        columns=True,
        texts=("model_version", "plan_sha256"),
        or_null="request_id",
        sourced=False,
    ),
    "observations.observations-recorded": Layout(
        "observations.observation-recorded",
        (is_text, is_source),
        columns=True,
        texts=(),
        or_null="source",
        sourced=True,
    ),
    "observations.outcomes-recorded": Layout(
        "observations.outcome-recorded",
        (is_text, is_source, is_text, is_text, is_number, is_time),
        columns=False,
        texts=(),
        or_null="source",
        sourced=True,
    ),
}
TEXT = json.JSONEncoder(ensure_ascii=False).encode


def is_canonical(values: list[Any], line: bytes) -> bool:
    """Whether a row's line is what RFC 8785 writes for its values: `1`, never `1.0`."""
    try:
        return f"[{','.join(map(canonical, values))}]".encode() == line
    except ValueError:  # a number that it does not write, or half a character
        return False


def double_if_large(value: Any) -> Any:
    """A value as RFC 8785 has it, to whom each number is a double: so is what no integer holds."""
    return value if type(value) is not int or -(2**63) <= value < 2**64 else float(value)


def canonical(value: Any) -> str:
    """What RFC 8785 writes for a text, a number, null or a list of them."""
    kind = type(value)
    if kind is str:
        return TEXT(value)
    if kind is float:
        return canonical_number(value)
    if kind is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise ValueError
        return str(value)
    return "null" if value is None else f"[{','.join(map(canonical, value))}]"


def canonical_number(value: float) -> str:
    """What RFC 8785, as ECMAScript, writes for a double: its fewest digits that read back so."""
    if value == 0:
        return "0"
    size = abs(value)
    if not size < float("inf"):
        raise ValueError
    if 1e-4 <= size < 1e15 and not value.is_integer():
        return repr(value)
    sign = "-" if value < 0 else ""
    mantissa, _, power = repr(size).partition("e")
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    point = len(digits) - len(part) + int(power or 0)  # digits before the point
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    part = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{part}e{point - 1:+d}"


def check_unnamed(bundle: Bundle, named: set[str], size: int) -> int:
    """How many artefacts no entry names, when each is what its name says; no other file is."""
    unnamed = 0
    for name in sorted(bundle.names() - named):
        folder, _, rest = name.partition("/")
        if folder == "artefacts":
            unnamed += 1
            if digest(bundle, name) != rest:
                raise Broken(f"the artefact {name!r} has another digest than its name")
        elif folder in ("contracts", "policies"):
            raise Broken(f"no entry adopts the document {name!r}: nobody signed it")
        elif folder == "tiles" and not full_tile(name, size):
            raise Broken(f"the tile {name!r} is none of {size} entries: nobody signed it")
    return unnamed


def events(bundle: Bundle, signed: int) -> Iterator[tuple[int, int, bytes, dict[str, Any]]]:
    """Position, stream version, hashed bytes and envelope of each entry, in the file's order."""
    for number, line in enumerate(bundle.lines("events.jsonl"), 1):
        matched = LINE.fullmatch(line)
        if matched is None:
            raise Broken(f"events.jsonl, line {number} is cut or no entry")
        if number > signed + UNPROVEN_MAX:
            raise CannotCheck(
                f"over {UNPROVEN_MAX} entries lie after the last checkpoint ({signed} entries), "
                "and what nobody signed costs memory: let them be signed, and export again"
            )
        content = matched[3]
        envelope = parse(content, f"events.jsonl, line {number}")
        if set(envelope) not in (FIELDS, FIELDS_APART) or envelope["v"] != 1:
            raise Broken(f"position {int(matched[1])}: no envelope of version 1")
        check_known(int(matched[1]), envelope)
        yield int(matched[1]), int(matched[2]), content, envelope


def check_known(position: int, envelope: dict[str, Any]) -> None:
    """The entry is one that this verifier can judge; of its data only that there is an object."""
    kind, schema = envelope["type"], envelope["schema"]
    texts = "id stream type occurred_at recorded_at actor correlation_id".split()
    cause = envelope["causation_id"]
    of_kind = all(type(envelope[name]) is str for name in texts) and (
        cause is None or type(cause) is str
    )
    if type(schema) is not int or not of_kind:
        raise Broken(f"position {position}: an envelope whose fields are of other kinds")
    if not isinstance(envelope.get("data", {}), dict):
        raise Broken(f"position {position}: its data is no object: nobody can read this entry")
    if not 1 <= schema <= KNOWN.get(kind, 0):
        raise CannotCheck(
            f"position {position}: {kind[:200]!r} schema {str(schema)[:20]} is unknown to this "
            "verifier. Use that of a newer version; if it is unknown there too, nobody can read "
            "this entry: somebody added it by hand"
        )
    if kind in LAYOUTS and "data" not in envelope:
        raise Broken(f"position {position}: {kind!r} with data that stands apart twice")


def check_named(
    bundle: Bundle,
    names: frozenset[str],
    artefacts: dict[str, str],
    documents: set[str],
    position: int,
    envelope: dict[str, Any],
    apart: Apart,
) -> None:
    """What the entry names by digest is in the bundle."""
    kind, data = envelope["type"], envelope.get("data", {})
    for field in STORED.get(kind, ()):
        if data.get(field) is None and (field == OPTIONAL or kind == REFIT):
            continue
        if not DIGEST.fullmatch(str(data.get(field))):
            raise Broken(f"position {position}: its {field} is no SHA-256")
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
        if not DIGEST.fullmatch(str(data.get(named))):
            raise Broken(f"position {position}: its {named} is no SHA-256")
        name = f"{folder}/{data.get(named)}.json"
        if name not in names:
            raise Broken(f"position {position}: the document {name!r} it adopts is missing")
        content = bundle.read(name)
        if hashlib.sha256(content).hexdigest() != data[named]:
            raise Broken(f"position {position}: {name!r} has another digest than the entry says")
        if parse(content, name) != data.get(field):
            raise Broken(f"position {position}: {name!r} is not the document in the entry")
        documents.add(name)


def check_tiles(bundle: Bundle, names: frozenset[str], tiles: list[bytearray], size: int) -> None:
    """Every tile that is full at this size stands in the bundle, with these hashes."""
    level = 0
    while len(tiles[level]) == TILE * HASH:
        hashes = bytes(tiles[level])
        tiles[level].clear()
        number = size // TILE ** (level + 1) - 1
        name = f"tiles/{level}/{number}"
        fault = ""
        if name not in names:
            fault = "is missing"
        elif bundle.read(name, TILE * HASH) != hashes:
            fault = "holds other hashes than the entries"
        if fault:
            first = number * TILE ** (level + 1)
            raise Broken(f"positions {first} to {size - 1}: the tile {name!r} {fault}")
        while len(hashes) > HASH:
            pairs = range(0, len(hashes), 2 * HASH)
            hashes = b"".join(
                hashlib.sha256(b"\x01" + hashes[at : at + 2 * HASH]).digest() for at in pairs
            )
        level += 1
        if level == len(tiles):
            tiles.append(bytearray())
        tiles[level] += hashes


def full_tile(name: str, size: int) -> bool:
    """Whether a tree of so many entries has this tile; then it was compared with them."""
    level, number = map(int, name.split("/")[1:])
    return (number + 1) << 8 * (level + 1) <= size


def id_key(id: str) -> bytes:
    """By what an id is kept in mind: UUIDs as they are, so that those of ours stay in order."""
    if UUID.fullmatch(id):
        return bytes.fromhex(id.replace("-", ""))
    return name_digest(id)


def name_digest(name: str) -> bytes:
    """By what a name is kept in mind, however long it is."""
    return hashlib.sha256(name.encode()).digest()


def authentic_leaves(leaves: IO[bytes], checkpoints: list[tuple[int, bytes]]) -> IO[bytes]:
    """The signer's memory, when a checkpoint vouches for all of it; otherwise nothing."""
    tree = Tree()
    while len(leaf := leaves.read(HASH)) == HASH:
        tree.add(leaf)
    leaves.seek(0)
    return leaves if (tree.size, tree.root()) in checkpoints else io.BytesIO()


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
        signer, end = match[1] + "\n", match.start()
        begin = text.rfind(signer, max(0, end + 1 - len(signer)), match.start(1))
        if begin < 0:
            begin = end - len(text[max(0, end - ORIGIN_MAX) : end].rsplit(maxsplit=1)[-1])
        found.append(text[begin : match.end()])
    if not found:
        raise CannotCheck("a --checkpoint file holds no signed note")
    return found


def note_of(line: bytes) -> str:
    """The note in a line of checkpoints.jsonl."""
    value = parse(line, "checkpoints.jsonl")
    if not isinstance(value, dict) or not isinstance(value.get("note"), str):
        raise Broken("checkpoints.jsonl holds a line without a note")
    return str(value["note"])


def parse(content: bytes, name: str, bytes_per_mark: int = BYTES_PER_MARK) -> Any:
    """The JSON value; a key given twice is refused, and so is text that would unpack to far more.

    An empty object takes thirty times the memory of its text. What is honest is long by its words;
    but for rows that an erasure names, of which each is a mark as a position is.
    """
    brackets, marks = marks_in(content)
    if too_many(brackets, marks, len(content), bytes_per_mark):
        brackets, few = marks_in(PLACE.sub(b"0", content))
        if too_many(brackets, few, len(content), bytes_per_mark):
            raise Broken(
                f"{name} holds {marks} brackets, commas and colons in {len(content)} bytes, more "
                "than anything honest"
            )

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise Broken(f"{name}: a key stands twice")
        return dict(pairs)

    def never(constant: str) -> NoReturn:
        raise Broken(f"{name} holds {constant}, which is no JSON")

    try:
        return json.loads(content.decode(), object_pairs_hook=once, parse_constant=never)
    except RecursionError:
        raise Broken(f"{name} is nested deeper than anything honest") from None
    except ValueError as error:
        raise Broken(f"{name} is cut or no JSON: {error}") from None


def marks_in(content: bytes) -> tuple[int, int]:
    """How many brackets open in JSON text, and how many of those, commas and colons there are."""
    brackets = content.count(b"{") + content.count(b"[")
    return brackets, brackets + content.count(b",") + content.count(b":")


def too_many(brackets: int, marks: int, length: int, bytes_per_mark: int) -> bool:
    """Whether nothing honest of `length` bytes has so many."""
    return brackets > MARKS_MAX or marks > MARKS_MAX + length // bytes_per_mark


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
    """A text file of the command line, whole."""
    try:
        return read_regular(path, KEPT_MAX).decode()
    except UnicodeDecodeError as error:
        raise CannotCheck(f"{path} is no text: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
