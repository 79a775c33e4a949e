"""Re-derive what follows from the entries: the tree's head and tiles; drop unsigned checkpoints;
make the database's own guards again.

No entry of the tree is touched. What stands before the first is in no tree and goes, and so do
artefacts that are not what entries name. A row that somebody planted can keep every append from its
place; the guards that keep everybody from changing it are lifted for one transaction.

An entry that is not what its hash says stays in the tree by the hash that stands beside it, and is
said. What artefact it names nobody knows, so then none goes because no entry names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.exc import DBAPIError

from app.ledger.met_damage import Met, note
from app.ledger.store import Ledger
from app.ledger.stored_bytes import as_bytes, whole
from app.ledger.tables import BLOCKS, CHECKPOINTS, ENTRIES, LEDGER_HEAD, PAYLOADS, TILES
from app.ledger.tree import TILE_HASHES
from app.proof.artefact_repair import ArtefactStep, artefact_steps, mend_artefact, named_in
from app.proof.guard_repair import guard_steps, mend_guards
from app.proof.signer import check_ed25519
from domain.errors import LedgerDamaged, ProofInvalid, RequestInvalid
from domain.faults import shown
from domain.stored_damage import StoredDamage
from domain.tree.merkle import Frontier, perfect_root, root_of
from domain.tree.notes import Checkpoint, VerifierKey, open_checkpoint

_GUARDED: Final = ("ledger_head", "tiles", "checkpoints", "artefacts")
_ENTRIES: Final = ("entries", "payloads", "blocks")  # whose guards are lifted only where it must be
_FEW: Final = 1000  # rows fetched at once
_NOT_ALLOWED: Final = "42501"  # insufficient_privilege
_SQLITE_GUARDS: Final = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({tables})"
)
_POSTGRESQL_GUARDS: Final = (
    "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = '{table}'::regclass"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What has to be put right, in words; nothing when all of it follows from the entries."""

    entries: int
    root: str  # hex, of the tree over the entries
    steps: tuple[str, ...]
    damaged: tuple[Met, ...] = ()  # entries that are not what their hash says: no repair mends them


def plan_repair(ledger: Ledger, key: VerifierKey | None, last: Checkpoint | None) -> Repair:
    """What `repair` would do; nothing is changed.

    Args:
        ledger: open.
        key: who signs; None: no checkpoint is judged.
        last: what was last signed, from outside the database; None: nothing, as far as is known.

    Raises:
        LedgerDamaged: entries are missing, or their hashes are not those that were signed: that is
            not for this to mend.
    """
    with ledger.snapshot() as connection:
        return _with_guards(_Derived(connection, key, last).plan(), connection)


def repair(ledger: Ledger, key: VerifierKey | None, last: Checkpoint | None) -> Repair:
    """Put right what `plan_repair` says; what was done, in the same words.

    Raises:
        LedgerDamaged: as `plan_repair`.
        RequestInvalid: this login does not own the tables (PostgreSQL).
        LedgerBusy: the ledger's lock did not come free in time.
    """
    with ledger.writing() as connection:
        derived = _Derived(connection, key, last)
        planned = derived.plan()
        done = _with_guards(planned, connection)
        with _owners_alone():
            if planned.steps:
                with _without_guards(connection, derived.guarded()):
                    derived.apply()
            if done.steps != planned.steps:
                mend_guards(connection)
    return done


def _with_guards(planned: Repair, connection: Connection) -> Repair:
    return replace(planned, steps=planned.steps + guard_steps(connection))


