"""What a command leaves that is stopped midway by a full disk or a missing right: nothing halfway.

`test_storage.py` takes everything from a command before it begins. Here it has begun: the ledger,
which holds a model with a champion, is open, and then the target of an export, a directory of
files or the room for a transaction is not to be had. Each ends with its exit code and one line,
what was there stands, nothing half-written lies about, and tried again it does what it was to do.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

import pytest

from app.audit.whatif import BEGIN, END
from app.cli.terminal import Exit
from app.database.durable_files import file_aside
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.events.cycle_events import CycleStarted
from tests.app.cli.command_line import whyledger, whyledger_by_itself
from tests.app.cli.test_storage import assert_one_line, limited
from tests.app.people import MARKER, key_of
from tests.app.plain_rights import plain_rights
from tests.app.proof.forger import change
from tests.told import Story, Told, ToldOnce, copied

PAGE: Final = f"before\n{BEGIN}\n| old |\n{END}\nafter\n"
CYCLE: Final = ("cycle", "--model", "car-price", "--as-of", "1976-07-01")
FEW_BYTES: Final = 1000  # of a file, of any that may be written from then on
# Of a file: what SQLite needs to open a ledger; a part of a transaction; all but a file rewritten.
ROOM: Final = (0, 33_000, 100_000, 400_000)
Words = tuple[object, ...]
Fault = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def told(told_once: ToldOnce, of_people: Story, tmp_path: Path) -> Told:
    """A model that was trained with a person's row, which it gives."""
    return told_once(of_people, Settings(state_dir=tmp_path / "nowhere"))


@pytest.fixture
def state(told: Told, tmp_path: Path) -> Path:
    return copied(told.settings.state_dir, tmp_path / "state")


@pytest.fixture
def erase(told: Told) -> Words:
    """Of the person's row."""
    asked = ("--identity", key_of(told.gives), "--reason", "asked", "--legal-basis", "law")
    return ("erase", "car-price", *asked)


def there(folder: Path) -> dict[str, bytes]:
    """All files of a folder and what they hold; of a folder in it, nothing."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def cycles_in(state: Path) -> int:
    ledger = open_ledger(Settings(state_dir=state))
    begun = sum(isinstance(each.event, CycleStarted) for each in ledger.read(-1, 1000))
    ledger.close()
    return begun


def halfway(folder: Path) -> list[Path]:
    """What a writer leaves that was stopped."""
    return [path for path in folder.rglob("*") if path.suffix in (".part", ".new")]


def holds(folder: Path, text: str) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Nothing can be made or deleted in a folder; not even by root."""
    mode = folder.stat().st_mode & 0o777
    folder.chmod(0o500)
    try:
        with plain_rights():
            yield
    finally:
        folder.chmod(mode)


def once_open(monkeypatch: pytest.MonkeyPatch, begins: str, fault: Fault, folder: Path) -> None:
    """The fault lasts as long as what shows the progress of an export: from when it is open on."""

    @contextmanager
    def showing(*_: object, **__: object) -> Iterator[Callable[..., None]]:
        with fault(folder):
            yield lambda *_, **__: None

    monkeypatch.setattr(begins, showing)


def full(_: Path) -> AbstractContextManager[None]:
    return limited(resource.RLIMIT_FSIZE, FEW_BYTES)


EXPORTS: Final[dict[str, tuple[str, str, Words]]] = {
    "a folder": ("bundle", "integrity", ("export", "--bundle")),
    "a zip": ("bundle.zip", "integrity", ("export", "--bundle")),
    "lines": ("changes.jsonl", "decisions", ("export", "--output")),
    "a table": ("changes.csv", "decisions", ("export", "--format", "csv", "--output")),
    "a page": ("changes.html", "decisions", ("export", "--format", "html", "--output")),
}


@pytest.mark.parametrize("fault", [full, unwritable])
@pytest.mark.parametrize("form", EXPORTS)
def test_an_export_that_cannot_be_written_leaves_nothing_behind(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, fault: Fault
) -> None:
    name, module, words = EXPORTS[form]
    folder = tmp_path / "out"
    folder.mkdir()
    with monkeypatch.context() as patch:
        once_open(patch, f"app.cli.commands.{module}.progress", fault, folder)
        done = whyledger(state, *words, folder / name)
    assert_one_line(done)
    assert done.returncode == Exit.ERROR
    assert "cannot be used: " in done.stderr
    assert there(folder) == {}
    assert whyledger(state, *words, folder / name).returncode == Exit.OK
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("fault", [full, unwritable])
def test_a_file_that_an_export_was_to_replace_stands_as_it_was(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "changes").write_text("of yesterday")
    once_open(monkeypatch, "app.cli.commands.decisions.progress", fault, folder)
    done = whyledger(state, "export", "--output", folder / "changes")
    assert_one_line(done)
    assert there(folder) == {"changes": b"of yesterday"}


def test_an_export_into_a_device_without_room_is_one_line(state: Path) -> None:
    done = whyledger(state, "export", "--output", "/dev/full")
    assert_one_line(done)
    assert "No space left on device. Make room on its disk" in " ".join(done.stderr.split())


