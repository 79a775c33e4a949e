"""Hostile bodies from many clients, and what a good prediction takes beside them.

Each is compared with good bodies of the same bytes from as many clients: whoever sends something
that is refused must not hold the others up more than whoever sends something that is taken.
"""

from __future__ import annotations

import gzip
import os
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import pytest
from sqlalchemy import make_url

from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.http.listening import all_of, request
from tests.app.http.routes.running import AMC, CLOUDEVENTS, observation, plan_bytes, promote
from tests.app.http.routes.test_hostile_bodies import HOSTILE
from tests.patience import HANGS_SECONDS, until
from tests.soak.service import Service
from tests.soak.tables import Show

CLIENTS = {True: 40, False: 8}
SENDERS = 10  # at once, of each kind, in a round of everything
ROWS_MAX = 100  # of a good body: with more, what is taken would wait for the disk, and not for us
RATIO_MAX = 1.5  # p99 beside hostile bodies, as a multiple of that beside good ones
MEMORY_MAX = 1.05  # after a second round of everything, as a multiple of the most before it
# What a service holds as soon as it has been asked once (connections to the database, threads) is
# opened by one round more, before the first that is compared.
ROUNDS_KEPT = ("warm-up", "1", "2")
# glibc keeps freed memory for each thread, a little more at each round for some ten of them: with
# one arena for all, what is measured is what the service keeps.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}
HURRIED = {"head_seconds_max": 1.0, "stall_seconds_max": 3.0}  # so that whoever is slow is cut soon
UNREAD = 8  # answers asked for and not read, far more than the sockets between hold
# Those that FastAPI and asyncio keep, and the service's own; they are begun as they are needed.
THREADS_MAX = 40 + min(32, (os.cpu_count() or 1) + 4) + 10
ROUNDS = {True: 3, False: 1}  # of each, hostile and good by turns; the median counts
ROUNDS_MORE = 6  # in the long form, of what is not clearly below the bound by then
CLEARLY = 0.8  # of the bound
SECONDS = {True: 4.0, False: 0.5}  # of one round
SHORT = ("rows without a column", "numbers that are none")  # those that `make test` looks at
# On PostgreSQL those that come to the database, and two that do not: what else is judged before.
OF_POSTGRES = (*SHORT, "events of rows without a column", "a file of lines that are none")
RAW = {  # what is hostile as a connection, not as a body
    "requests behind each other": b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000
    + request("GET", "/x"),
    "chunks of one byte": request("POST", "/predictions", "Content-Type: application/json").replace(
        b"Content-Length: 0", b"Transfer-Encoding: chunked"
    )
    + b"1\r\n[\r\n" * 40_000
    + b"0\r\n\r\n",
    "gzip of blank lines": request(
        "POST",
        "/models/car-price/datasets",
        "Content-Type: text/csv",
        "Content-Encoding: gzip",
        body=gzip.compress(b"year,price\n" + b"\n" * 10_000_000),
    ),
}
EVERY = (*HOSTILE, *RAW)
LOOKS_MIN = 5
JSON = "Content-Type: application/json"
GOOD = request("POST", "/predictions", JSON, body=orjson.dumps({"model": "car-price", "row": AMC}))


