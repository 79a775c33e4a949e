"""The state is its owner's alone, whatever the umask of who starts us; a wider one is mended."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.database.private_files import keep_private, narrow_state
from app.database.rows_file import ledger_file, rows_files
from app.process import Process
from app.settings import Settings
from app.training.versioning import track
from tests.repository import REPOSITORY

POLICY = REPOSITORY / "rules" / "policies" / "strict-and.yaml"


def open_to_others(folder: Path) -> list[str]:
    """What others may look into or read, below the folder and it."""
    return [
        f"{path} {path.lstat().st_mode & 0o777:o}"
        for path in (folder, *folder.rglob("*"))
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]


@pytest.fixture
def umask() -> Iterator[None]:
    """As a process of ours sets it; put back afterwards."""
    before = os.umask(0)
    keep_private()
    yield
    os.umask(before)


def ran(module: str, *words: str, settings: Settings) -> subprocess.CompletedProcess[str]:
    """A process of ours, started by somebody whose umask lets everybody do everything."""
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        env=os.environ | settings.as_environment(),
        capture_output=True,
        text=True,
        check=False,
        umask=0,
    )


def test_a_command_makes_the_state_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    done = ran("app.cli.main", "adopt", str(POLICY), settings=settings)
    said = [line for line in done.stderr.splitlines() if not line.startswith("waiting for ")]
    assert (done.returncode, said) == (0, []), "a busy machine may be waited for"
    assert (tmp_path / "state" / "ledger.db").exists()
    assert open_to_others(tmp_path / "state") == []


@pytest.mark.parametrize(
    "module",
    ["app.cycle.worker", "app.cycle.whatif_worker", "app.database.migrating", "app.database.roles"],
)
def test_every_process_begins_by_keeping_what_it_makes_private(module: str) -> None:
    path = REPOSITORY / Path(*module.split(".")).with_suffix(".py")
    _, begun = path.read_text().split('if __name__ == "__main__":\n')
    assert begun.lstrip().startswith("keep_private()\n")


def test_a_worker_mends_what_was_wider_and_its_log_says_so(sqlite_settings: Settings) -> None:
    state = sqlite_settings.state_dir
    (state / "merged").mkdir(parents=True)
    state.chmod(0o755)
    (state / "merged" / "rows.csv").touch(0o644)
    done = ran("app.cycle.worker", "cars-1", settings=sqlite_settings)
    assert "were open to others, and are not any more" in done.stderr
    assert open_to_others(state) == []


def test_the_service_mends_what_was_wider_and_says_so(
    sqlite_settings: Settings, caplog: pytest.LogCaptureFixture, umask: None
) -> None:
    state = sqlite_settings.state_dir
    for name in ("keys", "logs", "merged", "mlartifacts", "quarantine", "registry"):
        (state / name).mkdir(parents=True)
        (state / name).chmod(0o755)
        (state / name / "file").touch()
        (state / name / "file").chmod(0o644)
    (state / "quarantine" / "left.part").touch()
    ledger = ledger_file(sqlite_settings.database_url)
    for path in (state, ledger, *rows_files(ledger)):
        path.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        process = Process.start(sqlite_settings)
    try:
        assert "15 files and directories of the state in" in caplog.text
        assert open_to_others(state) == []
        assert not (state / "quarantine" / "left.part").exists()
    finally:
        process.close()
    assert narrow_state(sqlite_settings) == 0


def test_what_is_not_ours_and_what_is_elsewhere_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "home"
    (state / "photos").mkdir(parents=True)
    (state / "merged").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (state / "merged" / "link").symlink_to(tmp_path / "elsewhere")
    for path in (state, state / "photos", tmp_path / "elsewhere"):
        path.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        narrow_state(Settings(state_dir=state))
    assert "it holds what is not ours (photos): its mode is left" in caplog.text
    assert [path.stat().st_mode & 0o777 for path in (state, state / "photos")] == [0o755, 0o755]
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o755
    assert (state / "merged").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_what_a_database_keeps_beside_its_file_is_ours(tmp_path: Path, end: str) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    settings = Settings(database_url=f"sqlite:///{elsewhere}", state_dir=tmp_path / "state")
    settings.state_dir.mkdir()
    beside = [settings.state_dir / f"{name}{end}" for name in ("ledger.db", "mlflow.db")]
    beside.append(elsewhere.with_name(elsewhere.name + end))
    for path in beside:
        path.touch()
        path.chmod(0o644)
    settings.state_dir.chmod(0o755)
    assert narrow_state(settings) == 4
    assert open_to_others(settings.state_dir) == []
    assert beside[-1].stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_narrowed_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state" / "keys").mkdir(parents=True)
    for path in (tmp_path / "state", tmp_path / "state" / "keys"):
        path.chmod(0o755)

    def read_only(path: Path, mode: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "chmod", read_only)
    with caplog.at_level(logging.WARNING):
        assert narrow_state(Settings(state_dir=tmp_path / "state")) == 0
    assert caplog.text.count("cannot be narrowed: Read-only file system") == 2


def test_a_signing_key_that_others_could_read_is_left_for_its_owner_to_hear_of(
    tmp_path: Path,
) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    settings.signing_key_path.parent.mkdir(parents=True)
    settings.signing_key_path.touch()
    settings.signing_key_path.chmod(0o644)
    narrow_state(settings)
    assert settings.signing_key_path.stat().st_mode & 0o777 == 0o644


def test_dvc_keeps_nothing_for_others(tmp_path: Path, umask: None) -> None:
    data = tmp_path / "merged" / "car-price" / "car-price-1.csv"
    data.parent.mkdir(parents=True)
    data.write_text("year,price\n1971,4.9\n")
    track(tmp_path / "merged", data)
    assert open_to_others(tmp_path / "merged") == []
