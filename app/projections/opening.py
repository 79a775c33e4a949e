"""Opening a ledger: its schema, what is missing in its read models, and its first entry."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine

from app.cause import Cause
from app.clock import new_id, now
from app.database.engine import create_database
from app.database.migrating import migrate
from app.database.read_only import judged_revision, look_at_database, takes_writes
from app.database.rows_file import ledger_file, rows_file, show_rows
from app.ledger.catching_up import Progress
from app.ledger.damage import record_damage
from app.ledger.new_events import NewEvent, StreamAppend
from app.ledger.store import Ledger
from app.projections.keeping import Keeping
from app.projections.rebuild import rebuild
from app.projections.rows import VERSION
from app.projections.rows_apart import FoldedRows
from app.projections.runner import apply
from app.settings import Settings
from domain.errors import LedgerBusy, LedgerDamaged, VersionConflict, WhyledgerError
from domain.events.envelope import Recorded
from domain.events.events import LedgerCreated
from domain.events.quick import ENVELOPE_VERSION
from domain.times import format_time, parse_time

_KEPT: Final = timedelta(days=7)  # read models of another version, since nobody folds into them
_LOG: Final = logging.getLogger("whyledger.ledger")


def open_ledger(
    settings: Settings,
    *,
    begin: bool = True,
    progress: Progress = lambda done, of: None,
    keeping: Keeping = apply,
    answers_within: float | None = None,
) -> Ledger:
    """The ledger of these settings: migrated, folded, and with its first entry. Safe to race.

    Read models of other versions are dropped when an entry of a week ago is not folded into them.

    Args:
        settings: where it is.
        begin: whether an empty one gets its first entry; no, when it is only looked at.
        progress: told how many entries of how many are folded, when that takes more than a page.
        answers_within: see `create_database`; for a process that serves.
        keeping: the read models, those of this version of the service unless told otherwise.

    Raises:
        LedgerBusy: the database is in use or out of reach.
        CannotJudge: its schema is newer than this code.
        LedgerDamaged: an entry cannot be read; or read models are to be folded from the first one
            on, and would lack what nobody gave up (`open_unfolded`, to do that).
    """
    engine = create_database(settings.ledger_url, settings, answers_within=answers_within)
    ledger = Ledger(engine, keeping, busy_timeout_seconds=settings.busy_timeout_seconds)
    rows = give_rows(ledger, settings)
    ledger.put_right = partial(rebuild, ledger, read_models=keeping.read_models)
    try:
        migrate(engine, settings.busy_timeout_seconds)
        with ledger.snapshot() as connection:
            behind = keeping.is_behind(connection)
        if behind:
            ledger.catch_up(progress)
        if begin and ledger.size() == 0:
            _create(ledger)
        with suppress(LedgerBusy, LedgerDamaged):  # whoever needs them hears of it
            # Who serves begins with what is folded.
            rows.catch_up(None if answers_within is None else 0, progress)
        _drop_abandoned(ledger, keeping, rows)
    except BaseException:
        rows.close()
        _let_others_know(ledger)
        ledger.close()
        raise
    return ledger


def open_unfolded(settings: Settings) -> Ledger:
    """The ledger of these settings for who needs no read model: damage may keep them from folding.

    What is appended to it others fold.

    Raises:
        LedgerBusy: the database is in use or out of reach.
        CannotJudge: its schema is newer than this code.
    """
    engine = create_database(settings.ledger_url, settings)
    ledger = _unfolded(engine, settings.busy_timeout_seconds)
    try:
        migrate(engine, settings.busy_timeout_seconds)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _unfolded(engine: Engine, busy_timeout_seconds: float) -> Ledger:
    return Ledger(engine, _NoReadModels(), busy_timeout_seconds=busy_timeout_seconds)


def _let_others_know(ledger: Ledger) -> None:
    """Record the damage that kept this from opening: others, who opened earlier, go on deciding."""
    if not ledger.met.all():
        return
    unfolded = _unfolded(ledger.engine, ledger.busy_timeout_seconds)
    for met in ledger.met.all():
        unfolded.met.add(met)
    with suppress(WhyledgerError):  # then whoever meets it next says so
        record_damage(unfolded, Cause("service:opening", new_id()))
    unfolded.close()


class _NoReadModels:
    """Keeps none, for a ledger that cannot be folded: whoever can folds what this leaves out."""

    def __call__(self, connection: Connection, entries: Sequence[Recorded]) -> None:
        pass

    def is_behind(self, connection: Connection) -> bool:
        return False

    def begins(self, connection: Connection) -> bool:
        return False

    def catch_up(self, connection: Connection, *, begin: bool = False) -> tuple[int, int]:
        return 0, 0

    def fold_beside(self, connection: Connection) -> None:
        pass

    def begin_anew(self, connection: Connection) -> None:
        pass

    def drop_others(self, connection: Connection, unfolded_before: str | None = None) -> list[str]:
        return []


def look_at_ledger(settings: Settings) -> Ledger | None:
    """The ledger of these settings, only to be looked at; None where there is none.

    Nothing is made, migrated or folded: its schema may be an older one, its read models behind.

    Raises:
        CannotJudge: its schema is newer than this code.
        LedgerBusy: the database is in use or out of reach.
        LedgerDamaged: the file is no database, or does not say which schema it holds.
    """
    engine = look_at_database(settings.ledger_url, settings)
    ledger = Ledger(engine, apply, busy_timeout_seconds=settings.busy_timeout_seconds)
    give_rows(ledger, settings, looks_only=True)
    try:
        with ledger.snapshot() as connection:
            there = judged_revision(connection) is not None
    except BaseException:
        ledger.close()
        raise
    if there:
        return ledger
    ledger.close()
    return None


def give_rows(ledger: Ledger, settings: Settings, *, looks_only: bool = False) -> FoldedRows:
    """Give the ledger its read models of rows; nothing is opened yet."""
    if ledger.engine.dialect.name == "sqlite":
        show_rows(ledger.engine, rows_file(ledger_file(settings.ledger_url), VERSION))
    ledger.rows = rows = FoldedRows(ledger, settings, looks_only=looks_only)
    return rows


def _create(ledger: Ledger) -> None:
    created = LedgerCreated(ledger_id=new_id(), format=ENVELOPE_VERSION)
    event = NewEvent(created, id=new_id(), occurred_at=now())
    try:
        ledger.append([StreamAppend("ledger", (event,), -1)], Cause.unauthenticated(new_id()))
    except VersionConflict:
        pass  # another process opened it first


def _drop_abandoned(ledger: Ledger, keeping: Keeping, rows: FoldedRows) -> None:
    since = parse_time(now()) - _KEPT
    limit = format_time(since)
    files = rows.drop_others(unused_since=since.timestamp())
    if files:
        _LOG.info("removed %s: no process folds into them any more", ", ".join(files))
    with ledger.snapshot() as connection:
        if not keeping.others(connection, unfolded_before=limit):
            return  # who opens a ledger does not wait for those that append
        if not takes_writes(connection):
            return  # whoever opens the server that this one follows drops them
    with ledger.writing() as connection:
        dropped = keeping.drop_others(connection, unfolded_before=limit)
    if dropped:
        _LOG.info("dropped %s: no process folds into them any more", ", ".join(dropped))