class _Derived:
    """Head and tiles as they follow from the entries, beside those that are stored."""

    def __init__(
        self, connection: Connection, key: VerifierKey | None, last: Checkpoint | None
    ) -> None:
        self._connection = connection
        self._key = key
        self._named: defaultdict[str, set[str]] = defaultdict(set)  # artefact -> fields
        self._damaged: list[Met] = []
        leaves = list(_leaves(connection, self._named, self._damaged))
        if last is not None and (
            len(leaves) < last.size or root_of(leaves[: last.size]) != last.root
        ):
            raise LedgerDamaged(
                f"the entries are not those that were signed: {last.size} were, with the root "
                f"{last.root.hex()}. Nothing is repaired over them; run `whyledger verify`. Was "
                "an older back-up restored and is there no newer one, docs/operations.md (Restore) "
                "says how to go on; else restore a back-up."
            )
        self._tree = Frontier().append(leaves)
        self._tiles = dict(_tiles(leaves))

    def plan(self) -> Repair:
        steps = [*self._head_steps(), *self._tile_steps(), *self._checkpoint_steps()]
        steps += [
            f"entry {row.position} stands before the first one, where no tree has any, in the way "
            f"of version {shown(row.stream_version)} of the stream {shown(row.stream)}; it is "
            "removed"
            for row in self._before_the_first()
        ]
        steps += [step.said for step in self._artefact_steps()]
        return Repair(
            entries=self._tree.size,
            root=self._tree.root().hex(),
            steps=tuple(steps),
            damaged=tuple(self._damaged),
        )

    def apply(self) -> None:
        run = self._connection.execute
        run(delete(LEDGER_HEAD))
        frontier = b"".join(self._tree.roots)
        run(insert(LEDGER_HEAD).values(id=1, size=self._tree.size, frontier=frontier))
        for level, number in self._wrong_tiles():
            run(delete(TILES).where(TILES.c.level == level, TILES.c.number == number))
            right = self._tiles.get((level, number))
            if right is not None:
                run(
                    insert(TILES).values(
                        level=level, number=number, root=perfect_root(right), bytes=right
                    )
                )
        for size in self._unsigned():
            run(delete(CHECKPOINTS).where(CHECKPOINTS.c.size == size))
        for step in list(self._artefact_steps()):
            mend_artefact(self._connection, step)
        if self._before_the_first():
            run(delete(PAYLOADS).where(PAYLOADS.c.position < 0))
            run(delete(BLOCKS).where(BLOCKS.c.position < 0))
            run(delete(ENTRIES).where(ENTRIES.c.position < 0))

    def guarded(self) -> tuple[str, ...]:
        """The tables that `apply` changes: entries only where one stands before the first."""
        return (*_GUARDED, *_ENTRIES) if self._before_the_first() else _GUARDED

    def _before_the_first(self) -> Sequence[Row[*tuple[Any, ...]]]:
        columns = (ENTRIES.c.position, ENTRIES.c.stream_version, ENTRIES.c.stream)
        query = select(*columns).where(ENTRIES.c.position < 0).order_by(ENTRIES.c.position)
        return self._connection.execute(query).all()

    def _artefact_steps(self) -> Iterator[ArtefactStep]:
        for step in artefact_steps(self._connection, self._named):
            if step.sha256 in self._named or not self._damaged:
                yield step

    def _head_steps(self) -> Iterator[str]:
        rows = self._connection.execute(select(LEDGER_HEAD)).all()
        right = (1, self._tree.size, b"".join(self._tree.roots))
        if [tuple(row) for row in rows] != [right]:
            found = f"{rows[0].size} entries" if len(rows) == 1 else f"{len(rows)} rows"
            yield (
                f"the tree's head says {found}; it is derived from the entries again: "
                f"{self._tree.size} entries, root {self._tree.root().hex()}"
            )

    def _tile_steps(self) -> Iterator[str]:
        for at in self._wrong_tiles():
            how = "written again" if at in self._tiles else "removed: the tree has no such tile"
            yield f"tile {at[0]}/{at[1]} is not what the entries give; it is {how}"

    def _checkpoint_steps(self) -> Iterator[str]:
        for size in self._unsigned():
            yield (
                f"the checkpoint of {size} entries is not signed by {self._key} for that many; it "
                "is removed"
            )

    def _wrong_tiles(self) -> list[tuple[int, int]]:
        stored: dict[tuple[int, int], bool] = {}
        query = select(TILES.c.level, TILES.c.number, TILES.c.root, TILES.c.bytes)
        for row in self._connection.execute(query, execution_options={"yield_per": _FEW}):
            right = self._tiles.get((row.level, row.number))
            stored[row.level, row.number] = right is not None and (row.root, row.bytes) == (
                perfect_root(right),
                right,
            )
        return sorted((at for at in {*stored, *self._tiles} if not stored.get(at)), key=_any_order)

    def _unsigned(self) -> list[int]:
        if self._key is None:
            return []
        rows = self._connection.execute(select(CHECKPOINTS.c.size, CHECKPOINTS.c.note))
        unsigned = (row.size for row in rows if not self._is_signed(row.size, row.note, self._key))
        return sorted(unsigned, key=lambda size: _any_order((size,)))

    def _is_signed(self, size: int, note: str, key: VerifierKey) -> bool:
        try:
            signed = open_checkpoint(note, key, check_ed25519)
        except (ProofInvalid, TypeError):
            return False
        # One of ours beyond the entries stays: it shows that entries are missing.
        return signed.size == size


