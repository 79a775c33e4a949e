"""What a command says when the machine refuses it a file: one line with the reason, no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.cli.command_line import whyledger
from tests.repository import REPOSITORY
from tests.told import copied

CONTRACT = REPOSITORY / "data" / "contracts" / "car-price.yaml"
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
    ("replay",),
    ("rollback", "car-price", "--to", "car-price/1", "--reason", "complaints"),
    ("serve", "--port", "0"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
def test_a_state_directory_that_is_a_file_is_one_line_and_no_trace(
    tmp_path: Path, command: tuple[object, ...]
) -> None:
    taken = tmp_path / "state"
    taken.write_text("a file where a directory should be")
    done = whyledger(taken, *command)
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode not in (0, 2), done.stderr
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "please report it" not in done.stderr
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
