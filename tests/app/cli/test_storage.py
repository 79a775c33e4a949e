"""What a command says when the machine refuses it a file: one line with the reason, no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.cli.command_line import whyledger
from tests.repository import REPOSITORY

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