def _any_order(values: Iterable[object]) -> list[tuple[str, object]]:
    """An order for numbers among which SQLite has taken text, or bytes."""
    return [(type(value).__name__, value) for value in values]


def _leaves(
    connection: Connection, named: defaultdict[str, set[str]], damaged: list[Met]
) -> Iterator[bytes]:
    """The leaf hash of each entry, in order; what they name, and which are not what theirs says."""
    query = select(ENTRIES.c.position, ENTRIES.c.bytes, ENTRIES.c.leaf_hash)
    query = query.where(ENTRIES.c.position >= 0)
    options = {"yield_per": _FEW}
    with connection.execute(query.order_by(ENTRIES.c.position), execution_options=options) as rows:
        for expected, row in enumerate(rows):
            if row.position != expected:
                raise StoredDamage(
                    f"the ledger has entry {row.position} where {expected} should stand: that is "
                    "not for a repair. Restore a back-up and compare.",
                    expected,
                )
            leaf = as_bytes(row.leaf_hash, "its stored hash", row.position)
            try:
                content = whole(row.position, row.bytes, leaf)
            except StoredDamage as damage:
                met = Met(damage.position, damage.message)
                note(connection, met)
                damaged.append(met)
            else:
                for digest, field in named_in(content):
                    named[digest].add(field)
            yield leaf


def _tiles(hashes: list[bytes]) -> Iterator[tuple[tuple[int, int], bytes]]:
    level = 0
    while len(hashes) >= TILE_HASHES:
        full = range(len(hashes) // TILE_HASHES)
        tiles = [b"".join(hashes[n * TILE_HASHES : (n + 1) * TILE_HASHES]) for n in full]
        yield from (((level, number), tile) for number, tile in enumerate(tiles))
        hashes = [perfect_root(tile) for tile in tiles]
        level += 1


@contextmanager
def _without_guards(connection: Connection, tables: Sequence[str]) -> Iterator[None]:
    """Lift the guards of these tables; they stand again, or nothing of it has happened."""
    run = connection.exec_driver_sql
    quote = connection.dialect.identifier_preparer.quote_identifier  # whatever somebody named them
    if connection.dialect.name == "sqlite":
        listed = ", ".join(f"'{table}'" for table in tables)
        guards = run(_SQLITE_GUARDS.format(tables=listed)).all()
        for name, _ in guards:
            run(f"DROP TRIGGER {quote(name)}")
        yield
        for _, statement in guards:
            run(statement)
        return
    for table in tables:
        run(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield
    for table in tables:
        for (name,) in run(_POSTGRESQL_GUARDS.format(table=table)).all():
            run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {quote(name)}")


@contextmanager
def _owners_alone() -> Iterator[None]:
    """Say what a login that does not own the tables (PostgreSQL) may not do. Raises RequestInvalid.

    Nothing of it has happened then.
    """
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
            raise
        raise RequestInvalid(
            "this login does not own the ledger's tables; nothing was repaired. Run the command "
            "with WHYLEDGER_DATABASE_URL of a login that is a member of whyledger_owner."
        ) from error
