"""Empty the read models and fold the whole ledger again: the proof that they follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.ledger.reading import head, read_entries
from app.ledger.store import Ledger
from app.projections.runner import apply, digests, empty
from domain.errors import LedgerDamaged
from domain.events.envelope import Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """The digests of the read models before and after, at the same position."""

    position: int  # of the last entry that was folded
    before: dict[str, str]  # table -> SHA-256 over its rows
    after: dict[str, str]

    @property
    def differing(self) -> tuple[str, ...]:
        """The read models that did not follow from the ledger; empty when all is well."""
        return tuple(name for name in self.after if self.after[name] != self.before[name])


def rebuild(
    ledger: Ledger,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    page_entries: int = 500,
) -> Rebuilt:
    """Rebuild every read model in one transaction; killed on the way, the old ones stay.

    Holds the ledger's lock meanwhile, so nothing is appended. `progress` is told how many entries
    of how many are folded, after each page of `page_entries`.

    Raises:
        LedgerBusy: another writer held the lock all the time.
        LedgerDamaged: an entry is not what its hash says, or the positions have a gap.
    """
    with ledger.writing() as connection:
        last = head(connection)
        before = digests(connection)
        empty(connection)
        done = -1
        while done < last:
            page = read_entries(connection, done, page_entries)
            _check_dense(page, done)
            apply(connection, page)
            done = page[-1].position
            progress(done + 1, last + 1)
        return Rebuilt(position=last, before=before, after=digests(connection))


def _check_dense(page: list[Recorded], after: int) -> None:
    for expected, entry in enumerate(page, after + 1):
        if entry.position != expected:
            raise LedgerDamaged(
                f"the ledger has entry {entry.position} where {expected} should stand. "
                "Stop writing; restore a back-up and compare."
            )