@pytest.mark.parametrize("fault", [full, unwritable])
def test_a_page_whose_table_cannot_be_written_keeps_the_one_it_has(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Given years that were lived again, then the page is as before, whatever they took."""
    folder = tmp_path / "pages"
    folder.mkdir()
    page = folder / "page.md"
    page.write_text(PAGE + "x" * FEW_BYTES)
    before = there(folder)
    monkeypatch.setattr("app.cli.commands.whatif._CYCLES_MIN", 1)
    monkeypatch.setattr("app.cli.commands.whatif.what_ifs", lambda *_: [])
    words = ("whatif", "--policy", "challenger", "--into", page)
    with monkeypatch.context() as patch:

        @contextmanager
        def aside(path: Path) -> Iterator[IO[bytes]]:
            with fault(folder), file_aside(path) as file:
                yield file

        patch.setattr("app.cli.commands.whatif.file_aside", aside)
        done = whyledger(state, *words)
    assert_one_line(done)
    assert (done.returncode, there(folder)) == (Exit.ERROR, before)
    assert whyledger(state, *words).returncode == Exit.OK
    assert "| old |" not in page.read_text()


def damaged(state: Path) -> None:
    """An entry is not what its hash says, and it is known."""
    ledger = open_ledger(Settings(state_dir=state))
    place = next(e.position for e in ledger.read(-1, 1000) if e.stream == "predictions-car-price")
    (content,) = ledger.stored_bytes(place, place)
    edit = "UPDATE entries SET bytes = :content WHERE position = :place"
    change(ledger, edit, content=content + b" ", place=place)
    ledger.close()
    assert whyledger(state, "replay").returncode == Exit.INTEGRITY


@pytest.mark.parametrize("room", ROOM)
@pytest.mark.parametrize("command", ["replay", "repair", "settle", "erase"])
def test_a_transaction_without_room_is_one_line_and_is_done_once_there_is_some(
    state: Path, tmp_path: Path, erase: Words, command: str, room: int
) -> None:
    """Given another copy on which it is carried out undisturbed, then it comes to the same."""
    if command == "settle":
        damaged(state)
    forms: dict[str, Words] = {"erase": erase, "settle": ("settle", "--reason", "seen")}
    words = forms.get(command, (command,))
    undisturbed = whyledger(copied(state, tmp_path / "undisturbed"), *words)
    with limited(resource.RLIMIT_FSIZE, room):
        done = whyledger(state, *words)
    again = whyledger(state, *words)
    if done.returncode == undisturbed.returncode:  # there was room enough
        assert room > 0
    else:
        assert_one_line(done)
        assert done.returncode == Exit.UNDECIDED
        assert "cannot write: " in done.stderr
        assert again.returncode == undisturbed.returncode, again.stderr
    assert halfway(state) == []
    if command == "erase":
        assert holds(state, MARKER) == []


@pytest.mark.parametrize("place", ["merged", "mlartifacts"])
def test_an_erasure_that_may_not_delete_files_says_so_and_ends_once_it_may(
    state: Path, erase: Words, place: str
) -> None:
    """Given that the row was erased from the ledger, then its files go when it is run again."""
    kept = there(state / place)
    folders = [path for path in (state / place).rglob("*") if path.is_dir()]
    with ExitStack() as closed:
        for folder in (*folders, state / place):
            closed.enter_context(unwritable(folder))
        done = whyledger(state, *erase)
    assert_one_line(done)
    assert (done.returncode, there(state / place)) == (Exit.ERROR, kept)
    again = whyledger(state, *erase)
    assert again.returncode == Exit.OK, again.stderr
    assert len(there(state / place)) < len(kept)
    assert holds(state, MARKER) == []


@pytest.mark.parametrize("room", [0, 33_000])
def test_a_cycle_without_room_to_begin_has_not_begun(state: Path, room: int) -> None:
    with limited(resource.RLIMIT_FSIZE, room):
        done = whyledger(state, *CYCLE)
    assert_one_line(done)
    assert done.returncode == Exit.UNDECIDED
    assert (cycles_in(state), halfway(state)) == (1, [])


@pytest.mark.parametrize("place", ["locks", "logs"])
def test_a_cycle_without_a_place_for_its_files_says_which(state: Path, place: str) -> None:
    (state / place).mkdir(exist_ok=True)
    with unwritable(state / place):
        done = whyledger(state, *CYCLE)
    assert_one_line(done)
    assert done.returncode == Exit.ERROR
    assert str(state / place) in done.stderr


def test_a_cycle_that_had_no_place_for_its_log_goes_on_once_it_has_one(state: Path) -> None:
    (state / "logs").mkdir(exist_ok=True)
    with unwritable(state / "logs"):
        assert whyledger(state, *CYCLE).returncode == Exit.ERROR
    assert whyledger_by_itself(state, *CYCLE).returncode == Exit.OK
    assert cycles_in(state) == 2  # the first, and this one
