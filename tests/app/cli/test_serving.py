"""`whyledger serve`: it says where it listens once it does, and one line when it cannot."""

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest
from sqlalchemy import delete

from app.ledger.tables import ENTRIES
from app.projections.opening import open_ledger
from app.projections.positions import POSITIONS
from app.settings import Settings
from tests.app.cli.command_line import environment, whyledger
from tests.app.cli.served import SERVE, served
from tests.app.http.routes.running import CAR_PRICE
from tests.app.proof.forger import drop_guards
from tests.ledger_events import put, refused
from tests.patience import HANGS_SECONDS, until
from tests.repository import REPOSITORY

ENDED: Final = (128 + signal.SIGTERM, -signal.SIGTERM)
# By the service, before the test gives up: what hangs goes on hanging until the service has ended.
NOBODY_IS_CUT: Final = {
    "WHYLEDGER_HEAD_SECONDS_MAX": "3600",
    "WHYLEDGER_STALL_SECONDS_MAX": "3600",
}


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
    patient |= NOBODY_IS_CUT
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

    assert process.returncode in ENDED
    assert "it is ended, and what it answered is kept" in said


@pytest.mark.parametrize("sends", ["nothing more", "a byte now and then"])
def test_a_client_in_a_body_without_end_holds_nobody_and_leaves_no_trace_in_the_log(
    sqlite_settings: Settings, sends: str
) -> None:
    open_ledger(sqlite_settings).close()
    contract = (
        b"POST /contracts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/yaml\r\n"
        b"Content-Length: 1000000\r\n\r\n"
    )
    theirs = environment(sqlite_settings.state_dir, **NOBODY_IS_CUT, WHYLEDGER_SHUTDOWN_SECONDS="4")
    theirs |= {"WHYLEDGER_DATABASE_URL": sqlite_settings.database_url}
    with served(theirs, stderr=subprocess.PIPE) as (process, address):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(contract)
            if sends != "nothing more":
                threading.Thread(target=drip, args=(slow,), daemon=True).start()
            until(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=HANGS_SECONDS)[1]

    assert process.returncode in ENDED
    assert "Cancel 1 running task(s)" in said
    assert "Traceback" not in said
    assert "CancelledError" not in said


def drip(client: socket.socket) -> None:
    """A body that goes on for longer than anybody waits."""
    with suppress(OSError):  # the service has ended
        while True:
            client.sendall(b"#")
            time.sleep(0.05)


def test_an_anchor_that_never_answers_holds_nobody_either(sqlite_settings: Settings) -> None:
    """Ours are given up after seconds, so here they are more patient than this test."""
    open_ledger(sqlite_settings).close()
    patient = (
        "import app.proof.anchors as anchors; anchors.SECONDS = 3600.0;"
        " anchors._WHOLE_SECONDS = 7200.0; from app.cli.main import main; main()"
    )
    words = (sys.executable, "-c", patient, *SERVE[3:])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(HANGS_SECONDS)
        theirs = environment(
            sqlite_settings.state_dir,
            WHYLEDGER_DATABASE_URL=sqlite_settings.database_url,
            WHYLEDGER_ANCHOR_WEBHOOK=f"http://127.0.0.1:{silent.getsockname()[1]}/keep",
            WHYLEDGER_SHUTDOWN_SECONDS="2",
        )
        with served(theirs, stderr=subprocess.PIPE, words=words) as (process, address):
            note = httpx.get(f"{address}/ledger/checkpoint", params={"new": True}).text
            with closing(silent.accept()[0]):  # and it is not answered
                process.send_signal(signal.SIGTERM)
                said = process.communicate(timeout=HANGS_SECONDS)[1]

    assert process.returncode == 128 + signal.SIGTERM
    assert "it is ended, and what it answered is kept" in said
    with closing(sqlite3.connect(sqlite_settings.ledger_url.removeprefix("sqlite:///"))) as left:
        assert (note,) in left.execute("SELECT note FROM checkpoints").fetchall()


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
