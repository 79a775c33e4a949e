"""What is kept outside the database is whole under its name, or what stood there before stands."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from app.database.durable_files import file_aside, folder_aside, replace_file, write_new_file


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


def test_a_file_written_aside_takes_its_place_whole_with_the_rights_that_stood_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.jsonl"
    path.write_bytes(b"before")
    path.chmod(0o640)
    (tmp_path / "link").symlink_to(path)
    with file_aside(tmp_path / "link") as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"after", 0o640)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "report.jsonl"]


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with file_aside(pipe) as file:
        file.write(b"all of it")
    reader.join()
    assert (read, pipe.is_fifo()) == ([b"all of it"], True)


def test_what_cannot_be_written_aside_leaves_what_stood_there_and_nothing_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.jsonl"
    path.write_bytes(b"before")

    def fill(into: Path) -> None:
        with folder_aside(into) as folder:
            (folder / "events.jsonl").write_bytes(b"half")
            raise OSError(28, "No space left on device")

    def write() -> None:
        with file_aside(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(OSError, match="No space left"):
        fill(tmp_path / "bundle")
    with pytest.raises(KeyboardInterrupt):
        write()
    assert [each.name for each in tmp_path.iterdir()] == ["report.jsonl"]
    assert path.read_bytes() == b"before"


def test_a_folder_written_aside_is_on_the_disk_with_all_it_holds_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync = os.fsync

    def synced(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    with folder_aside(tmp_path / "bundle") as folder:
        (folder / "tiles").mkdir()
        (folder / "tiles" / "0").touch()
        (folder / "trailer.json").touch()
        assert not (tmp_path / "bundle").exists()
    assert done == ["0", "tiles", "trailer.json", folder.name, tmp_path.name]
