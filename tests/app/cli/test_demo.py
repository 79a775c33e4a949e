"""The demo as its user runs it, cut short: a real service, real workers, HTTP only."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from itertools import takewhile
from pathlib import Path

import httpx
import pytest

from tests.app.cli.running_demo import alive, ended, environment, sleeping_start, start, until
from tests.app.cli.test_commands import REPOSITORY

YEARS = ("1975", "1976")
MODELS = ("car-price", "car-sales")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo prints until 1976; its port is taken, and it must not speak to somebody."""
    state = tmp_path_factory.mktemp("told")
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        command = f"python -m app.cli.main demo --no-serve --until 1976 --port {port}"
        code, said, errors = ended(start(command, environment(state)))
    assert code == 0, said + errors
    assert f"port {port} is taken; another one is used" in errors
    assert alive(state) == []
    return said


def shape(text: str) -> str:
    """The text with every figure and every place as a sign for it."""
    text = re.sub(r"[\w./-]*state/demo-\w+", "DIR", text)
    text = re.sub(r"\S*whyledger ", "whyledger ", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}", "ID", text)
    return re.sub(r"\d+", "N", text)


def test_the_demo_tells_a_line_a_year_and_model_and_ends_with_a_replay(told: str) -> None:
    lines = [line.split() for line in told.splitlines() if re.match(r"19\d\d  car-", line)]
    assert [(line[0], line[1]) for line in lines] == [(y, model) for y in YEARS for model in MODELS]
    assert "bootstrap -> promoted" in told
    assert "keep: rules not met" in told
    assert re.search(r"ledger: \d+ entries, root [0-9a-f]{64}", told)
    assert "replay: projections emptied and rebuilt" in told
    assert re.search(r"^took \d+ s$", told, re.MULTILINE)  # it ended: no page is left to look at


def test_the_commands_it_ends_with_go_on_where_it_ended(told: str, tmp_path: Path) -> None:
    _, _, typed = told.partition("go on with:\n")
    commands = [
        line.strip() for line in takewhile(lambda line: line[:2] == "  ", typed.split("\n"))
    ]
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
    assert [line.split("\t")[0] for line in listed] == ["1977-01-01"] * 2 + ["1976-01-01"] * 2
    assert "car-sales-2: kept; decided at position" in run(why)
    assert re.search(r"^breaks +0$", run(verify).expandtabs(), re.MULTILINE)

    page = f"http://127.0.0.1:{serve.split()[-1]}/"
    with subprocess.Popen(
        ["sh", "-c", f"exec env {serve}"],
        cwd=REPOSITORY,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as service:
        until(lambda: answers(page))
        service.send_signal(signal.SIGINT)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_the_readme_shows_what_the_demo_prints(told: str) -> None:
    page = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = page.split("<!-- demo output begins -->\n```text\n")[1].split("```")[0].splitlines()
    printed = told.splitlines()
    ending = next(n for n, line in enumerate(printed) if line.startswith("ledger: "))

    assert shown[1:3] == printed[1:3]  # what the columns are
    words = slice(0, 85)  # behind them stand errors, which another machine rounds otherwise
    assert [line[words] for line in shown[3:7]] == [line[words] for line in printed[3:7]]
    begun = next(n for n, line in enumerate(shown) if line.startswith("ledger: "))
    assert list(map(shape, [shown[0], *shown[begun:-1]])) == list(
        map(shape, [printed[0], *printed[ending:]])
    )
    assert shape(shown[-1]) == "the page is at http://N.N.N.N:N/ until Ctrl-C"


def test_the_whole_story_is_data_and_the_page_is_up_until_sigterm(tmp_path: Path) -> None:
    process = start(
        "python -m app.cli.main demo --json --until 1975 --port 0", environment(tmp_path)
    )
    assert process.stdout is not None
    document = ""
    while not document.endswith("\n}\n"):
        document += process.stdout.readline()
    story = json.loads(document)

    assert answers(story["address"] + "/")
    process.send_signal(signal.SIGTERM)
    code, said, errors = ended(process)

    assert (code, said) == (0, "")
    assert "1975  car-price" in errors
    assert alive(tmp_path) == []
    years = story["years"]
    assert [(year["year"], year["model"], year["cycle"]) for year in years] == [
        (1975, model, f"{model}-1") for model in MODELS
    ]
    for year in years:
        assert year["outcome"] == "bootstrap"
        assert year["conclusion"] == "promoted"
        assert year["sentence"].startswith("BOOTSTRAP: no champion yet")
        assert year["champion"] == f"{year['model']}/1"
        assert year["rows"] == 93
        assert year["production_rmse"] is None
        assert 0 < year["candidate_rmse"] < 1
        assert [clause["verdict"] for clause in year["clauses"]] == ["unknown"] * 2 + ["met"] * 2
    assert [model["health"] for model in story["models"]] == ["healthy"] * 2
    assert {"champion": "car-price/1", "cycles": 1, "promoted": 1}.items() <= story["models"][
        0
    ].items()
    assert story["entries"] > sum(year["rows"] for year in years)
    assert re.fullmatch(r"[0-9a-f]{64}", story["root"])
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
    process = start("python -m app.cli.main demo --until 1975 --port 0", given)
    until(lambda: any(moment in line for line in alive(tmp_path)))

    process.send_signal(sign)
    code, _, errors = ended(process)

    assert code == 128 + sign
    assert "ended early; its ledger and its log stay in" in errors
    until(lambda: alive(tmp_path) == [])  # a killed worker takes a moment to be gone


def test_a_setting_that_makes_no_sense_is_told_before_anything_is_started(tmp_path: Path) -> None:
    given = environment(tmp_path, WHYLEDGER_CHAMPION_POLL_SECONDS="9")

    code, _, errors = ended(start("python -m app.cli.main demo", given))

    assert code == 1
    assert errors.startswith("error: WHYLEDGER_CHAMPION_POLL_SECONDS: Input should be less than")
    assert not (tmp_path / "state").exists()
