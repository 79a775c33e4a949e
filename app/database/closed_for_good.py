"""The pool of connections whose end is final."""

from __future__ import annotations

from sqlalchemy import QueuePool
from sqlalchemy.pool import ConnectionPoolEntry


class ClosedForGood(QueuePool):
    """Connections of an engine; once it is disposed of, each is closed as it comes back.

    A thread may outlive what closed the engine: a request that was given up, say. SQLAlchemy would
    keep what it gives back, or takes after that, open in a pool that nobody closes any more.
    """

    _disposed = False

    def dispose(self) -> None:
        """Close those that nobody uses, and the others as they come back."""
        self._disposed = True
        super().dispose()

    def recreate(self) -> ClosedForGood:
        """Another of the same kind, which knows that this was disposed of."""
        again = super().recreate()
        assert isinstance(again, ClosedForGood)  # noqa: S101 - it is of its own class
        again._disposed = self._disposed
        return again

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self._disposed:
            self.dispose()
