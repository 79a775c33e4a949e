"""What a verification has seen of a ledger, on the disk: its memory does not grow with the entries.

What grows with the models alone, their cycles and what those name, stays in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

from app.database.scratch import scratch_file
from domain.events.block_events import RowPlace
from domain.events.erasure_reach import ManyRows

_TABLES: Final = (
    "CREATE TABLE ids (id TEXT PRIMARY KEY, position INTEGER) WITHOUT ROWID",
    'CREATE TABLE apart (position INTEGER PRIMARY KEY, "commit" TEXT, model TEXT)',
    "CREATE TABLE erased (position INTEGER PRIMARY KEY)",
    "CREATE TABLE many (position INTEGER PRIMARY KEY, model TEXT, rows INTEGER)",
    "CREATE TABLE erased_rows (position INTEGER, row INTEGER, PRIMARY KEY (position, row))"
    " WITHOUT ROWID",
    "CREATE TABLE checkpoints (size INTEGER, root BLOB, PRIMARY KEY (size, root)) WITHOUT ROWID",
)
_APART: Final = (
    'SELECT position, "commit", erased.position IS NOT NULL FROM apart'
    " LEFT JOIN erased USING (position) ORDER BY position"
)


class Apart(NamedTuple):
    """An entry whose data stands apart."""

    position: int
    commit: str  # what it commits to
    erased: bool  # whether an entry that may say so says that the data is gone


class SignedRoot(NamedTuple):
    """A checkpoint that is signed."""

    size: int
    root: bytes


class Seen:
    """Made by `Seen.begun()`, for one thread. Ids are kept whole: none is taken for another.

    Ids of ours sort in the order they were drawn, so that looking for one finds its page in memory
    however many there are; those of others, drawn at random, do not.
    """

    def __init__(self) -> None:
        self._file = scratch_file(*_TABLES)

    @classmethod
    @contextmanager
    def begun(cls) -> Iterator[Seen]:
        """Nothing seen yet; forgotten at the end."""
        with closing(cls()) as seen:
            yield seen

    def close(self) -> None:
        """Forget it; to do so again does nothing."""
        self._file.close()

    def add_ids(self, ids: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Take ids and their positions, in order; those that were seen before."""
        added = self._file.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", ids)
        if added.rowcount == len(ids):
            return []
        first = "SELECT position FROM ids WHERE id = ?"
        return [
            (id, position)
            for id, position in ids
            if self._file.execute(first, (id,)).fetchone() != (position,)
        ]

    def add_apart(self, position: int, commit: str, model: str | None) -> None:
        """The entry commits to data that stands apart, of a row of `model`."""
        values = (position, commit, model)
        self._file.execute("INSERT OR REPLACE INTO apart VALUES (?, ?, ?)", values)

    def model_of_rows(self, position: int) -> str | None:
        """Whose row stands apart there; None: no model's."""
        query = "SELECT model FROM apart WHERE position = ?"
        row: tuple[str | None] | None = self._file.execute(query, (position,)).fetchone()
        return None if row is None else row[0]

    def add_erased(self, positions: Iterable[int]) -> None:
        """An erasure that may say so says that the data of these is gone."""
        values = ((position,) for position in positions)
        self._file.executemany("INSERT OR IGNORE INTO erased VALUES (?)", values)

    def apart(self) -> Iterator[Apart]:
        """Every entry whose data stands apart, by position."""
        for position, commit, erased in self._file.execute(_APART):
            yield Apart(position, commit, bool(erased))

    def add_many(self, position: int, rows: ManyRows) -> None:
        """An entry of many rows."""
        self._file.execute("INSERT OR REPLACE INTO many VALUES (?, ?, ?)", (position, *rows))

    def many_rows(self, position: int) -> ManyRows | None:
        """What entry of many rows stands there; None: none does."""
        query = "SELECT model, rows FROM many WHERE position = ?"
        row = self._file.execute(query, (position,)).fetchone()
        return None if row is None else ManyRows(*row)

    def many(self) -> Iterator[int]:
        """The position of every entry of many rows, in order."""
        for (position,) in self._file.execute("SELECT position FROM many ORDER BY position"):
            yield position

    def add_erased_rows(self, places: Iterable[RowPlace]) -> None:
        """An erasure that may say so says that these rows are gone."""
        values = ((each.position, each.row) for each in places)
        self._file.executemany("INSERT OR IGNORE INTO erased_rows VALUES (?, ?)", values)

    def erased_rows(self, position: int) -> set[int]:
        """Which rows of this entry are gone, as erasures say."""
        query = "SELECT row FROM erased_rows WHERE position = ?"
        return {row for (row,) in self._file.execute(query, (position,))}

    def add_checkpoint(self, size: int, root: bytes) -> None:
        """One that is signed; the same again is the same."""
        self._file.execute("INSERT OR IGNORE INTO checkpoints VALUES (?, ?)", (size, root))

    def checkpoints(self) -> int:
        """How many there are."""
        (count,) = self._file.execute("SELECT count(*) FROM checkpoints").fetchone()
        return int(count)

    def next_checkpoint(self, after: SignedRoot | None) -> SignedRoot | None:
        """The one after `after`, by size and root; the first when that is None."""
        query = (
            "SELECT size, root FROM checkpoints WHERE (size, root) > (?, ?)"
            " ORDER BY size, root LIMIT 1"
        )
        row = self._file.execute(query, after or (-1, b"")).fetchone()
        return None if row is None else SignedRoot(*row)

    def largest_checkpoint(self) -> int:
        """How many entries the largest covers; 0: there is none."""
        (size,) = self._file.execute("SELECT max(size) FROM checkpoints").fetchone()
        return int(size or 0)

    def is_signed(self, size: int, root: bytes) -> bool:
        """Whether a checkpoint says so."""
        query = "SELECT 1 FROM checkpoints WHERE size = ? AND root = ?"
        return self._file.execute(query, (size, root)).fetchone() is not None
