"""Files we keep outside the database: whole under their name whatever happens, or not there."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from app.clock import new_id


def replace_file(path: Path, content: bytes) -> None:
    """Let `path` hold `content`: all of it or what stood before, on the disk when this returns.

    Readable by its owner alone. Not for two writers of one file at once.

    Raises:
        OSError: it could not be written; what stood there stands.
    """
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)  # of a writer that was killed
    write_new_file(temporary, content)
    rename_durably(temporary, path)


@contextmanager
def file_aside(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which is `path` once the block has ended well: whole, and on the disk.

    What stood there stands until then. A pipe or device is written to as it is; a link is followed.

    Raises:
        OSError: it could not be written; nothing of it is left.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    with _aside(path) as part, part.open("xb") as file:
        if path.exists():
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """A folder to fill, which is `path` once the block has ended well: whole, and on the disk.

    Raises:
        OSError: it could not be filled; nothing of it is left.
    """
    with _aside(path) as part:
        part.mkdir()
        yield part
        for folder, _, files in os.walk(part, topdown=False):
            for name in (*files, "."):
                _sync(Path(folder, name))


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A name beside `path`, of its own: what a killed process leaves there is in nobody's way."""
    part = path.with_name(f".{new_id()}.part")
    try:
        yield part
        rename_durably(part, path)
    except BaseException:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
        raise


def rename_durably(temporary: Path, path: Path) -> None:
    """Give a file that is on the disk its name, on the disk when this returns. Raises OSError."""
    temporary.replace(path)
    sync_directory(path.parent)


def write_new_file(path: Path, content: bytes) -> None:
    """Make the file, for its owner alone, on the disk when this returns.

    Raises:
        FileExistsError: something stands there.
        OSError: it could not be written, and is not there.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with naming(path), os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error inside say which file it is about: a write that fails names none by itself."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def sync_directory(path: Path) -> None:
    """Names made or changed in the directory are on the disk when this returns. Raises OSError."""
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
