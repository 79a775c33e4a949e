"""`whyledger serve`: it says where it listens once it does, and one line when it cannot."""

import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
from sqlalchemy import delete

from app.ledger.tables import ENTRIES
from app.projections.opening import open_ledger
from app.projections.positions import POSITIONS
from app.settings import Settings
from tests.app.cli.command_line import environment, whyledger
from tests.app.cli.served import served
from tests.app.http.routes.running import CAR_PRICE
from tests.app.proof.forger import drop_guards
from tests.ledger_events import put, refused
from tests.patience import HANGS_SECONDS, until
from tests.repository import REPOSITORY


def test_a_taken_port_is_one_line_and_no_matter_of_integrity(tmp_path: Path) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        done = whyledger(tmp_path / "state", "serve", "--port", port)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {port} of 127.0.0.1" in done.stderr
    assert not (tmp_path / "state").exists()


def test_a_ledger_out_of_reach_is_no_matter_of_integrity_either(tmp_path: Path) -> None:
    nobody = "postgresql://nobody@127.0.0.1:9/nothing"

    done = whyledger(tmp_path, "serve", "--port", "0", WHYLEDGER_DATABASE_URL=nobody)

    assert done.returncode == 20
    assert "Whyledger at" not in done.stderr


def test_a_refused_start_is_told_in_one_line_and_no_trace(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)

    done = whyledger(tmp_path, "serve", "--port", "0")

    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the ledger")


def test_the_address_is_told_when_it_answers_and_names_the_port_taken(tmp_path: Path) -> None:
    with served(environment(tmp_path), stderr=subprocess.DEVNULL) as (process, address):
        answer = httpx.get(f"{address}/readyz")
        process.send_signal(signal.SIGINT)
        assert process.wait(HANGS_SECONDS) == 0

    assert answer.status_code == 200


def test_told_to_end_it_ends_in_its_time_whoever_is_connected_and_whatever_hangs(
    sqlite_settings: Settings,
) -> None:
    open_ledger(sqlite_settings).close()
    patient = {"WHYLEDGER_BUSY_TIMEOUT_SECONDS": "300", "WHYLEDGER_SHUTDOWN_SECONDS": "2"}
    contract = (
        "POST /contracts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml\r\n"
        f"Content-Length: {len(CAR_PRICE)}\r\n\r\n"
    ).encode()
    theirs = environment(sqlite_settings.state_dir) | sqlite_settings.as_environment() | patient
    with (
        served(theirs, stderr=subprocess.PIPE) as (process, address),
        closing(sqlite3.connect(sqlite_settings.ledger_url.removeprefix("sqlite:///"))) as held,
    ):
        port = int(address.rpartition(":")[2])
        held.execute("BEGIN IMMEDIATE")  # whoever appends waits for five minutes
        with (
            socket.create_connection(("127.0.0.1", port)) as slow,
            socket.create_connection(("127.0.0.1", port)) as waiting,
        ):
            slow.sendall(contract)
            waiting.sendall(contract + CAR_PRICE)
            until(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=HANGS_SECONDS)[1]

    assert process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert "it is ended, and what it answered is kept" in said


def test_a_client_that_holds_on_leaves_no_trace_in_the_log_of_the_end(
    sqlite_settings: Settings,
) -> None:
    open_ledger(sqlite_settings).close()
    contract = (
        b"POST /contracts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/yaml\r\n"
        b"Content-Length: 10000\r\n\r\n"
    )
    theirs = environment(sqlite_settings.state_dir, WHYLEDGER_SHUTDOWN_SECONDS="4")
    theirs |= {"WHYLEDGER_DATABASE_URL": sqlite_settings.database_url}
    with served(theirs, stderr=subprocess.PIPE) as (process, address):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(contract)
            until(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=HANGS_SECONDS)[1]

    assert "Cancel 1 running task(s)" in said
    assert "Traceback" not in said
    assert "CancelledError" not in said


def test_a_start_that_fails_after_it_began_to_answer_ends_the_service_with_its_words(
    sqlite_settings: Settings,
) -> None:
    ledger = open_ledger(sqlite_settings)
    put(ledger, "observations-cars", *[refused()] * 6000)
    with ledger.writing() as connection:
        drop_guards(connection)
        connection.execute(delete(ENTRIES).where(ENTRIES.c.position == 5999))
        connection.execute(delete(POSITIONS))
    ledger.close()

    with subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "serve", "--port", "0"],
        cwd=REPOSITORY,
        env=environment(sqlite_settings.state_dir) | sqlite_settings.as_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = process.communicate(timeout=HANGS_SECONDS)[1]

    assert process.returncode == 3
    assert "Whyledger at http://127.0.0.1:" in said  # it answered
    assert said.splitlines()[-1].startswith("error: the ledger has no entry 5999, and others")
