"""The damage that readers of this process met, until the ledger itself says of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Connection

from domain.stored_damage import StoredDamage

OPTION: Final = "whyledger_met"  # of the connections of a ledger: where their readers put it
_KEPT_MAX: Final = 100  # that wait to be recorded; a ledger with more is damaged as it is


class Met(NamedTuple):
    """Damage as its reader met it."""

    position: int | None  # of the entry; None: no single one is concerned
    said: str


class MetDamage:
    """Kept by the ledger of a process. Costs nothing while nothing is damaged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._met: dict[Met, None] = {}

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Whoever reads inside and meets damage has it noticed; it is raised all the same."""
        try:
            yield
        except StoredDamage as damage:
            self.add(Met(damage.position, damage.message))
            raise

    def add(self, met: Met) -> None:
        """One more, or the same again."""
        with self._lock:
            if len(self._met) < _KEPT_MAX:
                self._met.setdefault(met)

    def all(self) -> tuple[Met, ...]:
        """What waits to be recorded, the first first."""
        return tuple(self._met) if self._met else ()

    def remove(self, met: Met) -> None:
        """It is recorded."""
        with self._lock:
            self._met.pop(met, None)


def note(connection: Connection, met: Met) -> None:
    """Damage that a reader passes over instead of raising it: the ledger of `connection` hears."""
    noted = connection.get_execution_options().get(OPTION)
    if isinstance(noted, MetDamage):
        noted.add(met)
