"""What a ledger knows of the read models of rows, which are folded apart from its appends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

from sqlalchemy import Connection

from app.ledger.reading import end_of_stream, head
from domain.errors import LedgerBusy
from domain.stored_damage import StoredDamage

Progress = Callable[[int, int], None]
# All there are; or all of these streams; or all up to this position, however long it takes.
WithRows: TypeAlias = bool | int | Collection[str]


class RowsApart(Protocol):
    """Read models of rows, folded by position in transactions of their own; a ledger is given them.

    They may lack the last entries. Whoever must see what was just written waits for it.
    """

    always: bool
    """Whether every reader waits: nobody else folds."""

    names: frozenset[str]
    """Their tables."""

    least: int
    """The position up to which they must be folded before anybody looks at them."""

    def folded(self, connection: Connection) -> int:
        """The position up to which this connection sees rows; less than 0: none.

        Asked first in a transaction, rows are never ahead of the entries that it sees.
        """

    def catch_up(
        self,
        up_to: int | None = None,
        progress: Progress = lambda done, of: None,
        *,
        within: float | None = None,
    ) -> None:
        """Fold what is missing up to a position; None: all that there is.

        Raises LedgerBusy when it is not done `within` so many seconds.
        """

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that alone folds them. Raises LedgerBusy when others do all the time."""

    def fold_anew(self, progress: Progress = lambda done, of: None) -> None:
        """Drop them and fold from the first entry on. Raises as `catch_up`."""

    def mended(self, damage: StoredDamage) -> bool:
        """Whether the damage is that of their file alone; then it is removed."""

    def drop_others(self) -> list[str]:
        """Remove those of other versions, where nobody else does; their names."""

    def compact(self) -> str | None:
        """Fold all there is, and rewrite their file, so that nothing deleted is left in it.

        Returns what is left to do, as `app.database.compaction.compact`.
        """

    def close(self) -> None:
        """Close every connection."""


class NoRows:
    """Of a ledger whose rows nobody asks for."""

    always = False
    names: frozenset[str] = frozenset()
    least = -1

    def folded(self, connection: Connection) -> int:
        """None."""
        return -1

    def catch_up(
        self,
        up_to: int | None = None,
        progress: Progress = lambda done, of: None,
        *,
        within: float | None = None,
    ) -> None:
        """Nothing to be done."""

    def writing(self) -> AbstractContextManager[Connection]:
        """Nobody may."""
        raise NotImplementedError

    def fold_anew(self, progress: Progress = lambda done, of: None) -> None:
        """Nothing to be done."""

    def mended(self, damage: StoredDamage) -> bool:
        """There is none."""
        return False

    def drop_others(self) -> list[str]:
        """None."""
        return []

    def compact(self) -> str | None:
        """Nothing to be done."""
        return None

    def close(self) -> None:
        """Nothing to be closed."""


def are_enough(with_rows: WithRows) -> bool:
    """Whether those rows are enough that are folded by now, when others are not folded in time."""
    return type(with_rows) is not int and not with_rows


def needed_until(connection: Connection, rows: RowsApart, with_rows: WithRows) -> int:
    """The position up to which they must be folded for who asks for so much."""
    last = head(connection)
    if isinstance(with_rows, int) and not isinstance(with_rows, bool):
        return min(last, max(rows.least, with_rows))
    if with_rows is True or rows.always:
        return last
    ends = (end_of_stream(connection, stream) for stream in (with_rows or ()))
    return min(last, max((rows.least, *ends)))


@contextmanager
def mending(rows: RowsApart) -> Iterator[None]:
    """Damage that is of rows alone is none of the ledger.

    Raises:
        LedgerBusy: it was; their file is removed, and folded anew.
    """
    try:
        yield
    except StoredDamage as damage:
        if not rows.mended(damage):
            raise
        raise LedgerBusy(
            "the file of rows was damaged. It is removed, and folded anew from the ledger: nothing "
            "is lost. Try again."
        ) from damage
