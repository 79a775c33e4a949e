"""Rows are folded apart from the appends: nobody who appends waits, and who must see them does."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select

from app.clock import new_id
from app.database.rows_file import rows_file, rows_files
from app.ledger.payloads import delete_erased
from app.ledger.store import Ledger
from app.projections import rows_apart
from app.projections.folding import digests
from app.projections.labels import LABELS
from app.projections.opening import open_ledger
from app.projections.predictions import PREDICTIONS, find_predictions, latest_predictions
from app.projections.rebuild import rebuild
from app.projections.rows import ROWS, VERSION
from app.projections.rows_apart import FoldedRows
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.errors import LedgerBusy
from tests import ledger_events as events
from tests.app.behind_the_service import writing_to
from tests.app.many_rows import predictions, put_many
from tests.app.planting import erasure

CARS = 30


def tell(ledger: Ledger, cars: int = CARS) -> None:
    """Predictions and labels."""
    events.put(ledger, "model-cars", events.contract_adopted())
    put_many(ledger, predictions(*range(1, cars + 1)))
    for car in range(1, cars + 1):
        events.put(ledger, "observations-cars", events.observation(f"car={car}"))


def identities(ledger: Ledger, *, with_rows: bool = False) -> list[str]:
    with ledger.connect(with_rows=with_rows) as connection:
        return list(connection.execute(select(LABELS.c.identity)).scalars())


def rows_of(ledger: Ledger) -> FoldedRows:
    assert isinstance(ledger.rows, FoldedRows)
    return ledger.rows


def test_who_appends_does_not_wait_for_who_folds_nor_the_other_way_round(
    ledger: Ledger, settings: Settings
) -> None:
    tell(ledger)
    impatient = settings.model_copy(update={"busy_timeout_seconds": 0.2})
    with closing(open_ledger(impatient)) as other:
        with ledger.rows.writing():
            events.put(other, "observations-cars", events.observation("car=99"))
        with ledger.writing():
            other.rows.catch_up()
        other.rows.always = False
        assert len(identities(other)) == CARS + 1


def test_who_must_see_what_was_just_written_waits_and_others_see_how_far_it_is_folded(
    ledger: Ledger,
) -> None:
    tell(ledger, cars=2)
    assert len(identities(ledger)) == 2
    ledger.rows.always = False  # somebody else folds
    (made,) = events.put(ledger, "predictions-cars", events.prediction("car=3"))
    events.put(ledger, "observations-cars", events.observation("car=3"))
    with ledger.connect() as connection:
        assert ledger.rows.folded(connection) == ledger.size() - 3
        assert latest_predictions(connection, "cars", ["car=3"]) == {}
        by_id = find_predictions(connection, "cars", [made.id])[made.id]  # the ledger itself says
    assert ledger.sizes() == (ledger.size(), ledger.size() - 2)
    assert len(identities(ledger)) == 2
    assert len(identities(ledger, with_rows=True)) == 3
    with ledger.writing(with_rows=True) as connection:
        assert latest_predictions(connection, "cars", ["car=3"]) == {"car=3": by_id}


def test_who_waits_too_long_is_refused(ledger: Ledger, settings: Settings) -> None:
    impatient = settings.model_copy(update={"busy_timeout_seconds": 0.2})
    with closing(open_ledger(impatient)) as other:
        tell(ledger, cars=2)
        with ledger.rows.writing(), pytest.raises(LedgerBusy):
            identities(other, with_rows=True)
        assert identities(other) == ["car=1", "car=2"]


def test_who_decides_waits_for_the_rows_up_to_its_position_however_long_that_takes(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given rows that are begun anew, as by a new version, and pages of them that take longer than
    anybody waits: who shows something lacks the last, who decides on them has all."""
    tell(ledger)
    monkeypatch.setattr(rows_apart, "_PAGE_ENTRIES", 3)
    impatient = settings.model_copy(update={"busy_timeout_seconds": 0.2})
    with closing(open_ledger(impatient)) as other:
        other.rows.begin_anew()  # type: ignore[attr-defined]
        other.rows.catch_up(5)
        clock = count(step=0.3)
        monkeypatch.setattr(rows_apart, "monotonic_seconds", lambda: next(clock))
        monkeypatch.setattr(rows_apart, "_PAUSE_SHARE", 0.0)
        assert len(identities(other)) < CARS
        with other.connect(with_rows=other.size() - 1) as connection:
            assert len(connection.execute(select(LABELS.c.identity)).all()) == CARS


