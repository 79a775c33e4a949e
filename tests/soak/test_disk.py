"""The disk is full, or slow: 503 with Retry-After, nothing lost, and no restart afterwards."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from random import Random

import httpx2
import pytest

from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from tests.app.http.routes.every_route import EVERY
from tests.app.http.routes.running import AMC
from tests.soak.service import Service, cars, send
from tests.soak.watching import Watch

SLOW_DISK = Path(__file__).with_name("slow_disk.c")
ROOM_BYTES = 512 * 1024  # beyond what the files hold already
ROOM_BYTES_MAX = 2 * 1024 * 1024  # as much in the long form, by chance
ROUNDS_LONG = 8  # the disk is full, and is not, again and again under one service
SEED = 9
SMALL_DISK = "24m"
BATCH = 50
BATCHES_MAX = 2_000  # to end where a disk is never full
SLOW_SECONDS = 3
QUEUED_EVENTS = 16_000  # more than the writer lets wait


def assert_refused_for_later(
    answer: httpx2.Response, said: str, kind: str = "ledger-unwritable"
) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["type"] == f"urn:whyledger:problem:{kind}"
    assert said in answer.json()["detail"]


def rooms(soaking: bool) -> list[int]:
    """Bytes that are left in each round."""
    random = Random(SEED)
    more = [random.randrange(64 * 1024, ROOM_BYTES_MAX) for _ in range(ROUNDS_LONG)]
    return [ROOM_BYTES, *(more if soaking else ())]


def tell(what: str, rounds: int, acknowledged: dict[str, int]) -> None:
    """A line of the table that `make soak` shows."""
    print(f"\n{what}: {rounds} times, {len(acknowledged):,} events acknowledged, none lost")  # noqa: T201


def fill(client: httpx2.Client, first: int) -> tuple[dict[str, int], int, httpx2.Response]:
    """Send cars from batch `first` on until one is refused: acknowledged, its number, refusal."""
    acknowledged: dict[str, int] = {}
    for number in range(first, first + BATCHES_MAX):
        answer = send(client, cars(number * BATCH, BATCH))
        if answer.status_code != 201:
            return acknowledged, number, answer
        acknowledged |= {each["id"]: each["position"] for each in answer.json()["recorded"]}
    raise AssertionError("the disk was never full")


def assert_nothing_lost(settings: Settings, acknowledged: dict[str, int]) -> None:
    ledger = open_ledger(settings)
    watch = Watch(ledger)
    watch.look()
    watch.assert_kept(acknowledged)
    assert rebuild(ledger).differing == ()
    ledger.close()


def send_again(client: httpx2.Client, number: int) -> dict[str, int]:
    """The batch that was refused, the same ids once more."""
    answer = send(client, cars(number * BATCH, BATCH))
    assert answer.status_code == 201, answer.text
    return {each["id"]: each["position"] for each in answer.json()["recorded"]}


def test_a_full_quota_is_answered_with_503_and_needs_no_restart(
    sqlite_settings: Settings, soaking: bool
) -> None:
    folder = Path(sqlite_settings.ledger_url.removeprefix("sqlite:///")).parent
    acknowledged: dict[str, int] = {}
    refused = -1
    with Service(sqlite_settings) as service, service.client() as client:
        service.adopt()
        process, (_, hard) = service.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        for room in rooms(soaking):
            largest = max(path.stat().st_size for path in folder.glob("ledger.db*"))
            resource.prlimit(process, resource.RLIMIT_FSIZE, (largest + room, hard))
            taken, refused, answer = fill(client, refused + 1)
            assert_refused_for_later(answer, "cannot write: disk I/O error")
            assert client.get("/events", params={"cursor": 0}).status_code == 200  # reads go on
            resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
            acknowledged |= taken | send_again(client, refused)
        assert service.process.poll() is None
    assert_nothing_lost(sqlite_settings, acknowledged)
    tell("a full quota", len(rooms(soaking)), acknowledged)


def test_too_many_open_files_are_answered_with_503_and_need_no_restart(
    sqlite_settings: Settings, soaking: bool
) -> None:
    row = {**AMC, "price": 4.9}
    csv = ",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n"

    def upload() -> httpx2.Response:
        path, kind = "/models/car-price/datasets", {"Content-Type": "text/csv"}
        return client.post(path, content=csv, headers=kind)

    with Service(sqlite_settings) as service, service.client() as client:
        service.adopt()
        assert client.get("/models").status_code == 200  # a connection that stays
        process = service.process.pid
        soft, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
        for _ in range(ROUNDS_LONG if soaking else 1):
            resource.prlimit(process, resource.RLIMIT_NOFILE, (3, hard))  # and no further file
            refused = upload()
            others = {asked: asked.send(client).status_code for asked in EVERY}
            resource.prlimit(process, resource.RLIMIT_NOFILE, (soft, hard))
            bad = {asked: code for asked, code in others.items() if code >= 500 and code != 503}
            assert bad == {}
            assert refused.status_code == 503, refused.text
            assert int(refused.headers["Retry-After"]) >= 1
            assert "Too many open files" in refused.json()["detail"]
            assert upload().status_code == 200
        assert service.process.poll() is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of `SMALL_DISK`; None where this user may mount none."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(mounted)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        yield None
        return
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_full_disk_is_answered_with_503_and_needs_no_restart(
    small_disk: Path | None, tmp_path: Path, soaking: bool
) -> None:
    disk = small_disk or tmp_path / "no mount"
    settings = Settings(database_url=f"sqlite:///{disk / 'ledger.db'}", state_dir=tmp_path / "s")
    open_ledger(settings).close()
    acknowledged: dict[str, int] = {}
    refused = -1
    sizes = [room // 4 for room in rooms(soaking)] if soaking else rooms(soaking)
    with Service(settings) as service, service.client() as client:
        service.adopt()
        process, (_, hard) = service.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        for room in sizes:
            if small_disk is None:  # a database that may not grow is as full
                largest = max(path.stat().st_size for path in disk.glob("ledger.db*"))
                resource.prlimit(process, resource.RLIMIT_FSIZE, (largest + room, hard))
            else:
                other = small_disk / "somebody elses"
                other.write_bytes(bytes(shutil.disk_usage(small_disk).free - room))
            taken, refused, answer = fill(client, refused + 1)
            assert_refused_for_later(answer, "cannot write: ")
            if small_disk is None:
                resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
            else:
                other.unlink()
            acknowledged |= taken | send_again(client, refused)
        assert service.process.poll() is None
    assert_nothing_lost(settings, acknowledged)
    tell("a full disk", len(sizes), acknowledged)


@pytest.fixture(scope="module")
def slowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes a disk slow."""
    library = tmp_path_factory.mktemp("slow") / "slow_disk.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SLOW_DISK), "-ldl"], check=True
    )
    return library


