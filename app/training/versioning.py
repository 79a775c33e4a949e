"""Merged data under DVC: a `.dvc` pointer beside each CSV, its content in the repository's cache.

The repository has no source control of its own (`dvc init --no-scm`), keeps everything within its
folder, reports nothing home and asks no network for updates. DVC is called as a library.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from dvc.exceptions import DvcException
from dvc.repo import Repo

from app.database.private_files import narrow
from app.training.third_party import their_warnings
from domain.errors import TrainingFailed

_CONFIG: Final = {"analytics": "false", "check_update": "false", "no_scm": "true"}


@their_warnings()
def track(repository: Path, data: Path) -> Path:
    """Put `data` under DVC in the folder `repository` (made on first use); the pointer's path.

    Repeating it changes nothing.

    Raises:
        TrainingFailed: DVC refuses, for instance because the disk is full or another process holds
            its lock.
    """
    logging.getLogger("dvc").setLevel(logging.ERROR)  # progress bars and greetings
    try:
        _initialise(repository)
        with Repo(str(repository), config=_own_caches(repository)) as repo:
            repo.add(str(data))
        narrow([repository])  # DVC lets everybody read what it keeps
    except (DvcException, OSError) as error:
        raise TrainingFailed(
            f"DVC could not take {data.name} into {repository}: {error}. Free the disk or the "
            "lock, and run the cycle again."
        ) from error
    return data.with_name(data.name + ".dvc")


def _initialise(repository: Path) -> None:
    folder = repository / ".dvc"
    if (folder / "config").exists():
        return
    repository.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A folder without a configuration is what a kill left behind; it holds nothing yet.
    with Repo.init(str(repository), no_scm=True, force=folder.exists()) as repo:
        with repo.config.edit("repo") as config:
            config["core"].update(_CONFIG)


def _own_caches(repository: Path) -> dict[str, dict[str, str]]:
    """DVC's index and state database would otherwise go to a folder of the whole machine."""
    return {"core": {"site_cache_dir": str(repository / ".dvc" / "tmp" / "site")}}
