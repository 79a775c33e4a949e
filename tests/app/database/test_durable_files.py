"""What is kept outside the database is whole under its name, or what stood there before stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.database.durable_files import replace_file, write_new_file


def test_a_file_is_replaced_whole_synced_renamed_and_so_is_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = tmp_path / "last", []
    sync = os.fsync

    def synced(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    path.write_bytes(b"before")
    replace_file(path, b"after")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"after", 0o600)
    assert done == ["last.new", tmp_path.name]


def test_a_write_that_fails_leaves_what_stood_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last"
    path.write_bytes(b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"after")
    assert [each.name for each in tmp_path.iterdir()] == ["last"]
    assert path.read_bytes() == b"before"


def test_what_a_killed_writer_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "last.new").write_bytes(b"hal")
    replace_file(tmp_path / "last", b"whole")
    assert [each.name for each in tmp_path.iterdir()] == ["last"]


def test_a_new_file_takes_nobodys_place(tmp_path: Path) -> None:
    write_new_file(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