def test_without_any_rows_nobody_is_answered_from_them(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given that nothing can be folded, as when the state directory is closed: who has some rows
    answers as of these, and who has not even their tables is refused."""
    tell(ledger, cars=2)

    def busy(*_: object, **__: object) -> None:
        raise LedgerBusy("nothing can be folded; try again.")

    monkeypatch.setattr(ledger.rows, "catch_up", busy)
    for folded, answered in ((ledger.size() - 2, True), (0, True), (-1, False)):
        monkeypatch.setattr(ledger.rows, "folded", lambda _, at=folded: at)
        with suppress(LedgerBusy), ledger.connect():
            assert answered
            continue
        assert not answered


def test_a_fold_that_is_cut_off_goes_on_with_whole_pages(
    ledger: Ledger, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    tell(ledger)
    rows = rows_of(ledger)
    rows.keeping.page_entries = 7
    reached: list[int] = []

    def give_up(done: int, of: int) -> None:
        reached.append(done)
        if len(reached) % 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows.catch_up(progress=give_up)
    with ledger.snapshot() as connection:
        assert rows.folded(connection) == reached[0] - 1 < CARS
    with closing(open_ledger(settings)) as again:
        assert len(identities(again)) == CARS
        assert rebuild(again, read_models=[ROWS]).differing == ()
    assert caplog.messages == []


def test_two_that_fold_and_append_at_once_fold_each_row_once(
    ledger: Ledger, settings: Settings
) -> None:
    def go_on(which: Ledger, first: int) -> None:
        for car in range(first, first + 10):
            events.put(which, "observations-cars", events.observation(f"car={car}"))
            which.rows.catch_up()

    with closing(open_ledger(settings)) as other:
        both = [
            threading.Thread(target=go_on, args=(which, first))
            for which, first in ((ledger, 1), (other, 101))
        ]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert len(identities(other)) == 20
    assert rebuild(ledger, read_models=[ROWS]).differing == ()


def test_a_changed_row_is_found_by_a_verification_and_put_right_by_a_rebuild(
    ledger: Ledger,
) -> None:
    tell(ledger, cars=3)
    with writing_to(ledger, LABELS) as connection:
        connection.execute(LABELS.update().values(label=1.0))
    (only,) = verify(ledger, None).breaks
    assert only.thing == f"the read model {LABELS.name!r}"
    assert rebuild(ledger).differing == (LABELS.name,)
    assert verify(ledger, None).breaks == ()


def test_rows_that_lack_an_erasure_are_not_taken_for_changed_ones(ledger: Ledger) -> None:
    put_many(ledger, predictions(1, 2))
    events.put(ledger, "predictions-cars", events.prediction("owner=1"), personal=True)
    ledger.rows.catch_up()
    ledger.rows.always = False
    gone = erasure(model="cars", entries=(2,))
    events.put(ledger, "ledger", gone)
    with ledger.writing() as connection:
        delete_erased(connection, gone)
    behind = verify(ledger, None)
    ledger.rows.catch_up()
    found = verify(ledger, None)
    assert (behind.breaks, found.breaks) == ((), ())
    assert found.read_models == behind.read_models + 1


@pytest.fixture
def file(sqlite_settings: Settings) -> Path:
    """Where the rows of the ledger on SQLite stand."""
    ledger = Path(sqlite_settings.ledger_url.removeprefix("sqlite:///"))
    return rows_file(ledger, VERSION)


def removed(file: Path, _other: Path) -> None:
    for end in ("", "-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)


def overwritten(file: Path, _other: Path) -> None:
    removed(file, _other)
    file.write_bytes(b"Dear diary, " * 1000)


def torn(file: Path, _other: Path) -> None:
    content = file.read_bytes()
    removed(file, _other)
    file.write_bytes(content[: len(content) // 2])


def of_another_ledger(file: Path, other: Path) -> None:
    removed(file, other)
    shutil.copy(other, file)


@pytest.fixture
def other_file(sqlite_template: Path, tmp_path: Path) -> Path:
    """The rows of another ledger."""
    database = Path(shutil.copy(sqlite_template, tmp_path / "other.db"))
    with closing(open_ledger(Settings(database_url=f"sqlite:///{database}"))) as ledger:
        tell(ledger, cars=2)
        rows_of(ledger).compact()
    return rows_file(database, VERSION)


@pytest.mark.parametrize("spoil", [removed, overwritten, torn, of_another_ledger])
@pytest.mark.parametrize("open_", [True, False], ids=["while open", "while closed"])
def test_a_file_that_does_not_fit_is_made_anew(
    sqlite_settings: Settings,
    file: Path,
    other_file: Path,
    spoil: Callable[[Path, Path], None],
    open_: bool,
) -> None:
    with closing(open_ledger(sqlite_settings)) as ledger:
        tell(ledger)
        assert len(identities(ledger)) == CARS
        rows_of(ledger).compact()
        if open_:
            spoil(file, other_file)
            events.put(ledger, "observations-cars", events.observation("car=99"))
            assert len(identities(ledger)) == CARS + 1
    if not open_:
        spoil(file, other_file)
    with closing(open_ledger(sqlite_settings)) as ledger:
        assert len(identities(ledger)) == CARS + open_
        assert rebuild(ledger).differing == ()


def test_a_file_that_is_damaged_in_its_middle_is_no_damage_of_the_ledger(
    sqlite_settings: Settings, file: Path
) -> None:
    with closing(open_ledger(sqlite_settings)) as ledger:
        tell(ledger, cars=200)
        identities(ledger)
        rows_of(ledger).compact()
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle:] = bytes(len(content) - middle)
    removed(file, file)
    file.write_bytes(content)
    with closing(open_ledger(sqlite_settings)) as ledger:
        with pytest.raises(LedgerBusy, match="the file of rows was damaged"):
            identities(ledger)
        assert len(identities(ledger)) == 200
        assert ledger.met.all() == ()


def test_rows_ahead_of_a_ledger_that_was_put_back_are_folded_anew(
    sqlite_settings: Settings, file: Path, tmp_path: Path
) -> None:
    database = Path(sqlite_settings.ledger_url.removeprefix("sqlite:///"))
    with closing(open_ledger(sqlite_settings)) as ledger:
        tell(ledger, cars=2)
        identities(ledger)
    back_up = shutil.copy(database, tmp_path / "back-up.db")
    with closing(open_ledger(sqlite_settings)) as ledger:
        events.put(ledger, "observations-cars", events.observation("car=3"))
        assert len(identities(ledger)) == 3
    removed(database, database)
    shutil.copy(back_up, database)
    with closing(open_ledger(sqlite_settings)) as ledger:
        assert len(identities(ledger)) == 2
        events.put(ledger, "observations-cars", events.observation("car=4"))
        assert identities(ledger)[-1] == "car=4"
        assert rebuild(ledger).differing == ()


def test_files_of_other_versions_go_after_a_week_and_with_an_erasure(
    sqlite_ledger: Ledger, sqlite_settings: Settings, file: Path
) -> None:
    database = Path(sqlite_settings.ledger_url.removeprefix("sqlite:///"))
    young, old = (rows_file(database, version) for version in ("1.1.1", "1.1.2"))
    for each in (young, old):
        each.touch()
    os.utime(old, (0, 0))
    open_ledger(sqlite_settings).close()
    assert rows_files(database) == sorted([file, young])
    assert sqlite_ledger.rows.drop_others() == [young.name]
    assert rows_files(database) == [file]


def test_its_rows_are_those_that_stand_with_the_ledger_on_postgresql(
    sqlite_ledger: Ledger, fresh_postgres: Callable[[bool], str]
) -> None:
    found = []
    with closing(open_ledger(Settings(database_url=fresh_postgres(True)))) as postgres:
        id = new_id()
        for ledger in (sqlite_ledger, postgres):
            put_many(ledger, predictions(1, 2), id)
            with ledger.connect() as connection:
                found.append(digests(connection, [ROWS]))
                assert connection.execute(select(PREDICTIONS.c.day)).scalars().all() != []
    assert found[0] == found[1]