def good_of(size: int, path: str) -> tuple[str, str, bytes]:
    """A body of as many bytes that is taken: as many rows as it has room for, at most ROWS_MAX."""
    if path == "/events":
        one = len(orjson.dumps(observation("000000"))) + 1
        many = [observation(f"{n:06}") for n in range(max(1, min(ROWS_MAX, size // one)))]
        return path, CLOUDEVENTS, orjson.dumps(many).ljust(size)
    rows = max(1, min(ROWS_MAX, size // (len(orjson.dumps(AMC)) + 1)))
    body = orjson.dumps({"model": "car-price", "rows": [AMC] * rows})
    return "/predictions", "application/json", body.ljust(size)


def hostile_of(name: str) -> tuple[bytes, str, int]:
    """What is sent, the path whose good bodies it is compared with, and the bytes of those."""
    if name in RAW:
        return RAW[name], "/predictions", len(RAW[name])
    path, kind, text, _ = HOSTILE[name]
    body = text.encode() if isinstance(text, str) else text
    return request("POST", path, f"Content-Type: {kind}", body=body), path, len(body)


@contextmanager
def clients(port: int, sent: bytes, number: int) -> Iterator[None]:
    """So many that send the same again and again until the block ends."""
    over = threading.Event()

    def one() -> None:
        while not over.is_set():
            ask(port, sent)

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def ask(port: int, sent: bytes) -> bytes:
    """The answer; empty where the connection was cut."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        try:
            connection.sendall(sent)
        except ConnectionError:
            pass  # a body that is too large is not read to its end
        return all_of(connection)


def p99(port: int, seconds: float) -> float:
    """The 99th percentile of a good prediction's seconds, one after the other for so long."""
    taken: list[float] = []
    until_then = time.monotonic() + seconds
    while time.monotonic() < until_then or len(taken) < LOOKS_MIN:
        began = time.monotonic()
        answer = ask(port, GOOD)
        taken.append(time.monotonic() - began)
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:300]
    return statistics.quantiles(taken, n=100, method="inclusive")[98]


def beside(port: int, sent: bytes, soaking: bool) -> float:
    """The p99 of a good prediction beside clients that send this."""
    with clients(port, sent, CLIENTS[soaking]):
        return p99(port, SECONDS[soaking])


def in_turns(
    port: int, hostile: bytes, good: bytes, rounds: int, soaking: bool
) -> tuple[list[float], list[float]]:
    """The p99 beside clients that send the one, and beside those that send the other."""
    bad, well = [], []
    for _ in range(rounds):
        bad.append(beside(port, hostile, soaking))
        well.append(beside(port, good, soaking))
    return bad, well


def ratio(bad: Iterable[float], well: Iterable[float]) -> float:
    """The medians, as a multiple."""
    return statistics.median(bad) / statistics.median(well)


@contextmanager
def serving(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Service, int]]:
    """A service with a champion, and its port."""
    with Service(settings, environment) as running:
        running.adopt()
        ledger = open_ledger(settings)
        promote(ledger, 1, plan_bytes(0.25))
        ledger.close()
        with running.client() as client:
            until(lambda: client.get("/models/car-price").json()["answers"] is not None)
        yield running, int(running.address.rpartition(":")[2])


@pytest.fixture
def service(settings: Settings) -> Iterator[tuple[Service, int]]:
    with serving(settings) as running:
        yield running


@pytest.fixture
def hurried(sqlite_settings: Settings) -> Iterator[tuple[Service, int]]:
    """One that soon cuts whoever is slow."""
    with serving(sqlite_settings.model_copy(update=HURRIED), ONE_ARENA) as running:
        yield running


def test_a_hostile_body_holds_nobody_up_more_than_a_good_one_of_its_bytes(
    service: tuple[Service, int], settings: Settings, soaking: bool, show: Show
) -> None:
    _, port = service
    database = make_url(settings.database_url).get_backend_name()
    every = EVERY if database == "sqlite" else OF_POSTGRES
    lines = [
        "| what 40 clients send | bytes | p99 beside it, as a multiple |",
        "| --- | --: | --: |",
    ]
    ratios: dict[str, float] = {}
    for name in every if soaking else SHORT:
        hostile, path, size = hostile_of(name)
        good_path, good_kind, good_body = good_of(size, path)
        good = request("POST", good_path, f"Content-Type: {good_kind}", body=good_body)
        assert ask(port, good)[9:12] in (b"200", b"201")
        refused = {404, 413, 422} | ({HOSTILE[name][3]} if name in HOSTILE else set())
        answer = ask(port, hostile)
        assert not answer or int(answer[9:12]) in refused, answer[:300]
        bad, well = in_turns(port, hostile, good, ROUNDS[soaking], soaking)
        if soaking and ratio(bad, well) > CLEARLY * RATIO_MAX:
            more = in_turns(port, hostile, good, ROUNDS_MORE, soaking)
            bad, well = bad + more[0], well + more[1]
        ratios[name] = ratio(bad, well)
        print(  # noqa: T201 how far it is
            f"{ratios[name]:5.2f}  p99 {statistics.median(bad) * 1e3:7.1f} ms beside hostile, "
            f"{statistics.median(well) * 1e3:7.1f} ms beside good: {size:>9,} bytes, {name}",
            flush=True,
        )
        lines.append(f"| {name} | {size:,} | {ratios[name]:.2f} |")
    show(f"hostile bodies, {database}", "\n".join(lines))
    if soaking:
        assert {name: r for name, r in ratios.items() if r > RATIO_MAX} == {}


def test_what_clients_leave_behind_keeps_no_memory_and_no_thread(
    hurried: tuple[Service, int], soaking: bool, show: Show
) -> None:
    running, port = hurried
    kept = {n: after_a_round(running, port, EVERY if soaking else SHORT) for n in ROUNDS_KEPT}
    rounds = ["| after round | memory, MB | threads |", "| --- | --: | --: |"]
    rounds += [f"| {n} | {mb:.1f} | {count} |" for n, (mb, count) in kept.items()]
    show("rounds", "\n".join(rounds))
    (warm, _), (first, _), (second, threads) = kept.values()
    assert threads <= THREADS_MAX
    if soaking:
        assert second <= max(warm, first) * MEMORY_MAX


def after_a_round(running: Service, port: int, names: Iterable[str]) -> tuple[float, int]:
    """Memory (MB) and threads of the service after every body, also of who leaves or is slow."""
    senders: list[Callable[[], object]] = [partial(begin, port), partial(leave_unread, port)]
    for name in names:
        whole, _, _ = hostile_of(name)
        senders += [partial(ask, port, whole), partial(leave, port, whole)]
    for sender in senders:
        threads = [threading.Thread(target=sender) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with running.client() as client:
        assert client.get("/readyz").status_code == 200
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return int(said["VmRSS"].split()[0]) / 1024, int(said["Threads"])


def leave(port: int, sent: bytes) -> None:
    """Send half of it, and go."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        try:
            connection.sendall(sent[: len(sent) // 2])
        except ConnectionError:
            return


def begin(port: int) -> None:
    """Begin a head, and hold on until the service cuts the connection."""
    with socket.create_connection(("127.0.0.1", port), HANGS_SECONDS) as connection:
        connection.sendall(b"GET /models HTT")
        assert b" 200 " not in all_of(connection)


def leave_unread(port: int) -> None:
    """Ask for long answers and read none of them until the service has cut the connection."""
    asked = request("GET", "/openapi.json", "Connection: keep-alive") * UNREAD
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(HANGS_SECONDS)
        connection.connect(("127.0.0.1", port))
        connection.sendall(asked)
        time.sleep(HURRIED["stall_seconds_max"] * 1.5)
        assert all_of(connection).count(b"HTTP/1.1 200 ") < UNREAD
