"""Files we keep outside the database: whole under their name whatever happens, or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
