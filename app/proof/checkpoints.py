"""Checkpoints of a running ledger: about one a second while it grows, and one on demand.

One process at a time signs, chosen by a lock that the system frees when its holder dies: a file
lock beside SQLite, an advisory lock on PostgreSQL. Nothing here ever makes an append wait or fail.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, not_, select

from app.background.outage import Outage
from app.background.repeating import Repeating
from app.clock import monotonic_seconds, now
from app.database.engine import in_plain_words, insert_rows
from app.database.locks import NamedLock
from app.database.storage import StorageFailed
from app.ledger.damage import DamageStands, refuse_on_damage
from app.ledger.proven_tree import ProvenTree
from app.ledger.store import Ledger
from app.ledger.tables import CHECKPOINTS, LEDGER_HEAD
from app.ledger.tree import read_head
from app.proof.anchor_thread import AnchorStatus, AnchorThread
from app.proof.anchors import Anchor, anchors_of
from app.proof.signer import FileSigner, check_ed25519
from app.settings import Settings
from domain.errors import LedgerBusy, ProofInvalid, SigningRefused, UnknownThing, WhyledgerError
from domain.tree.notes import Checkpoint, VerifierKey, open_checkpoint
from domain.tree.proofs import verify_consistency

_FEW: Final = 16  # rows fetched at once: the first is believed, as a rule
_NAMED: Final = 16  # rows beyond the tree that are counted
_LOCK: Final = "checkpoint-signer"
_TURN_SECONDS: Final = 2.0  # another process needs some milliseconds to sign
_TRY_SECONDS: Final = 0.02
_LOG: Final = logging.getLogger("whyledger.checkpoints")


def origin_of(ledger_id: str) -> str:
    """How checkpoints and keys call the ledger with this id."""
    return f"whyledger/{ledger_id}"


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that was signed."""

    checkpoint: Checkpoint
    note: str
    signed_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointStatus:
    """How signing and its copies outside are doing."""

    verifier_key: str
    signed_size: int  # entries under the newest checkpoint; 0 before the first
    signed_at: str | None
    refusal: str | None  # why nothing is signed any more; None when all is well
    anchors: tuple[AnchorStatus, ...]


def latest_signed(
    connection: Connection, key: VerifierKey, size: int | None = None
) -> tuple[Signed | None, tuple[int, ...]]:
    """The newest checkpoint in the database (of at least `size` entries: the first such).

    A row is believed when its note is signed by `key` and speaks of its size, and the tree is that
    large. The sizes of those passed over come beside it: somebody else put them there.
    """
    top = LEDGER_HEAD.c.size
    newer = CHECKPOINTS.c.size > select(top).scalar_subquery()
    beyond = connection.execute(select(CHECKPOINTS.c.size).where(newer).limit(_NAMED)).scalars()
    passed = list(beyond)
    query = select(CHECKPOINTS).where(not_(newer))
    if size is None:
        query = query.order_by(CHECKPOINTS.c.size.desc())
    else:
        query = query.where(CHECKPOINTS.c.size >= size).order_by(CHECKPOINTS.c.size)
    with connection.execute(query, execution_options={"yield_per": _FEW}) as rows:
        for row in rows:
            signed = _believed(row, key)
            if signed is not None:
                return signed, tuple(passed)
            passed.append(row.size)
    return None, tuple(passed)


def _believed(row: Row[*tuple[Any, ...]], key: VerifierKey) -> Signed | None:
    try:
        checkpoint = open_checkpoint(row.note, key, check_ed25519)
    except (ProofInvalid, TypeError):  # SQLite takes bytes for text, too
        return None
    return Signed(checkpoint, row.note, row.signed_at) if checkpoint.size == row.size else None


