"""Somebody who changes an exported bundle by chance: its bytes, lines, names, numbers, headers.

A bundle is a folder or one .zip. What he changed may be named truly by the trailer, whose digests
are nobody's secret.
"""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.app.proof.signed_ledger import with_true_trailer, zipped

_OF_LINES: Final = ("events.jsonl", "payloads.jsonl", "rows.jsonl", "checkpoints.jsonl")
_EDGES: Final[tuple[Any, ...]] = (0, 1, -1, 2**31, 2**63, 10**30, 1.5, None, "1", [], {}, True)


class Mutator:
    """Makes one bundle after another out of a true one.

    Args:
        bundle: the folder of the true one.
        room: an empty folder to make them in.
        random: whom it asks.
    """

    def __init__(self, bundle: Path, room: Path, random: Random) -> None:
        self._bundle = bundle
        self._zip = zipped(bundle, room / "true.zip")
        self._room = room
        self._random = random

    def mutate(self) -> tuple[str, Path]:
        """What was done, and the bundle; the one made before is gone."""
        made = self._room / "made"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        kind = self._random.choice(list(_ALL))
        if kind in _OF_ZIPS:
            content = _OF_ZIPS[kind](self, bytearray(self._zip.read_bytes()))
            (made / "bundle.zip").write_bytes(content)
            return kind, made / "bundle.zip"
        folder = made / "bundle"
        shutil.copytree(self._bundle, folder)
        for _ in range(self._random.choice([1, 1, 1, 2, 3])):
            _OF_FOLDERS[kind](self, folder)
        truly = kind not in _OF_TRAILERS and self._random.random() < 0.6
        if truly and _trailer_of(folder) is not None:
            with_true_trailer(folder)
        said = f"{kind}, named truly" if truly else kind
        if self._random.random() < 0.3:
            return f"{said}, in a .zip", zipped(folder, made / "bundle.zip")
        return said, folder

    # Of a folder.

    def _flip(self, folder: Path) -> None:
        self._rewrite(folder, self._flipped)

    def _cut(self, folder: Path) -> None:
        self._rewrite(folder, lambda content: content[: self._at(content)])

    def _insert(self, folder: Path) -> None:
        self._rewrite(folder, self._inserted)

    def _lines(self, folder: Path) -> None:
        """Lines of a file change places, or stand twice, or not at all."""
        name = self._random.choice(_OF_LINES)
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        if not lines:
            return
        one, other = (self._random.randrange(len(lines)) for _ in range(2))
        what = self._random.choice(["swap", "double", "remove", "move"])
        if what == "swap":
            lines[one], lines[other] = lines[other], lines[one]
        elif what == "double":
            lines.insert(other, lines[one])
        else:
            moved = lines.pop(one)
            if what == "move":
                lines.insert(other, moved)
        (folder / name).write_bytes(b"".join(lines))

    def _value(self, folder: Path) -> None:
        """A value in a line of JSON becomes another, canonical or not."""
        name = self._random.choice(_OF_LINES)
        lines = (folder / name).read_bytes().splitlines()
        if not lines:
            return
        at = self._random.randrange(len(lines))
        try:
            value = self._other_value(json.loads(lines[at]))
        except ValueError:
            return  # something else was made of it before
        lines[at] = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        (folder / name).write_bytes(b"".join(line + b"\n" for line in lines))

    def _rename(self, folder: Path) -> None:
        path = self._member(folder)
        target = folder / self._name(folder)
        if not target.exists() and target.parent != path:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)

    def _double(self, folder: Path) -> None:
        content = self._member(folder).read_bytes()
        target = folder / self._name(folder)
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def _remove(self, folder: Path) -> None:
        if len(_members(folder)) > 1:
            self._member(folder).unlink()

    def _exchange(self, folder: Path) -> None:
        one, other = self._member(folder), self._member(folder)
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)

    def _trailer(self, folder: Path) -> None:
        """A number, name or digest of the trailer becomes another."""
        if (trailer := _trailer_of(folder)) is not None:
            (folder / "trailer.json").write_text(json.dumps(self._other_value(trailer)))

    def _spaces(self, folder: Path) -> None:
        """The trailer says the same in other bytes."""
        if (trailer := _trailer_of(folder)) is not None:
            said = json.dumps(trailer, indent=self._random.randrange(4))
            (folder / "trailer.json").write_text(said)

    # Of a .zip.

    def _zip_flip(self, content: bytearray) -> bytes:
        for _ in range(self._random.choice([1, 1, 4])):
            content[self._random.randrange(len(content))] ^= 1 << self._random.randrange(8)
        return bytes(content)

    def _zip_cut(self, content: bytearray) -> bytes:
        return bytes(content[: self._at(content)])

    def _zip_insert(self, content: bytearray) -> bytes:
        return self._inserted(bytes(content))

    def _zip_header(self, content: bytearray) -> bytes:
        """A field of a local header, of an entry of the directory, or of its end."""
        mark, length = self._random.choice([(b"PK\3\4", 30), (b"PK\1\2", 46), (b"PK\5\6", 22)])
        places = _places(content, mark)
        at = self._random.choice(places) + self._random.randrange(4, length - 1)
        if self._random.random() < 0.5:
            content[at] = self._random.randrange(256)
        else:
            value = self._random.choice([0, 1, 0xFFFF, 0x8000, self._random.randrange(1 << 16)])
            struct.pack_into("<H", content, at, value)
        return bytes(content)

    def _zip_member(self, content: bytearray) -> bytes:
        """A member more, or one a second time, or all in another order."""
        names = [name.relative_to(self._bundle).as_posix() for name in _members(self._bundle)]
        what = self._random.choice(["twice", "another", "order", "way"])
        made = self._room / "made" / "again.zip"
        if what == "order":
            self._random.shuffle(names)
        packed = zipfile.ZIP_STORED if what == "way" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(made, "w", packed) as archive:
            for name in names:
                archive.write(self._bundle / name, name)
        more = self._random.choice(names) if what == "twice" else "x" + self._random.choice(names)
        if what in ("twice", "another"):
            extra = self._room / "made" / "more.zip"
            with zipfile.ZipFile(extra, "w") as archive:
                archive.writestr(more, (self._bundle / self._random.choice(names)).read_bytes())
            return _joined(made.read_bytes(), extra.read_bytes())
        return made.read_bytes()

    # Whom all of them ask.

    def _member(self, folder: Path) -> Path:
        return self._random.choice(_members(folder))

    def _name(self, folder: Path) -> str:
        """A name of the format, of another file or of none, or one that leads elsewhere."""
        digest = f"{self._random.getrandbits(256):064x}"
        return self._random.choice(
            [
                self._member(folder).relative_to(folder).as_posix(),
                f"artefacts/{digest}",
                f"policies/{digest}.json",
                f"tiles/{self._random.randrange(3)}/{self._random.randrange(4)}",
                f"schema/{digest[:6]}",
                "events.jsonl.part",
                "trailer.JSON",
                " events.jsonl",
                "events\n.jsonl",
            ]
        )

    def _rewrite(self, folder: Path, change: Callable[[bytes], bytes]) -> None:
        path = self._member(folder)
        path.write_bytes(change(path.read_bytes()))

    def _at(self, content: bytes | bytearray) -> int:
        return self._random.randrange(len(content) + 1)

    def _flipped(self, content: bytes) -> bytes:
        if not content:
            return b"\1"
        flipped = bytearray(content)
        flipped[self._random.randrange(len(flipped))] ^= 1 << self._random.randrange(8)
        return bytes(flipped)

    def _inserted(self, content: bytes) -> bytes:
        at = self._at(content)
        piece = self._random.choice(
            [
                self._random.randbytes(self._random.choice([1, 22, 300])),
                content[at : at + self._random.randrange(1, 400)],
                b"\n",
                b"[" * 5000,
                b'{"a":1,"a":2}',
                b"\xff\xfe",
                b"9" * 5000,
            ]
        )
        return content[:at] + piece + content[at:]

    def _other_value(self, value: Any) -> Any:
        """The same with one value within it exchanged."""
        if isinstance(value, dict) and value and self._random.random() < 0.9:
            name = self._random.choice(list(value))
            return value | {name: self._other_value(value[name])}
        if isinstance(value, list) and value and self._random.random() < 0.8:
            at = self._random.randrange(len(value))
            return [*value[:at], self._other_value(value[at]), *value[at + 1 :]]
        if isinstance(value, int) and self._random.random() < 0.6:
            return value + self._random.choice([-1, 1])
        if isinstance(value, str) and self._random.random() < 0.6:
            return self._flipped_text(value)
        return self._random.choice(_EDGES)

    def _flipped_text(self, value: str) -> str:
        at = self._at(value.encode())
        return self._random.choice([value[:at], f"{value[:at]}0{value[at + 1 :]}", value + "x"])


