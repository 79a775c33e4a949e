"""What a rebuild folds, kept in a file: one that was cut off goes on where the last one was.

The file holds what read models hold, of people, too. It is gone when a rebuild ends, whatever it
ends with, unless it is killed or interrupted; with every erasure; and when a service starts, or
another rebuild, a day later.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, LargeBinary, MetaData, Table, delete, insert, select
from sqlalchemy.exc import DBAPIError, OperationalError

from app.clock import now
from app.database.engine import in_plain_words
from app.database.rows_file import remove, written_at
from app.database.scratch import kept_database, scratch_database
from app.ledger.tables import POSITION
from app.projections.read_model import METADATA, ReadModel, tables_of
from app.settings import Settings
from domain.times import parse_time

_PACKAGE: Final = "whyledger"
_TRIES: Final = 3
_KEPT_SECONDS: Final = 24 * 3600.0
_HEX: Final = "[0-9a-f]"
_NAME_LENGTH: Final = 16  # of the file of these read models
_LOG: Final = logging.getLogger("whyledger.ledger")
_STATE_METADATA: Final = MetaData()
# The last entry that is folded, and what its leaf hash was.
_STATE: Final = Table(
    "rebuilt",
    _STATE_METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary, nullable=False),
)

LeafAt = Callable[[int], bytes | None]  # of the ledger's entry at a position, if there is one


@dataclass(slots=True)
class Scratch:
    """Read models that are folded anew, and how far."""

    connection: Connection
    done: int = -1  # the position up to which they were folded before
    keeps: bool = False

    def reached(self, position: int, leaf_hash: bytes | None) -> None:
        """All up to this entry is folded: who is cut off from now on goes on behind it."""
        if self.keeps and leaf_hash is not None:
            self.connection.execute(delete(_STATE))
            self.connection.execute(insert(_STATE).values(position=position, leaf_hash=leaf_hash))
            self.connection.commit()


def kept_scratches(settings: Settings) -> Path:
    """The folder of what rebuilds left that were cut off."""
    return settings.state_dir / "replay"


def forget_scratches(settings: Settings) -> str | None:
    """Remove what rebuilds left; why it could not be, as what is left to do."""
    folder = kept_scratches(settings)
    why = ""
    for _ in range(_TRIES):  # a rebuild that ends meanwhile removes its own
        try:
            shutil.rmtree(folder)
        except OSError as error:
            why = error.strerror or str(error)
        if not folder.exists():
            return None
    return f"{folder} could not be removed ({why}), and may hold it; remove it"


def forget_old_scratches(folder: Path) -> None:
    """Remove what nobody went on with for a day."""
    yesterday = parse_time(now()).timestamp() - _KEPT_SECONDS
    for file in folder.glob(f"{_HEX * _NAME_LENGTH}.db*"):
        name, mark, _ = file.name.partition(".db")
        if written_at(file.with_name(name + mark)) < yesterday:
            remove(file.with_name(name + mark))


@contextmanager
def scratch_in(
    folder: Path | None, read_models: Sequence[ReadModel], leaf_at: LeafAt, up_to: int
) -> Iterator[Scratch]:
    """A database with these read models: where another rebuild was cut off, as it left them.

    It is gone when the block ends or fails, and stays when it is interrupted.

    Args:
        folder: of what is kept; None: nothing is, nor while another process rebuilds there.
        read_models: that are folded anew.
        leaf_at: see `LeafAt`.
        up_to: a position; what was folded beyond it is begun anew.
    """
    file, scratch = _opened(folder, read_models, leaf_at, up_to)
    interrupted = False
    try:
        yield scratch
    except Exception:
        raise
    except BaseException:
        interrupted = True
        raise
    finally:
        scratch.connection.close()
        scratch.connection.engine.dispose()
        if file is not None and not interrupted:
            remove(file)


def _opened(
    folder: Path | None, read_models: Sequence[ReadModel], leaf_at: LeafAt, up_to: int
) -> tuple[Path | None, Scratch]:
    tables = tables_of(read_models)
    if folder is not None:
        file = folder / f"{_name(tables)}.db"
        try:
            return file, _kept(file, tables, leaf_at, up_to)
        except (OSError, DBAPIError) as error:
            _LOG.warning(
                "what is rebuilt is not kept in %s (%s): a rebuild that is cut off begins anew",
                folder,
                in_plain_words(error) if isinstance(error, DBAPIError) else error.strerror,
            )
    connection = scratch_database().connect()
    METADATA.create_all(connection, tables=tables)
    return None, Scratch(connection)


def _name(tables: Sequence[Table]) -> str:
    """Of these tables, as this version folds them."""
    named = (version(_PACKAGE), *sorted(str(table.name) for table in tables))
    return sha256("\n".join(named).encode()).hexdigest()[:_NAME_LENGTH]


def _kept(file: Path, tables: Sequence[Table], leaf_at: LeafAt, up_to: int) -> Scratch:
    """What another left in the file, or empty ones there. Raises OSError, DBAPIError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    forget_old_scratches(file.parent)
    try:
        connection = kept_database(file).connect()
    except OperationalError:  # another process has it
        raise
    except DBAPIError:  # no database
        pass
    else:
        done = _done(connection, leaf_at)
        if done is not None and done <= up_to:
            return Scratch(connection, done, keeps=True)
        connection.close()
        connection.engine.dispose()
    remove(file)
    connection = kept_database(file).connect()
    METADATA.create_all(connection, tables=tables)
    _STATE.create(connection)
    connection.commit()
    return Scratch(connection, keeps=True)


def _done(connection: Connection, leaf_at: LeafAt) -> int | None:
    """Up to where they are folded, if that is an entry of this ledger."""
    try:
        for position, leaf_hash in connection.execute(select(_STATE)):
            if leaf_at(position) == leaf_hash:
                return int(position)
    except DBAPIError:
        pass  # nothing stands there yet
    return None
