"""The demo as its user runs it, cut short: a real service, real workers, HTTP only."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.remote import client_of
from tests.app.cli.running_demo import alive, ended, environment, sleeping_start, start
from tests.patience import HANGS_SECONDS, until
from tests.repository import REPOSITORY

YEARS = ("1975", "1976")
MODELS = ("car-price", "car-sales")


@dataclass(frozen=True)
class Told:
    """One run of the demo, until 1976: its story as text and as data."""

    text: str
    story: dict[str, Any]
    port: int  # that was asked for, and taken
    page: bool  # whether it answered while the demo stayed up
    left: list[str]  # processes, when it had ended


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Its port is taken, and it must not speak to somebody; SIGTERM ends it when all is told."""
    state = tmp_path_factory.mktemp("told")
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        command = f"python -m app.cli.main demo --json --until 1976 --port {port}"
        process = start(command, environment(state))
        assert process.stdout is not None
        document = ""
        while process.poll() is None and not document.endswith("\n}\n"):
            document += process.stdout.readline()
        page = answers(json.loads(document)["address"]) if document else False
        process.send_signal(signal.SIGTERM)
        code, said, errors = ended(process)
    assert (code, said) == (0, ""), errors
    return Told(errors, json.loads(document), port, page, alive(state))


def shape(text: str) -> str:
    """The text with every figure and every place as a sign for it."""
    text = re.sub(r"[\w./-]*state/demo-\w+", "DIR", text)
    text = re.sub(r"\S*whyledger ", "whyledger ", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}", "ID", text)
    return re.sub(r"\d+", "N", text)


def test_the_demo_tells_a_line_a_year_and_model_and_ends_with_a_replay(told: Told) -> None:
    assert f"port {told.port} is taken; another one is used" in told.text
    lines = [line.split() for line in told.text.splitlines() if re.match(r"19\d\d  car-", line)]
    assert [(line[0], line[1]) for line in lines] == [(y, model) for y in YEARS for model in MODELS]
    assert "bootstrap -> promoted" in told.text
    assert "keep: rules not met" in told.text
    assert re.search(
        r"^replay: \d+ entries, root [0-9a-f]{64}; (\d+) of \1 digests equal$",
        told.text,
        re.MULTILINE,
    )
    assert re.search(r"^took \d+ s$", told.text, re.MULTILINE)


def test_the_page_is_up_until_sigterm_which_leaves_nothing(told: Told) -> None:
    assert told.page
    assert told.text.endswith(f"the page is at {told.story['address']}/ until Ctrl-C\n")
    assert told.left == []


