"""A rebuild that is cut off is gone on with, where what it folded is of this ledger."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError

from app.audit.replay import replay
from app.ledger.store import Ledger
from app.projections.folding import digests
from app.projections.kept_scratch import forget_scratches, kept_scratches
from app.projections.opening import open_ledger
from app.projections.rebuild import Rebuilt, rebuild
from app.projections.refusals import REFUSALS
from app.projections.rows_apart import FoldedRows
from app.projections.runner import READ_MODELS
from app.settings import Settings
from tests import ledger_events as events
from tests.app.many_rows import observations, predictions, put_many
from tests.forked import Forked

ENTRIES, PAGE = 60, 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def full(ledger: Ledger) -> Ledger:
    events.put(ledger, "model-cars", events.contract_adopted())
    put_many(ledger, predictions(1, 2, 3))
    put_many(ledger, observations(1, 2))
    events.put(ledger, "observations-cars", *[events.refused()] * (ENTRIES - ledger.size()))
    return ledger


def cut_off(ledger: Ledger, folder: Path | None, at: int) -> None:
    """A rebuild that ends once so many entries are folded."""

    def give_up(done: int, of: int) -> None:
        if done >= at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(ledger, give_up, page_entries=PAGE, kept=folder)


def gone_on(ledger: Ledger, folder: Path | None) -> tuple[Rebuilt, int]:
    """A rebuild to the end, and how many entries were folded when it first said so."""
    said: list[int] = []
    found = rebuild(ledger, lambda done, of: said.append(done), page_entries=PAGE, kept=folder)
    return found, said[0]


def kept_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*")) if folder.exists() else []


def test_a_rebuild_goes_on_where_the_last_one_was_cut_off(full: Ledger, folder: Path) -> None:
    whole = rebuild(full)
    cut_off(full, folder, 30)
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept_in(folder)} == {0o600}
    events.put(full, "observations-cars", events.refused())
    found, first = gone_on(full, folder)
    assert first == 40
    assert (found.position, found.differing) == (ENTRIES, ())
    assert found.after.keys() == whole.after.keys()
    with full.connect(with_rows=True) as connection:
        assert digests(connection, READ_MODELS) == found.after
    assert kept_in(folder) == []
    assert gone_on(full, folder)[1] == PAGE, "the next one begins with the first entry"


def test_what_was_wrong_before_it_was_cut_off_is_found_and_put_right_behind_it(
    full: Ledger, folder: Path
) -> None:
    with full.writing() as connection:
        connection.execute(delete(REFUSALS))
    cut_off(full, folder, 50)
    found, first = gone_on(full, folder)
    assert (first, found.differing) == (ENTRIES, (REFUSALS.name,))
    assert rebuild(full).differing == ()


def replay_and_die() -> None:
    """As `whyledger replay`, killed half-way."""
    settings = Settings()

    def look(done: int, of: int) -> None:
        if 2 * done >= of:
            os.kill(os.getpid(), signal.SIGKILL)

    rebuild(open_ledger(settings), look, page_entries=PAGE, kept=kept_scratches(settings))


def test_a_replay_that_was_killed_is_gone_on_with(full: Ledger, settings: Settings) -> None:
    environment = os.environ | settings.as_environment()
    assert Forked(replay_and_die, (), environment).wait() == -signal.SIGKILL
    said: list[int] = []
    found = replay(full, settings, lambda done, of: said.append(done))
    assert (said, found.whole) == ([ENTRIES], True)
    assert kept_in(kept_scratches(settings)) == []


@pytest.fixture
def other(sqlite_settings: Settings, tmp_path: Path) -> Iterator[Ledger]:
    """Another ledger, with as many entries."""
    where = {"state_dir": tmp_path / "other", "database_url": f"sqlite:///{tmp_path}/other.db"}
    settings = sqlite_settings.model_copy(update=where)
    with closing(open_ledger(settings)) as ledger:
        events.put(ledger, "observations-cars", *[events.refused(2)] * (ENTRIES - 1))
        yield ledger


def test_what_was_folded_of_another_ledger_is_begun_anew(
    full: Ledger, other: Ledger, folder: Path
) -> None:
    cut_off(full, folder, 30)
    found, first = gone_on(other, folder)
    assert (first, found.differing) == (PAGE, ())


def test_what_is_torn_or_old_is_begun_anew(full: Ledger, folder: Path) -> None:
    cut_off(full, folder, 30)
    (file, *_) = kept_in(folder)
    file.write_bytes(b"no database" * 1000)
    found, first = gone_on(full, folder)
    assert (first, found.differing) == (PAGE, ())
    cut_off(full, folder, 30)
    (folder / "0123456789abcdef.db").touch()  # of the read models of another version
    yesterday = time.time() - 25 * 3600
    for each in kept_in(folder):
        os.utime(each, (yesterday, yesterday))
    found, first = gone_on(full, folder)
    assert (first, found.differing) == (PAGE, ())
    assert kept_in(folder) == []


def test_where_another_rebuilds_or_nothing_can_be_kept_a_rebuild_goes_on_without(
    full: Ledger, folder: Path
) -> None:
    cut_off(full, folder, 30)
    (file, *_) = kept_in(folder)
    with closing(sqlite3.connect(file, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        assert gone_on(full, folder)[1] == PAGE
        another.execute("ROLLBACK")
    assert gone_on(full, folder)[1] == 40, "it is as it was left"
    in_the_way = folder / "a file"
    in_the_way.touch()
    assert gone_on(full, in_the_way)[1] == PAGE


def test_what_was_left_can_be_removed_and_nothing_is_left_to_do(
    full: Ledger, settings: Settings
) -> None:
    assert forget_scratches(settings) is None
    cut_off(full, kept_scratches(settings), 30)
    assert forget_scratches(settings) is None
    assert not kept_scratches(settings).exists()


def test_what_is_damaged_further_in_is_gone_when_the_rebuild_fails_over_it(
    full: Ledger, folder: Path
) -> None:
    cut_off(full, folder, 50)
    (file, *_) = kept_in(folder)
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        opened.execute(f"DROP TABLE {REFUSALS.name}")
        opened.commit()
    with pytest.raises(DBAPIError):
        gone_on(full, folder)
    assert kept_in(folder) == []
    assert gone_on(full, folder)[1] == PAGE


def test_what_was_folded_beyond_what_stands_is_begun_anew(full: Ledger, folder: Path) -> None:
    cut_off(full, folder, 50)
    ledger_rows = full.rows
    assert isinstance(ledger_rows, FoldedRows)
    ledger_rows.begin_anew()
    ledger_rows.always = False  # somebody else folds, and has come to the tenth entry
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.projections.rebuild._reached", lambda *_: 9)
        assert gone_on(full, folder)[1] == PAGE


def test_a_file_that_ends_while_it_is_removed_leaves_nothing(
    full: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a rebuild that removes its own log between two looks of who removes all."""
    folder = kept_scratches(settings)
    cut_off(full, folder, 30)
    removing = shutil.rmtree
    times = count()

    def forestalled(path: Path) -> None:
        if next(times) == 0:
            raise FileNotFoundError(2, "No such file or directory")
        removing(path)

    monkeypatch.setattr("app.projections.kept_scratch.shutil.rmtree", forestalled)
    assert forget_scratches(settings) is None
    assert not folder.exists()


def test_what_cannot_be_removed_is_left_to_do(
    full: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    cut_off(full, kept_scratches(settings), 30)
    monkeypatch.setattr("app.projections.kept_scratch.shutil.rmtree", refused)
    assert "could not be removed (Permission denied)" in (forget_scratches(settings) or "")


def test_a_replay_says_that_it_went_on_and_need_not(full: Ledger, settings: Settings) -> None:
    cut_off(full, kept_scratches(settings), 30)
    assert replay(full, settings).sentence.endswith(
        "; gone on behind entry 29, where the last one was cut off"
    )
    cut_off(full, kept_scratches(settings), 30)
    assert replay(full, settings, anew=True).gone_on_behind is None


def test_a_replay_from_the_first_entry_on_is_that_also_where_nothing_can_be_removed(
    full: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    cut_off(full, kept_scratches(settings), 30)
    monkeypatch.setattr("app.projections.kept_scratch.shutil.rmtree", refused)
    assert replay(full, settings, anew=True).gone_on_behind is None
