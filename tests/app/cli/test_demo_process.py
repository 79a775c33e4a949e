"""The demo's processes: waited for as long as they live and speak, heard when they fail, ended."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from app.cli import demo_process
from app.cli.demo_process import command_on, running_service
from app.cli.remote import Service
from app.cli.terminal import CommandRefused
from tests.app.cli.running_demo import alive, ended, environment, sleeping_start, start
from tests.patience import until

SPEAKING = """
import sys, threading, time
def speak():
    while True:
        print("migrating [1 of 9]", file=sys.stderr, flush=True)
        time.sleep(0.2)
if "serve" in sys.orig_argv:
    threading.Thread(target=speak, daemon=True).start()
    time.sleep(7)
"""
SLEEPING = "import sys, time\nif {word!r} in sys.orig_argv: time.sleep(600)\n"


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a run of the demo writes; what it starts carries this test's mark."""
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


def begin(monkeypatch: pytest.MonkeyPatch, folder: Path, words: str) -> None:
    for name, value in sleeping_start(folder, words).items():
        monkeypatch.setenv(name, value)


def test_a_start_that_takes_longer_than_a_silence_may_is_waited_for_while_it_speaks(
    run_dir: Path,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo_process, "_SILENT_SECONDS", 5)
    monkeypatch.setattr(demo_process, "_TOLD_SECONDS", 1)
    begin(monkeypatch, tmp_path / "slow", SPEAKING)

    with running_service(run_dir, port) as address, Service(address) as service:
        assert service.get("/readyz")["status"] == "ready"

    said = capsys.readouterr().err.splitlines()
    seconds = [int(line.split(" s: ")[0].split()[-1]) for line in said]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 5
    assert any(line.endswith(" s: migrating [1 of 9]") for line in said)
    log = (run_dir / "service.log").read_text()
    assert log.index(f"whyledger serve --port {port} is started") < log.index(
        f"the ledger in {run_dir} is opened"
    )


def test_a_start_that_says_nothing_is_ended_with_the_last_words_it_said(
    run_dir: Path, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_process, "_SILENT_SECONDS", 0.5)
    begin(monkeypatch, tmp_path / "silent", SLEEPING.format(word="serve"))

    refused = pytest.raises(CommandRefused, match=r"has said nothing for .* s and does not answer")
    with refused as refusal, running_service(run_dir, port):
        pass

    assert str(refusal.value).endswith(f"whyledger serve --port {port} is started")
    assert alive(tmp_path) == []


def test_a_port_that_somebody_took_meanwhile_is_told_in_the_services_own_words(
    run_dir: Path, tmp_path: Path
) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        refused = pytest.raises(CommandRefused, match=r"the service ended with exit code 1\. Its")
        with refused as refusal, running_service(run_dir, port):
            pass

    assert f"\nerror: port {port} of 127.0.0.1 cannot be listened on: " in str(refusal.value)
    assert alive(tmp_path) == []


def test_a_ledger_that_is_none_is_told_in_the_services_own_words(
    run_dir: Path, port: int, tmp_path: Path
) -> None:
    (run_dir / "ledger.db").write_text(
        "no database at all, and longer than any header of one. " * 9
    )

    with (
        pytest.raises(CommandRefused, match="file is not a database"),
        running_service(run_dir, port),
    ):
        pass

    assert alive(tmp_path) == []


def test_a_service_that_dies_on_the_way_is_told_as_that(
    run_dir: Path, port: int, tmp_path: Path
) -> None:
    refused = pytest.raises(CommandRefused, match=r"the service ended with exit code -9\. Its last")
    with refused, running_service(run_dir, port) as address, Service(address) as service:
        for each in Path("/proc").iterdir():
            if each.name.isdigit() and f"--port\0{port}\0".encode() in _command_line(each):
                os.kill(int(each.name), signal.SIGKILL)
        while True:
            service.get("/readyz")
            time.sleep(0.01)

    assert alive(tmp_path) == []


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it has just ended


def test_a_replay_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    given = environment(tmp_path) | sleeping_start(
        tmp_path / "slow", SLEEPING.format(word="replay")
    )
    program = tmp_path / "replaying.py"
    program.write_text(
        "from pathlib import Path\n"
        "from app.cli.demo_process import replay, signals_unwind\n"
        "with signals_unwind():\n"
        f"    replay(Path({str(tmp_path)!r}))\n"
    )
    process = start(f"python {program}", given)
    until(lambda: any("app.cli.main replay" in line for line in alive(tmp_path)))

    process.send_signal(signal.SIGTERM)

    assert ended(process)[0] == 128 + signal.SIGTERM
    assert alive(tmp_path) == []


def test_settings_that_would_lead_a_command_elsewhere_are_undone_in_what_is_to_be_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", "postgresql://somebody@elsewhere/else")

    typed = command_on(Path("srv/demo"), "decisions")

    assert typed.startswith("WHYLEDGER_STATE_DIR=srv/demo WHYLEDGER_DATABASE_URL= ")
    assert typed.endswith("whyledger decisions")
