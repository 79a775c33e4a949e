"""A service takes no more connections than it may open files for, and says so."""

from __future__ import annotations

import logging
import os
import resource
import shlex
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.database.storage import StorageFailed
from app.http.open_files import OWN_FILES, fitting, no_file_left
from tests.app.cli.command_line import environment
from tests.app.cli.served import SERVE, served
from tests.patience import HANGS_SECONDS

LIMIT = 128


@pytest.mark.parametrize("limit", [None, 20_000])
def test_where_there_is_room_what_is_wanted_is_taken(limit: int | None) -> None:
    assert fitting(500, limit, 30) == (500, "")


def test_where_there_is_less_room_what_fits_is_taken_and_the_limit_that_would_do_is_named() -> None:
    most, said = fitting(500, 256, 30)
    assert most == int((256 - 30 - OWN_FILES) / 1.2)
    assert f"at most {most} connections are taken, and not the 500" in said
    enough = int(said.rpartition(" to ")[2].split()[0])
    assert fitting(500, enough, 30) == (500, "")


def test_where_there_is_no_room_for_a_service_none_begins() -> None:
    with pytest.raises(StorageFailed, match=r"may open 40 files, and a service needs at least 107"):
        fitting(500, 40, 30)
    assert fitting(500, 107, 30)[0] == 10


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a service that may open few files, and its log."""
    log = tmp_path / "log"
    words = ("sh", "-c", f"ulimit -n {LIMIT}; exec {shlex.join(SERVE)}")
    with (
        log.open("wb") as said,
        served(environment(tmp_path / "state"), stderr=said, words=words) as (process, address),
    ):
        yield address, log
        process.send_signal(signal.SIGINT)
        assert process.wait(HANGS_SECONDS) == 0


def test_more_idle_clients_than_files_leave_every_route_an_answer(narrow: tuple[str, Path]) -> None:
    address, log = narrow
    port = httpx.URL(address).port
    with ExitStack() as clients:
        for _ in range(2 * LIMIT):
            clients.enter_context(socket.create_connection(("127.0.0.1", port or 0)))
        time.sleep(1.1)  # the shortest pause that is a reason to make room
        for path in ("/readyz", "/models", "/ledger/checkpoint?new=true"):
            assert httpx.get(address + path).status_code in {200, 503}
    assert f"may open {LIMIT} files: at most" in log.read_text()


def test_no_file_left_is_said_in_words(caplog: pytest.LogCaptureFixture) -> None:
    assert no_file_left() is None
    caplog.set_level(logging.ERROR)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        found = no_file_left()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found is not None
    assert found.message.startswith(f"{os.devnull} cannot be used: ")
    assert "ulimit -n" in found.message
