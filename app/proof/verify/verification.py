"""Verify a ledger without trusting it: hash the stored bytes again, rebuild the tree, compare.

What is compared with: checkpoints signed with a key that is outside the database, and the signer's
memory of leaf hashes, which names the very entry that was changed. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row

from app.database.migrating import SCHEMA_REVISION
from app.database.read_only import judged_revision
from app.ledger.store import Ledger
from app.ledger.tree import read_head
from app.proof.leaf_memory import NO_LEAVES, LeafMemory
from app.proof.verify.artefact_checks import artefact_breaks
from app.proof.verify.block_checks import block_breaks
from app.proof.verify.breaks import BREAKS_KEPT, Break
from app.proof.verify.checkpoint_checks import read_checkpoints
from app.proof.verify.entry_checks import EntryChecks, StoredEntry
from app.proof.verify.guards import guard_breaks, tables_of
from app.proof.verify.payload_checks import payload_breaks
from app.proof.verify.read_models import differing_read_models
from app.proof.verify.seen import Seen, SignedRoot
from app.proof.verify.storage_checks import check_storage, unreadable_is_damage
from app.proof.verify.tile_checks import TileChecks
from domain.errors import LedgerDamaged
from domain.tree.merkle import Frontier
from domain.tree.notes import VerifierKey

BREAKS_MAX: Final = 100  # named; the first is what matters
_PAGE_ENTRIES: Final = 1000
_BEFORE_ALL: Final = -(1 << 63)
# StoredEntry's fields, by the names of the columns
_COLUMNS: Final = ", ".join(
    f'"{"bytes" if name == "content" else name}"' for name in StoredEntry._fields
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a verification found."""

    schema: str  # revision of the ledger's schema; an older one has fewer tables
    entries: int
    root: str  # RFC 6962 root over the stored bytes, hex
    key: str | None  # the verifier key checkpoints were checked with
    checkpoints: int  # whose signatures are that key's
    covered: int  # entries under the newest of them that fits: so far the ledger is proven
    read_models: int  # compared with what the entries give; 0 when not asked, or pointless
    erased: int  # events whose data is gone, as entries say
    erased_rows: int  # of entries of many rows, gone likewise
    unnamed: int  # artefacts that no entry names: nothing uses them
    breaks: tuple[Break, ...]  # the first one first
    differing: tuple[Break, ...]  # of them, those of read models: those are folded anew

    @property
    def whole(self) -> bool:
        """Whether nothing is broken. What lies after `covered` is unproven all the same."""
        return not self.breaks

    @property
    def sound(self) -> bool:
        """Whether nothing is broken that anything is decided on."""
        return all(each in self.differing for each in self.breaks)

    @property
    def older_schema(self) -> str:
        """One sentence about a schema of an earlier version; empty when it is this one's."""
        if self.schema == SCHEMA_REVISION:
            return ""
        return (
            f"the schema is {self.schema!r}, older than this version's {SCHEMA_REVISION!r}: judged "
            "as it stands; read models are not compared."
        )

    @property
    def unproven(self) -> str:
        """One sentence about the entries that no checkpoint covers; empty when there are none."""
        if self.covered >= self.entries:
            return ""
        return (
            f"entries {self.covered} to {self.entries - 1} lie after the last retained checkpoint "
            f"({self.covered} entries): they are unproven."
        )


