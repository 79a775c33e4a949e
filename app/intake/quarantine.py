"""What an upload's bad rows leave: a file of JSON Lines, for a person to read and mend.

It is bounded, since a refused row of two bytes is told in a hundred, and so are all of them
together. While it is written it is a `.part`, locked; one that nobody locks is what a killed
process left behind.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import IO, Final

from app.database.durable_files import rename_durably
from app.intake.csv_rows import BrokenLine
from domain.path_parts import path_part

SHARE_MAX: Final = 4  # times the bytes of the upload
_SPARE_BYTES: Final = 64 * 1024  # beside them, so that a small upload is told whole
_PART: Final = ".part"
_WHOLE: Final = ".jsonl"


class Quarantine:
    """The file of one upload's bad rows, JSON Lines; whole under its name, or not there at all.

    Args:
        directory: where it stands.
        stem: its name, without `.jsonl`.
        upload_bytes: of the upload whose rows are refused.
        bytes_max: that the file may have, however large the upload.
    """

    def __init__(self, directory: Path, stem: str, upload_bytes: int, bytes_max: int) -> None:
        self.name = f"{path_part(stem, 'an upload')}{_WHOLE}"
        self._path = directory / self.name
        self._part: IO[bytes] | None = None
        self._bytes_max = min(bytes_max, SHARE_MAX * upload_bytes + _SPARE_BYTES)
        self._bytes = 0
        self._left_out = 0
        self._first_left_out = 0

    def __enter__(self) -> Quarantine:
        """The file, which the first bad row makes."""
        return self

    def add(
        self, line: int, reasons: list[str], header: list[str], cells: list[str] | BrokenLine | None
    ) -> None:
        """One bad row: where it stood, why it was refused, its cells as text (None: not shown).

        When the file has no room for it, neither it nor any later one is listed.
        """
        if self._left_out:
            self._left_out += 1
            return
        row: dict[str, str] | list[str]
        if isinstance(cells, list) and len(cells) == len(header):
            row = dict(zip(header, map(_readable, cells), strict=True))
        else:
            row = [_readable(cell) for cell in _shown_cells(cells)]
        told = _told(line, reasons, row)
        if self._bytes + len(told) > self._bytes_max:
            self._left_out, self._first_left_out = 1, line
            return
        self._write(told)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give the file its name; leave none when the upload failed."""
        if kind is None and self._left_out:
            said = (
                f"from here on {self._left_out} refused rows are not listed: this file may hold "
                f"{self._bytes_max} bytes. Mend those above, and send the file again."
            )
            self._write(_told(self._first_left_out, [said], []))
        if self._part is None:
            return
        part = Path(self._part.name)
        with self._part:
            if kind is not None:
                part.unlink()
                return
            self._part.flush()
            os.fsync(self._part.fileno())
            rename_durably(part, self._path)  # while it is locked: else it could be swept

    def _write(self, told: bytes) -> None:
        if self._part is None:
            self._part = _new_part(self._path.parent)
        self._part.write(told)
        self._bytes += len(told)


def sweep(directory: Path) -> int:
    """Remove the parts that no upload is writing, of whatever process; how many it was."""
    swept = 0
    for path in directory.glob(f"*{_PART}"):
        try:
            part = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue  # gone meanwhile, or none of ours
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            swept += 1
        except BlockingIOError:
            continue  # an upload writes it
        finally:
            os.close(part)
    return swept


def remove_oldest(directory: Path, bytes_max: int) -> list[str]:
    """Remove the oldest files until all have at most `bytes_max` together; the names of those.

    The newest stays, however large: whoever sent its rows has not read it yet. Several processes
    may do this at once.
    """
    found: list[tuple[int, str, int]] = []
    for path in directory.glob(f"*{_WHOLE}"):
        with suppress(FileNotFoundError):  # another process was quicker
            there = path.lstat()
            if S_ISREG(there.st_mode):
                found.append((there.st_mtime_ns, path.name, there.st_size))
    found.sort()
    total = sum(size for _, _, size in found)
    removed = []
    for _, name, size in found[:-1]:
        if total <= bytes_max:
            break
        (directory / name).unlink(missing_ok=True)
        total -= size
        removed.append(name)
    return removed


def _new_part(directory: Path) -> IO[bytes]:
    """A file of its own, locked; again where it was swept before the lock was had."""
    while True:
        part = tempfile.NamedTemporaryFile(dir=directory, suffix=_PART, delete=False)  # 0600
        fcntl.flock(part.fileno(), fcntl.LOCK_EX)
        if os.fstat(part.fileno()).st_nlink:
            return part
        part.close()


def _told(line: int, reasons: list[str], row: dict[str, str] | list[str]) -> bytes:
    told = json.dumps({"line": line, "reasons": reasons, "row": row}, ensure_ascii=False)
    return told.encode("utf-8", "backslashreplace") + b"\n"


def _shown_cells(cells: list[str] | BrokenLine | None) -> list[str]:
    """What is shown of a line that has not the header's cells: its cells, or itself."""
    if isinstance(cells, BrokenLine):
        return [cells.line] if cells.line else []
    return cells or []


def _readable(cell: str) -> str:
    """The cell as a person reads it; a byte that is not UTF-8 as \\xff."""
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
