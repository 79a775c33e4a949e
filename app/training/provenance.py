"""Where a candidate's code came from: the Git commit, and the digest of the lock file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from domain.canonical import sha256_hex

UNKNOWN: Final = "unknown"
PROJECT: Final = Path(__file__).resolve().parents[2]
_GIT_SECONDS_MAX: Final = 10


def code_commit(project: Path = PROJECT) -> str:
    """The 40 hex digits of the commit checked out in `project`, "-dirty" when files differ from it.

    "unknown" outside a checkout of its own, or without Git.
    """
    git = shutil.which("git")
    if git is None or not (project / ".git").exists():
        return UNKNOWN
    try:
        told = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS_MAX,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return told.stdout.strip()


def lock_sha256(project: Path = PROJECT) -> str:
    """SHA-256 of `requirements/runtime.txt`, 64 hex digits; "unknown" where there is none."""
    lock = project / "requirements" / "runtime.txt"
    return sha256_hex(lock.read_bytes()) if lock.is_file() else UNKNOWN
