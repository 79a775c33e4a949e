"""PostgreSQL's own disk is full: 503 with Retry-After, nothing lost, and no restart of ours."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.settings import Settings
from tests.patience import until
from tests.postgres import bound_files
from tests.soak.conftest import StoppablePostgres
from tests.soak.service import Service, cars, send
from tests.soak.test_disk import assert_nothing_lost, assert_refused_for_later

SMALL_DISK = "256m"
ROOM_BYTES = 1024**2  # that are left when the rows begin to come
FILE_BYTES = 16 * 1024**2  # of any file where no small disk can be mounted: one WAL segment
BATCH = 1000
BATCHES_MAX = 200  # to end where a disk is never full
SHORT = (False,)  # whether files are bound though a disk could be mounted
LONG = (False, True, False, True)


class SmallDisk:
    """The file system of a PostgreSQL of one's own, or a bound to its files that does the same."""

    def __init__(self, folder: Path, *, bound: bool) -> None:
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder)]
        self.mounted = (
            not bound and not subprocess.run(command, check=False, capture_output=True).returncode
        )
        self.postgres = StoppablePostgres(folder / "data")

    def fill(self) -> None:
        """Leave `ROOM_BYTES`."""
        if self.mounted:
            free = shutil.disk_usage(self.folder).free
            (self.folder / "somebody elses").write_bytes(bytes(free - ROOM_BYTES))
        else:
            bound_files(self.postgres.processes(), FILE_BYTES)

    def make_room(self) -> None:
        """And let the database come back, should it have stopped itself."""
        if self.mounted:
            (self.folder / "somebody elses").unlink()
        else:
            bound_files(self.postgres.processes(), "unlimited")
        self.postgres.start()

    def close(self) -> None:
        self.postgres.close()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def small_disk(*, bound: bool) -> Iterator[SmallDisk]:
    made = SmallDisk(Path(tempfile.mkdtemp(prefix="whyledger-disk-")), bound=bound)
    try:
        yield made
    finally:
        made.close()


def test_a_full_disk_of_the_database_is_answered_with_503_and_needs_no_restart(
    tmp_path: Path, soaking: bool
) -> None:
    tried = []
    for number, bound in enumerate(LONG if soaking else SHORT):
        with small_disk(bound=bound) as disk:
            events = fills_up(disk, tmp_path / f"state {number}")
            what = "a small disk" if disk.mounted else "a bound to each file"
        tried.append(f"{what}: {events:,} events acknowledged, none lost")
    print("\n".join(["", *tried]))  # noqa: T201 the table that `make soak` shows


def large(number: int) -> list[dict[str, object]]:
    """A batch whose events have an entry each, which fill a file sooner than rows of one entry."""
    return [{**each, "filling": "x" * 500} for each in cars(number * BATCH, BATCH)]


def fills_up(small_disk: SmallDisk, state: Path) -> int:
    """A service on it is sent rows until there is no room, and those again once there is.

    Returns:
        How many events it acknowledged.
    """
    settings = Settings(
        database_url=small_disk.postgres.url,
        state_dir=state,
        busy_timeout_seconds=2,
    )
    acknowledged: dict[str, int] = {}
    with Service(settings) as service, service.client() as client:
        service.adopt()
        small_disk.fill()
        for number in range(BATCHES_MAX):
            answer = send(client, large(number))
            if answer.status_code != 201:
                break
            acknowledged |= {each["id"]: each["position"] for each in answer.json()["recorded"]}
        assert_refused_for_later(answer, "")
        small_disk.make_room()
        until(lambda: client.get("/readyz").status_code == 200)
        answer = send(client, large(number))  # the same ids once more
        assert answer.status_code == 201, answer.text
        acknowledged |= {each["id"]: each["position"] for each in answer.json()["recorded"]}
        assert len(acknowledged) == (number + 1) * BATCH
        assert service.process.poll() is None
    assert_nothing_lost(settings, acknowledged)
    return len(acknowledged)