def test_a_slow_disk_fills_the_queue_and_the_queue_answers_503_until_it_is_quick_again(
    sqlite_settings: Settings, slowing: Path, tmp_path: Path
) -> None:
    slowness = tmp_path / "slowness"
    environment = {"LD_PRELOAD": str(slowing), "SLOW_DISK": str(slowness)}
    with Service(sqlite_settings, environment) as service:
        service.adopt()
        slowness.write_text(str(SLOW_SECONDS * 1000))
        batches = [cars(first, 1000) for first in range(0, QUEUED_EVENTS, 1000)]

        def one(batch: list[dict[str, object]]) -> httpx2.Response:
            with service.client() as client:
                return send(client, batch)

        with ThreadPoolExecutor(len(batches)) as pool:
            answers = []
            for done in as_completed([pool.submit(one, batch) for batch in batches]):
                answers.append(done.result())
                if answers[-1].status_code == 503:
                    assert_refused_for_later(answers[-1], "nothing was kept", "ledger-busy")
                    slowness.unlink(missing_ok=True)  # it is quick again
        assert {answer.status_code for answer in answers} == {201, 503}
        acknowledged: dict[str, int] = {}
        for batch in batches:  # all again: what was taken is not taken twice
            answer = one(batch)
            assert answer.status_code == 201, answer.text
            acknowledged |= {each["id"]: each["position"] for each in answer.json()["recorded"]}
        assert len(acknowledged) == QUEUED_EVENTS
    assert_nothing_lost(sqlite_settings, acknowledged)
