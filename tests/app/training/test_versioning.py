"""The real DVC accepts our pointers, and notices when the data no longer fits them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from app.training.third_party import their_warnings
from app.training.versioning import track
from domain.errors import TrainingFailed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "merged" / "car-price" / "car-price-1.csv"
    path.parent.mkdir(parents=True)
    path.write_text("year,price\n1971,4.9\n")
    return path


@their_warnings()
def changed(repository: Path, pointer: Path) -> list[str]:
    """What `dvc status` says differs between `pointer` and its data; empty when nothing does."""
    own_cache = {"core": {"site_cache_dir": str(repository / ".dvc" / "tmp" / "site")}}
    with Repo(str(repository), config=own_cache) as repo:
        return sorted(repo.status([str(pointer)]))


def test_the_pointer_names_the_data_and_dvc_finds_nothing_changed(
    tmp_path: Path, data: Path
) -> None:
    pointer = track(tmp_path / "merged", data)
    assert pointer == data.with_name("car-price-1.csv.dvc")
    (out,) = yaml.safe_load(pointer.read_text())["outs"]
    assert out["path"] == "car-price-1.csv"
    assert out["md5"] == hashlib.md5(data.read_bytes(), usedforsecurity=False).hexdigest()
    assert changed(tmp_path / "merged", pointer) == []


def test_what_of_dvc_asks_for_more_than_a_notice_is_not_loaded(tmp_path: Path, data: Path) -> None:
    """docs/dependencies.md says so of what comes with DVC under the GPL or the EPL."""
    track(tmp_path / "merged", data)
    assert not {"asyncssh", "grandalf", "pygit2"} & set(sys.modules)


def test_tracking_again_changes_nothing(tmp_path: Path, data: Path) -> None:
    pointer = track(tmp_path / "merged", data)
    before = pointer.read_bytes()
    assert track(tmp_path / "merged", data) == pointer
    assert pointer.read_bytes() == before


def test_changed_data_shows(tmp_path: Path, data: Path) -> None:
    pointer = track(tmp_path / "merged", data)
    data.unlink()
    data.write_text("year,price\n1971,5.9\n")
    (found,) = changed(tmp_path / "merged", pointer)
    assert found.endswith("car-price/car-price-1.csv.dvc")


def test_the_command_line_of_dvc_agrees_and_nothing_leaves_the_folder(
    tmp_path: Path, data: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "DVC_NO_ANALYTICS": "1"}
    environment |= {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    script = "import sys, pathlib as p; from app.training.versioning import track; "
    script += "track(p.Path(sys.argv[1]), p.Path(sys.argv[2]))"
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "merged"), str(data)],
        env=os.environ | {"HOME": str(home)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout == ""
    assert list(home.rglob("*")) == []
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"],
        cwd=tmp_path / "merged",
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert status.stdout.strip() == "{}"


def test_a_folder_left_half_made_is_made_anew(tmp_path: Path, data: Path) -> None:
    (tmp_path / "merged" / ".dvc").mkdir()
    assert changed(tmp_path / "merged", track(tmp_path / "merged", data)) == []


def test_analytics_and_update_checks_are_off_in_the_repository(tmp_path: Path, data: Path) -> None:
    track(tmp_path / "merged", data)
    config = (tmp_path / "merged" / ".dvc" / "config").read_text()
    for setting in ("analytics = false", "check_update = false", "no_scm = true"):
        assert setting in config.lower()


def test_a_refusal_of_dvc_is_a_clear_error(tmp_path: Path) -> None:
    outside = tmp_path / "merged" / "nothing.csv"
    with pytest.raises(
        TrainingFailed, match=r"DVC could not take nothing\.csv.*run the cycle again"
    ):
        track(tmp_path / "merged", outside)