def verify(
    ledger: Ledger,
    key: VerifierKey | None,
    *,
    retained: Sequence[str] = (),
    remembered: LeafMemory = NO_LEAVES,
    read_models: bool = True,
    progress: Progress = lambda done, of: None,
) -> Verified:
    """Verify everything up to the moment it ends; nothing is written and nobody waits.

    Between pages no transaction is open: `progress` may take its time.

    A schema of an earlier version is judged by what that version had.

    Args:
        ledger: open.
        key: who signs; without it no checkpoint can be checked and nothing is proven.
        retained: signed notes kept outside the database, the signer's last one among them.
        remembered: the signer's memory of leaf hashes.
        read_models: also fold all entries anew and compare what comes out with the read models.
        progress: told how many entries of how many are done.

    Raises:
        CannotJudge: the schema is newer than this code, or this login may not read it.
        LedgerDamaged: the tables themselves cannot be read; the message says where.
    """
    with ledger.snapshot() as connection, unreadable_is_damage(), Seen.begun() as seen:
        revision = judged_revision(connection)
        tables = tables_of(connection)
        check_storage(connection, tables, entries=False)
        total = connection.exec_driver_sql("SELECT count(*) FROM entries").scalar_one()
        breaks = read_checkpoints(connection, key, retained, seen, "checkpoints" in tables)
        checkpoints = seen.checkpoints()
        leaves = _authentic(connection, remembered, seen)
        if remembered.size and not leaves.size and checkpoints:
            said = "others, which name no entry. Remove the file: the signer writes it again"
            expected = "those under a signed checkpoint"
            breaks.append(Break(None, "the signer's memory of leaf hashes", expected, said))
        entries = EntryChecks(connection, leaves, seen)
        tiles = TileChecks(connection, stored="tiles" in tables)
        fitting, roots = 0, list[Break]()
        pending = seen.next_checkpoint(None)
        for page in _pages(connection):
            hashes = entries.check(page)
            while pending is not None and pending.size <= tiles.size + len(hashes):
                part = pending.size - tiles.size
                tiles.add(hashes[:part])
                del hashes[:part]
                fitting = _compare(pending, tiles.tree(), fitting, entries, roots)
                pending = seen.next_checkpoint(pending)
            tiles.add(hashes)
            if len(page) == _PAGE_ENTRIES:
                connection.rollback()  # what comes next is read as it stands then
            progress(tiles.size, max(total, tiles.size))
        entries.finish()
        tree = tiles.tree()
        breaks += roots + entries.breaks + tiles.breaks()
        erased, wrong = payload_breaks(connection, seen, stored="payloads" in tables)
        breaks += wrong
        erased_rows, wrong = block_breaks(connection, seen, stored="blocks" in tables)
        breaks += wrong
        unnamed, wrong = artefact_breaks(connection, entries.named)
        breaks += wrong
        signed = 0 if pending is None else seen.largest_checkpoint()
        breaks += _check_end(connection, tree, signed, "ledger_head" in tables)
        seen.close()  # to compare takes as much room again
        compared, differing = 0, list[Break]()
        if read_models and not breaks and revision == SCHEMA_REVISION:
            connection.rollback()  # rows stand in a file of their own, looked at before the ledger
            compared, differing = differing_read_models(connection)
            breaks += differing
        breaks += guard_breaks(connection, revision)
    return Verified(
        schema=revision or "",
        entries=tree.size,
        root=tree.root().hex(),
        key=None if key is None else str(key),
        checkpoints=checkpoints,
        covered=fitting,
        read_models=compared,
        erased=erased,
        erased_rows=erased_rows,
        unnamed=unnamed,
        breaks=tuple(sorted(breaks, key=lambda each: each.order)[:BREAKS_MAX]),
        differing=tuple(differing),
    )


def _authentic(connection: Connection, remembered: LeafMemory, seen: Seen) -> LeafMemory:
    """The remembered leaf hashes, when a checkpoint vouches for all of them; otherwise none."""
    tree = TileChecks(connection, stored=False)
    for page in remembered.pages():
        tree.add(page)
    return remembered if seen.is_signed(tree.size, tree.tree().root()) else NO_LEAVES


def _pages(connection: Connection) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    """The entries by position, each full page in a transaction of its own.

    Entries never change, and what may go, data that is erased, is looked at with the last page: so
    a verification that takes hours keeps no database from tidying up behind its writers.
    """
    # The driver's own statement and plain tuples: building objects costs more than hashing.
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    statement = (
        f'SELECT {_COLUMNS} FROM entries WHERE "position" > {mark}'  # noqa: S608 our own names
        f' ORDER BY "position" LIMIT {_PAGE_ENTRIES}'
    )
    after = _BEFORE_ALL
    while True:
        page = connection.exec_driver_sql(statement, (after,)).all()
        after = page[-1].position if page else after
        if page:
            yield page
        if len(page) < _PAGE_ENTRIES:
            return


def _compare(
    checkpoint: SignedRoot, tree: Frontier, fitting: int, entries: EntryChecks, breaks: list[Break]
) -> int:
    """Compare the tree with a checkpoint of its size; the size up to which all is proven."""
    if tree.root() == checkpoint.root:
        return checkpoint.size
    known = entries.broken_before(checkpoint.size) or len(breaks) >= BREAKS_KEPT
    if not known:  # otherwise it is known already which entry
        breaks.append(
            Break(
                fitting,
                f"entries {fitting} to {checkpoint.size - 1} (one of them, or several)",
                f"the root signed for {checkpoint.size} entries, {checkpoint.root.hex()}",
                tree.root().hex(),
            )
        )
    return fitting


def _check_end(connection: Connection, tree: Frontier, missing: int, stored: bool) -> list[Break]:
    """What should come after the last entry, and whether the head is that of these entries.

    `missing`: how many entries were signed, when those are more; otherwise 0.
    """
    found = []
    if missing:
        expected = f"an entry: {missing} were signed"
        found.append(Break(tree.size, "the end of the ledger", expected, "the ledger ends there"))
    if not stored:
        return found
    try:
        head = read_head(connection)
    except LedgerDamaged:
        none = "none, or one that does not fit its size"
        return [*found, Break(tree.size, "the tree's head", "one row", none)]
    if head != tree:
        said = f"{head.size} entries, root {head.root().hex()}"
        expected = f"{tree.size} entries, root {tree.root().hex()}"
        found.append(Break(tree.size, "the tree's head", expected, said))
    return found