def _members(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _trailer_of(folder: Path) -> dict[str, Any] | None:
    """The trailer, while it still is one."""
    try:
        found = json.loads((folder / "trailer.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _places(content: bytes | bytearray, mark: bytes) -> list[int]:
    found, at = [], content.find(mark)
    while at >= 0:
        found.append(at)
        at = content.find(mark, at + 4)
    return found


def _joined(one: bytes, other: bytes) -> bytes:
    """One .zip that holds the members of both, one after another, with one directory."""
    start, start_other = (struct.unpack("<I", each[-6:-2])[0] for each in (one, other))
    moved = bytearray(other[start_other:-22])
    struct.pack_into("<I", moved, 42, start)
    directory = one[start:-22] + bytes(moved)
    count = struct.unpack("<H", one[-12:-10])[0] + 1
    at = start + start_other
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), at, 0)
    return one[:start] + other[:start_other] + directory + end


_OF_FOLDERS: Final[Mapping[str, Callable[[Mutator, Path], None]]] = {
    "a bit flipped": Mutator._flip,
    "a file cut": Mutator._cut,
    "bytes inserted": Mutator._insert,
    "lines moved": Mutator._lines,
    "a value changed": Mutator._value,
    "a file renamed": Mutator._rename,
    "a file doubled": Mutator._double,
    "a file removed": Mutator._remove,
    "two files exchanged": Mutator._exchange,
    "the trailer changed": Mutator._trailer,
    "the trailer in other bytes": Mutator._spaces,
}
_OF_TRAILERS: Final = frozenset({"the trailer changed", "the trailer in other bytes"})
_OF_ZIPS: Final[Mapping[str, Callable[[Mutator, bytearray], bytes]]] = {
    "a bit of the .zip flipped": Mutator._zip_flip,
    "the .zip cut": Mutator._zip_cut,
    "bytes inserted in the .zip": Mutator._zip_insert,
    "a header of the .zip changed": Mutator._zip_header,
    "members of the .zip arranged": Mutator._zip_member,
}
_ALL: Final = (*_OF_FOLDERS, *_OF_ZIPS, "a header of the .zip changed")
