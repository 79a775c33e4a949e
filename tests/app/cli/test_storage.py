"""What a command says when the machine refuses it a file: one line with the reason, no trace."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import app.cli.demo
import app.cli.serving  # noqa: F401 nobody may read the modules that it would import later
from app.cli.main import app as program
from tests.app.cli.command_line import whyledger
from tests.repository import REPOSITORY
from tests.told import copied

NOBODY = 65534
CONTRACT = REPOSITORY / "data" / "contracts" / "car-price.yaml"
POLICY = REPOSITORY / "rules" / "policies" / "strict-and.yaml"
CARS = REPOSITORY / "data" / "us_cars_1971_1990.csv"
COMMANDS: tuple[tuple[object, ...], ...] = (
    ("adopt", CONTRACT),
    ("import", "car-price", CARS),
    ("cycle", "--model", "car-price"),
    ("decisions",),
    ("changes",),
    ("why", "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21"),
    ("state",),
    ("export", "--format", "jsonl"),
    ("verify",),
    ("settle", "--reason", "a copy shows what it said"),
    ("repair",),
    ("replay",),
    ("rollback", "car-price", "--to", "car-price/1", "--reason", "complaints"),
    ("erase", "car-price", "--identity", "year=1976", "--reason", "asked", "--legal-basis", "law"),
    ("whatif", "--policy", "strict-and"),
    ("demo", "--no-serve"),
    ("serve", "--port", "0"),
)
REASONS = ("cannot be used: ", "cannot write: ", "cannot be reached: ", "cannot be listened on: ")
ONLY_LOOK = ("verify", "export")  # need no file but those that are there
named = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))


def test_these_are_all_the_commands() -> None:
    there = {
        each.name or getattr(each.callback, "__name__", "") for each in program.registered_commands
    }
    assert {command[0] for command in COMMANDS} == there


def assert_one_line(done: CompletedProcess[str], *, may_end_well: bool = False) -> None:
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    if done.returncode == 0 and may_end_well:
        return
    assert done.returncode not in (0, 2), done.stderr
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "please report it" not in done.stderr


@named
def test_a_state_directory_that_is_a_file_is_one_line_and_no_trace(
    tmp_path: Path, command: tuple[object, ...]
) -> None:
    taken = tmp_path / "state"
    taken.write_text("a file where a directory should be")
    done = whyledger(taken, *command)
    assert_one_line(done)
    assert str(taken) in done.stderr


def test_a_cycle_whose_worker_cannot_be_started_is_not_waited_for(
    bootstrapped_state: Path, tmp_path: Path
) -> None:
    """Given a state where no log can be written."""
    state = copied(bootstrapped_state, tmp_path / "state")
    logs = state / "logs"
    logs.write_text("a file where a directory should be")
    done = whyledger(state, "cycle", "--model", "car-price", "--as-of", "1976-07-01")
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, len(said)) == (1, 1), done.stderr
    assert f"{logs} cannot be used" in said[0]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state in which something was adopted, and the files that commands are given."""
    state = tmp_path_factory.mktemp("begun") / "state"
    for document in (CONTRACT, POLICY):
        assert whyledger(state, "adopt", document).returncode == 0
    for given in (CONTRACT, CARS):
        shutil.copy(given, state)
    return state


@pytest.fixture
def state(begun: Path) -> Iterator[Path]:
    """A copy of it that everybody can reach."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "state"
        shutil.copytree(begun, copy)
        Path(folder).chmod(0o755)
        yield copy
        copy.chmod(0o700)


@contextmanager
def no_rights(state: Path) -> Iterator[None]:
    """Nothing may be written; not even by root, who is nobody."""
    for path in (*state.rglob("*"), state):
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextmanager
def limited(kind: int, limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def no_files(_: Path) -> AbstractContextManager[None]:
    """Those that are open stay so; no other can be opened."""
    return limited(resource.RLIMIT_NOFILE, 3)


def no_room(_: Path) -> AbstractContextManager[None]:
    """No file may grow."""
    return limited(resource.RLIMIT_FSIZE, 0)


Fault = Callable[[Path], AbstractContextManager[None]]


@named
@pytest.mark.parametrize("fault", [no_rights, no_files, no_room])
def test_whatever_the_machine_refuses_is_one_line_and_no_trace(
    state: Path, command: tuple[object, ...], fault: Fault
) -> None:
    given = [state / word.name if isinstance(word, Path) else word for word in command]
    with fault(state):
        done = whyledger(state, *given)
    assert_one_line(done, may_end_well=command[0] in ONLY_LOOK)
    assert done.returncode == 0 or any(reason in done.stderr for reason in REASONS), done.stderr
