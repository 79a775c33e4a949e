"""What the commands promise without running one: documented, quick to start, safe in CI."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer.main
from rich.console import Console

from app.audit.cycle import cycle_told
from app.cli import terminal
from app.cli.job_summary import summary, write_outputs
from app.cli.main import app
from app.cli.terminal import Exit
from domain.events.envelope import event_data
from tests.app.web.car_story import REJECTED_YEAR, car_story
from tests.repository import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "command-line.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_is_documented_and_takes_json(name: str) -> None:
    line = next(x for x in DOCUMENT.splitlines() if x.startswith(f"| `whyledger {name}"))
    options = [p.opts[0] for p in COMMANDS[name].params if p.param_type_name == "option"]

    assert "--json" in options
    for option in set(options) - {"--json", "--serve"}:
        assert f"{option}" in line


def test_the_commands_that_ask_a_service_are_named() -> None:
    asking = {n for n, c in COMMANDS.items() if "--url" in {o for p in c.params for o in p.opts}}
    sentence = DOCUMENT[: DOCUMENT.index("take `--url`")].rpartition("\n\n")[2]

    assert {name for name in COMMANDS if f"`{name}`" in sentence} == asking


@pytest.mark.parametrize("code", [e for e in Exit if e not in {Exit.PROMOTED, Exit.REJECTED}])
def test_every_exit_code_is_documented(code: Exit) -> None:
    assert f"| {code.value} |" in DOCUMENT


def test_the_command_line_starts_without_training_libraries() -> None:
    heavy = ("sklearn", "pandas", "mlflow", "dvc", "durable", "scipy")
    script = f"import sys, app.cli.main; print([m for m in {heavy!r} if m in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_a_reason_cannot_end_an_output_early(tmp_path: Path) -> None:
    path = tmp_path / "output"

    write_outputs(path, {"sentence": "OVERRIDE: a\nconclusion=promoted; b"}, ending="end-1")

    assert path.read_text() == "sentence<<end-1\nOVERRIDE: a\nconclusion=promoted; b\nend-1\n"


def test_the_summary_escapes_what_would_draw() -> None:
    steps = car_story().cycle(REJECTED_YEAR - 1974)
    told = cycle_told({step.type: event_data(step) for step in steps})

    text = summary(replace(told, headline="<img>", sentence="OVERRIDE: <img src=x> | *loud*"))

    assert "<img" not in text
    assert "\\*loud\\*" in text
    assert "| Deployment | ✗ failed |" in text
    assert "| Promotion | – not evaluated |" in text


def test_a_table_too_wide_for_its_terminal_is_told_in_paragraphs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ("", "gate", "verdict", "reason", "note")
    reason = "RMSE 0.8455 beats mean and median of its training target."
    monkeypatch.setattr(terminal, "OUT", Console(force_terminal=True))

    def said(width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        terminal.say_table(columns, [("✓", "Parity", "passed", reason, "")], wrapped=("reason",))
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    assert said(80)[0].split() == ["gate", "verdict", "reason", "note"]
    assert said(40) == [
        "✓ Parity",
        "  verdict: passed",
        "  reason: RMSE 0.8455 beats mean and",
        "  median of its training target.",
    ]