class Checkpoints:
    """Signs the ledger's tree.

    Args:
        ledger: open, and closed by somebody else after this.
        settings: where key and locks are, how often, which anchors.
        anchors: copies outside; None: those of the settings.

    Raises:
        SigningRefused: the key cannot be used; the message says what to do.
    """

    def __init__(
        self, ledger: Ledger, settings: Settings, anchors: Sequence[Anchor] | None = None
    ) -> None:
        self._ledger = ledger
        self._locks = settings.state_dir / "locks"
        self.signer = FileSigner(settings.signing_key_path, origin_of(ledger.ledger_id()))
        chosen = anchors_of(settings) if anchors is None else anchors
        self._anchors = tuple(AnchorThread(anchor) for anchor in chosen)
        self._refusal: str | None = None
        self._for_damage = False  # which has an alarm of its own
        self._outage = Outage(_LOG, "no checkpoint", "checkpoints are signed again")
        self._passed: tuple[int, ...] = ()  # sizes of rows that nobody believes
        self._signing = threading.Lock()
        self._repeating = Repeating(
            "checkpoints",
            lambda: self._note(self._sign_what_is_new),
            settings.checkpoint_seconds,
            once_more=True,
        )

    def start(self) -> None:
        """Sign from now on, in a thread of its own, whenever the ledger has grown.

        A ledger that lacks what was signed (an older back-up was restored, entries were changed) is
        noticed before this returns, and stands in `refusal` until it is mended. The anchors are
        offered what was last signed: they may have missed it before the process ended.
        """
        self._note(self._begin)
        self._repeating.start()

    @property
    def refusal(self) -> str | None:
        """Why nothing is signed any more; None when all is well."""
        return self._refusal

    @property
    def alarm(self) -> str | None:
        """What is wrong with signing itself: a refusal or a strange row, and not damage alone."""
        return (None if self._for_damage else self._refusal) or self.strange

    @property
    def strange(self) -> str | None:
        """Which checkpoints in the database this key did not sign; None when all is well."""
        if not self._passed:
            return None
        more = f" and {len(self._passed) - 1} others" if len(self._passed) > 1 else ""
        return (
            f"the database holds a checkpoint of {self._passed[0]} entries{more} that the key "
            f"{self.signer.key} did not sign for this ledger. It counts for nothing. Was the key "
            "replaced? Else somebody put it there: `whyledger repair --plan` shows it."
        )

    @property
    def anchors(self) -> tuple[AnchorStatus, ...]:
        """How far each copy outside is."""
        return tuple(each.status() for each in self._anchors)

    def close(self) -> None:
        """Sign what came last, and end."""
        self._repeating.close()
        for anchor in self._anchors:
            anchor.close()

    def sign(self) -> Signed:
        """A checkpoint over all that is committed by now, whichever process signs it.

        Raises:
            SigningRefused: the ledger does not extend what was signed before.
            LedgerDamaged: damage stands that nobody has settled, or the stored tiles lie.
            UnknownThing: another process holds the lock, and has signed nothing for two seconds.
            LedgerBusy: others of this process waited to sign all the time.
        """
        wanted = self._ledger.size()
        deadline = monotonic_seconds() + _TURN_SECONDS
        while True:
            # Whoever is before us may wait for the key as long; nobody waits for all of them.
            first = self._signing.acquire(timeout=max(0.0, deadline - monotonic_seconds()))
            try:
                if first:
                    with self._turn() as ours:
                        if ours:
                            return self._signed_and_offered()
            finally:
                if first:
                    self._signing.release()
            with self._ledger.connect() as connection:
                found = self.newest(connection, wanted)
            if found is not None:
                return found
            if not first:
                raise LedgerBusy(
                    f"others wait to sign this ledger, and no checkpoint covered {wanted} entries "
                    f"within {_TURN_SECONDS:g} s. Ask again; if it lasts, see what holds "
                    f"{self.signer.path}."
                )
            if monotonic_seconds() > deadline:
                raise UnknownThing(
                    f"another process signs this ledger and has not covered {wanted} entries in "
                    f"{_TURN_SECONDS:g} s. Ask again; if it lasts, look at that process."
                )
            time.sleep(_TRY_SECONDS)

    def latest(self, size: int | None = None) -> Signed:
        """The newest checkpoint, or the first that covers `size` entries.

        Raises:
            UnknownThing: there is none.
        """
        with self._ledger.connect() as connection:
            found = self.newest(connection, size)
        if found is None:
            raise UnknownThing.checkpoint(size or 1)
        return found

    def covering(self, position: int) -> Signed:
        """The first checkpoint over the entry at `position`; signed now when there is none yet."""
        with self._ledger.connect() as connection:
            found = self.newest(connection, position + 1)
        return found or self.sign()

    def newest(self, connection: Connection, size: int | None = None) -> Signed | None:
        """The newest checkpoint that this key signed, or the first over `size` entries."""
        found, passed = latest_signed(connection, self.signer.key, size)
        if size is None:
            self._passed = passed
        return found

    def status(self) -> CheckpointStatus:
        """How signing and its copies outside are doing."""
        with self._ledger.connect() as connection:
            newest = self.newest(connection)
        return CheckpointStatus(
            verifier_key=str(self.signer.key),
            signed_size=newest.checkpoint.size if newest else 0,
            signed_at=newest.signed_at if newest else None,
            refusal=self._refusal,
            anchors=self.anchors,
        )

    def _signed_and_offered(self) -> Signed:
        signed = self._sign()
        for anchor in self._anchors:
            anchor.offer(signed.checkpoint, signed.note)
        return signed

    def _sign(self) -> Signed:
        refuse_on_damage(self._ledger)
        with self._ledger.connect() as connection:
            tree = ProvenTree(connection)
            checkpoint = Checkpoint(self.signer.key.name, tree.size, tree.root(tree.size))
            newest = self.newest(connection)
            if newest is None and self.strange and self.signer.last() is None:
                raise SigningRefused(
                    f"{self.strange} Nothing is signed. Put back the key, or remove them with "
                    "`whyledger repair`, which names each."
                )
            if newest is not None:
                self._check_extends(newest, checkpoint, tree)
            note = self.signer.sign(
                checkpoint,
                tree.extends,
                self._leaves,
            )
        if newest is not None and newest.checkpoint.size == checkpoint.size:
            return Signed(checkpoint, newest.note, newest.signed_at)
        signed = Signed(checkpoint, note, now())
        row = (checkpoint.size, checkpoint.root, note, signed.signed_at)
        with self._ledger.writing() as connection:
            taken = select(CHECKPOINTS.c.size).where(CHECKPOINTS.c.size == checkpoint.size)
            if connection.execute(taken).one_or_none() is None:
                insert_rows(connection, CHECKPOINTS, [row])
            # Else somebody took its place. What is signed is in the memory and at the anchors.
        return signed

    def _check_extends(self, newest: Signed, checkpoint: Checkpoint, tree: ProvenTree) -> None:
        """Refuse too what does not extend the database's own checkpoint: a memory can be lost."""
        try:
            stored = open_checkpoint(newest.note, self.signer.key, check_ed25519)
            if stored.size < checkpoint.size:
                proof = tree.extends(stored.size)
                verify_consistency(
                    stored.size, checkpoint.size, stored.root, checkpoint.root, proof
                )
            elif stored != checkpoint:
                raise SigningRefused(
                    f"it has {checkpoint.size} entries; {stored.size} were signed."
                )
        except (ProofInvalid, SigningRefused) as error:
            raise SigningRefused(
                f"the ledger does not extend its own checkpoint of {newest.checkpoint.size} "
                f"entries: {error.message} Nothing is signed. Run `whyledger verify`."
            ) from error

    def _begin(self) -> None:
        self._compared_with_memory()
        last, note = self.signer.last(), self.signer.last_note()
        if last is not None and note is not None:
            for anchor in self._anchors:
                anchor.offer(last, note)

    def _sign_what_is_new(self) -> None:
        if self._refusal is not None:  # another process may have signed less than was lost here
            self._compared_with_memory()
        if self._has_grown():
            self.sign()

    def _compared_with_memory(self) -> None:
        """Refuse a ledger that does not extend what was last signed; it may be smaller."""
        last = self.signer.last()  # first: while the ledger is read, another process may sign more
        with self._ledger.connect() as connection:
            tree = ProvenTree(connection)
            checkpoint = Checkpoint(self.signer.key.name, tree.size, tree.root(tree.size))
            self.signer.check_extends(last, checkpoint, tree.extends, self._leaves)

    def _leaves(self, first: int, end: int) -> Sequence[bytes]:
        return self._ledger.leaf_hashes(first, end - 1)

    def _note(self, work: Callable[[], None]) -> None:
        """Do it; whatever stands in its way stands in the status and, once, in the log."""
        try:
            work()
            self._refusal, self._for_damage = None, False
            self._outage.over()
        except Exception as error:  # noqa: BLE001 a full disk, a lost database: seen in the status
            found = StorageFailed.found(error) or error
            said = found.message if isinstance(found, WhyledgerError) else in_plain_words(found)
            self._refusal, self._for_damage = said, isinstance(found, DamageStands)
            self._outage.failed(found, said)

    def _has_grown(self) -> bool:
        with self._ledger.connect() as connection:
            newest = self.newest(connection)
            return newest is None or read_head(connection).size != newest.checkpoint.size

    def _turn(self) -> NamedLock:
        """Held by the process that may sign."""
        return NamedLock(self._ledger.engine, self._locks, _LOCK)
