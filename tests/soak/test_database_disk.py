"""PostgreSQL's own disk is full: 503 with Retry-After, nothing lost, and no restart of ours."""

from __future__ import annotations

import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from tests.patience import until
from tests.soak.conftest import StoppablePostgres
from tests.soak.service import Service, cars, send
from tests.soak.test_disk import assert_nothing_lost, assert_refused_for_later

SMALL_DISK = "256m"
ROOM_BYTES = 1024**2  # that are left when the rows begin to come
FILE_BYTES = 16 * 1024**2  # of any file where no small disk can be mounted: one WAL segment
BATCH = 1000
BATCHES_MAX = 100


class SmallDisk:
    """The file system of a PostgreSQL of one's own, or a bound to its files that does the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder)]
        self._mounted = not subprocess.run(command, check=False, capture_output=True).returncode
        self.postgres = StoppablePostgres(folder)

    def fill(self) -> None:
        """Leave `ROOM_BYTES`."""
        if self._mounted:
            free = shutil.disk_usage(self.folder).free
            (self.folder / "somebody elses").write_bytes(bytes(free - ROOM_BYTES))
        else:
            self._bound(FILE_BYTES)

    def make_room(self) -> None:
        """And let the database come back, should it have stopped itself."""
        if self._mounted:
            (self.folder / "somebody elses").unlink()
        else:
            self._bound(resource.RLIM_INFINITY)
        self.postgres.start()

    def close(self) -> None:
        self.postgres.close()
        if self._mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _bound(self, bytes_max: int) -> None:
        for process in self.postgres.processes():
            _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
            resource.prlimit(process, resource.RLIMIT_FSIZE, (bytes_max, hard))


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    made = SmallDisk(Path(tempfile.mkdtemp(prefix="whyledger-disk-")))
    yield made
    made.close()


def test_a_full_disk_of_the_database_is_answered_with_503_and_needs_no_restart(
    small_disk: SmallDisk, tmp_path: Path
) -> None:
    settings = Settings(
        database_url=small_disk.postgres.url,
        state_dir=tmp_path / "state",
        busy_timeout_seconds=2,
    )
    acknowledged: dict[str, int] = {}
    with Service(settings) as service, service.client() as client:
        service.adopt()
        small_disk.fill()
        for number in range(BATCHES_MAX):
            answer = send(client, cars(number * BATCH, BATCH))
            if answer.status_code != 201:
                break
            acknowledged |= {each["id"]: each["position"] for each in answer.json()["recorded"]}
        assert_refused_for_later(answer, "")
        small_disk.make_room()
        until(lambda: client.get("/readyz").status_code == 200)
        answer = send(client, cars(number * BATCH, BATCH))  # the same ids once more
        assert answer.status_code == 201, answer.text
        acknowledged |= {each["id"]: each["position"] for each in answer.json()["recorded"]}
        assert len(acknowledged) == (number + 1) * BATCH
        assert service.process.poll() is None
    assert_nothing_lost(settings, acknowledged)
