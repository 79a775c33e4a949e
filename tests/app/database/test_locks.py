"""Locks that their holder's death frees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.database.engine import create_database
from app.database.locks import NamedLock, exclusive, is_running
from app.settings import Settings
from domain.errors import LedgerBusy

HOLDS = """
import sys, time
from pathlib import Path
from app.database.engine import create_database
from app.database.locks import NamedLock
from app.settings import Settings
from domain.errors import LedgerBusy
settings = Settings()
engine = create_database(settings.ledger_url, settings)
assert NamedLock(engine, Path(sys.argv[1]), "cars-1").acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_lock_with_a_name_is_held_by_one_at_a_time(settings: Settings, tmp_path: Path) -> None:
    engine = create_database(settings.ledger_url, settings)
    with NamedLock(engine, tmp_path / "locks", "cars-1") as first:
        with NamedLock(engine, tmp_path / "locks", "cars-1") as second:
            assert (first, second) == (True, False)
        with NamedLock(engine, tmp_path / "locks", "cars-2") as other:
            assert other
    assert not is_running(engine, tmp_path / "locks", "cars-1")
    engine.dispose()


def test_a_process_that_is_killed_holds_no_lock(settings: Settings, tmp_path: Path) -> None:
    engine = create_database(settings.ledger_url, settings)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path / "locks")],
        env=settings.as_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_running(engine, tmp_path / "locks", "cars-1")
        holder.kill()
    while is_running(engine, tmp_path / "locks", "cars-1"):
        pass  # PostgreSQL notices the death a moment later
    engine.dispose()


def test_the_lock_of_a_file_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    kept = tmp_path / "signing.key"
    kept.write_text("a key")
    kept.chmod(0o400)
    with exclusive(kept, make=False):
        assert kept.read_text() == "a key"
    with pytest.raises(FileNotFoundError):
        with exclusive(tmp_path / "missing", make=False):
            pass
    with exclusive(tmp_path / "deeper" / "made.lock"):
        assert (tmp_path / "deeper" / "made.lock").read_bytes() == b""


def test_who_waits_for_a_files_lock_with_a_bound_is_told_who_held_it(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    with exclusive(path, seconds=60):
        with pytest.raises(LedgerBusy, match=r"another process held .*signing\.key for 0\.1 s"):
            with exclusive(path, make=False, seconds=0.1):
                pass
    with exclusive(path, make=False, seconds=0):
        pass
