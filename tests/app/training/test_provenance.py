"""A candidate names the commit and the lock file it was trained with, or says it does not know."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.training.provenance import code_commit, lock_sha256
from domain.canonical import sha256_hex


def git(folder: Path, *words: str) -> str:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=m"]
    told = subprocess.run(
        ["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return told.stdout.strip()


def test_the_commit_is_named_and_changed_files_show(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("1\n")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert code_commit(tmp_path) == commit
    (tmp_path / "a.py").write_text("2\n")
    assert code_commit(tmp_path) == f"{commit}-dirty"


def test_outside_a_checkout_the_commit_is_unknown(tmp_path: Path) -> None:
    assert code_commit(tmp_path) == "unknown"


def test_a_checkout_without_a_commit_is_unknown(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert code_commit(tmp_path) == "unknown"


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_commit(tmp_path) == "unknown"


def test_the_lock_is_named_by_its_digest(tmp_path: Path) -> None:
    assert lock_sha256(tmp_path) == "unknown"
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "runtime.txt").write_text("numpy==2\n")
    assert lock_sha256(tmp_path) == sha256_hex(b"numpy==2\n")