def test_the_commands_it_ends_with_go_on_where_it_ended(told: Told, tmp_path: Path) -> None:
    commands = told.story["go_on_with"]
    assert "go on with:\n" + "".join(f"  {each}\n" for each in commands) in told.text
    decisions, why, verify, serve = commands

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=REPOSITORY,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = run(decisions).splitlines()[1:]
    assert [line.split()[0] for line in listed] == ["1977-01-01"] * 2 + ["1976-01-01"] * 2
    assert "\ncar-sales-2: kept.\ndecided at position " in run(why)
    assert re.search(r"^breaks +0$", run(verify).expandtabs(), re.MULTILINE)

    page = f"http://127.0.0.1:{serve.split()[-1]}"
    with subprocess.Popen(
        ["sh", "-c", f"exec env {serve}"],
        cwd=REPOSITORY,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as service:
        until(lambda: answers(page) or service.poll() is not None, pause_seconds=0.1)
        service.send_signal(signal.SIGINT)
    assert service.returncode == 0


def answers(url: str) -> bool:
    try:
        with client_of(url, HANGS_SECONDS) as client:
            return client.get("/").status_code == 200
    except httpx.TransportError:
        return False


def test_the_readme_shows_what_the_demo_prints(told: Told) -> None:
    page = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = page.split("<!-- demo output begins -->\n```text\n")[1].split("```")[0].splitlines()
    printed = told.text[told.text.index("service up") :].splitlines()
    words = slice(0, 85)  # behind them stand errors, which another machine rounds otherwise

    assert shown[1:3] == printed[1:3]  # what the columns are
    assert [line[words] for line in shown[3:7]] == [line[words] for line in printed[3:7]]
    assert shape(shown[0]) == shape(printed[0])
    assert ending(shown) == ending(printed)


def ending(lines: list[str]) -> list[str]:
    """What stands below the tables, in its shape."""
    return [shape(line) for line in dropwhile(lambda line: "replay: " not in line, lines)]


def test_the_whole_story_is_data(told: Told) -> None:
    story = told.story
    years = story["years"]
    assert [(year["year"], year["model"], year["cycle"]) for year in years] == [
        (1975 + number, model, f"{model}-{number + 1}") for number in range(2) for model in MODELS
    ]
    for year in years[:2]:
        assert (year["outcome"], year["conclusion"]) == ("bootstrap", "promoted")
        assert year["sentence"].startswith("BOOTSTRAP: no champion yet")
        assert (year["rows"], year["production_rmse"]) == (93, None)
        assert 0 < year["candidate_rmse"] < 1
        assert [clause["verdict"] for clause in year["clauses"]] == ["unknown"] * 2 + ["met"] * 2
    for year in years[2:]:
        assert (year["outcome"], year["conclusion"]) == ("keep: rules not met", "kept")
        assert year["sentence"].startswith("KEEP: prediction drift p = ")
        assert (year["rows"], year["candidate_rmse"]) == (99, None)
        assert 0 < year["production_rmse"] < 1
        assert year["feature_drift_score"] > 0.2
        assert year["prediction_p_value"] > 0.05
    assert {year["champion"] for year in years} == {"car-price/1", "car-sales/1"}
    assert story["models"] == [
        {
            "model": model,
            "champion": f"{model}/1",
            "cycles": 2,
            "promoted": 1,
            "rejected": 0,
            "kept": 1,
            "health": "healthy",
        }
        for model in MODELS
    ]
    assert story["replay"].startswith(f"{story['entries']} entries, root {story['root']}; ")
    assert f"replay: {story['replay']}\n" in told.text
    assert story["seconds"] > 0
    assert all(story["state_dir"] in command for command in story["go_on_with"])


@pytest.mark.parametrize(
    ("sign", "moment"),
    [(signal.SIGTERM, "app.cli.main serve"), (signal.SIGINT, "app.cycle.worker")],
)
def test_a_signal_ends_everything_the_demo_has_started(
    tmp_path: Path, sign: signal.Signals, moment: str
) -> None:
    """While it waits for its service, and while two workers train."""
    slow = "import sys, time\nif 'serve' in sys.orig_argv: time.sleep(600)\n"
    given = environment(tmp_path)
    if "serve" in moment:
        given |= sleeping_start(tmp_path / "slow", slow)
    # All twenty years: on a busy machine a shorter one ends before the signal is sent.
    process = start("python -m app.cli.main demo --no-serve --port 0", given)
    until(lambda: any(moment in line for line in alive(tmp_path)), pause_seconds=0.1)

    process.send_signal(sign)
    code, _, errors = ended(process)

    assert code == 128 + sign
    assert "ended early; its ledger and its log stay in" in errors
    # A killed worker takes a moment to be gone.
    until(lambda: alive(tmp_path) == [], pause_seconds=0.1)


def test_a_setting_that_makes_no_sense_is_told_before_anything_is_started(tmp_path: Path) -> None:
    given = environment(tmp_path, WHYLEDGER_CHAMPION_POLL_SECONDS="9")

    code, _, errors = ended(start("python -m app.cli.main demo", given))

    assert code == 1
    assert errors.startswith("error: WHYLEDGER_CHAMPION_POLL_SECONDS: should be less than")
    assert not (tmp_path / "state").exists()
