"""A quarantine file is bounded, and what a killed upload left of one is swept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.intake.quarantine import SHARE_MAX, Quarantine, remove_oldest, sweep

LARGE = 1 << 40
SPARE = 64 * 1024


def quarantined(folder: Path, rows: int, *, upload: int, most: int = LARGE) -> Path:
    with Quarantine(folder, "cars-1", upload, most) as bad:
        for line in range(2, rows + 2):
            bad.add(line, ["price is missing"], ["price"], [""])
    return folder / bad.name


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_small_upload_is_told_whole(tmp_path: Path) -> None:
    path = quarantined(tmp_path, 3, upload=6)
    assert [row["line"] for row in told(path)] == [2, 3, 4]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("upload", "most"), [(4000, LARGE), (LARGE, SPARE)])
def test_what_has_no_room_is_counted_in_the_last_line(
    tmp_path: Path, upload: int, most: int
) -> None:
    path = quarantined(tmp_path, 2000, upload=upload, most=most)
    rows = told(path)
    last = rows.pop()
    bound = min(most, SHARE_MAX * upload + SPARE)
    assert sum(len(json.dumps(row)) + 1 for row in rows) <= bound
    assert (last["line"], last["row"]) == (len(rows) + 2, [])
    said = (
        f"from here on {2000 - len(rows)} refused rows are not listed: this file may hold {bound}"
    )
    assert last["reasons"][0].startswith(said)


def test_a_share_of_the_upload_holds_however_little_each_row_is(tmp_path: Path) -> None:
    small = quarantined(tmp_path, 100_000, upload=200_000).stat().st_size
    large = quarantined(tmp_path, 100_000, upload=400_000).stat().st_size
    assert SHARE_MAX * 200_000 < small < SHARE_MAX * 200_000 + 2 * SPARE
    assert SHARE_MAX * 400_000 < large < SHARE_MAX * 400_000 + 2 * SPARE


KILLED = """
import os, sys
from pathlib import Path
from app.intake.quarantine import Quarantine
with Quarantine(Path(sys.argv[1]), "cars-1", 10, 10_000) as bad:
    bad.add(2, ["price is missing"], ["price"], [""])
    os._exit(9)
"""


def test_the_part_of_a_killed_upload_is_swept_and_no_other(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.glob("*.part")
    kept = quarantined(tmp_path, 1, upload=2)
    with Quarantine(tmp_path, "cars-2", 10, 10_000) as bad:
        bad.add(2, ["price is missing"], ["price"], [""])
        assert sweep(tmp_path) == 1
        assert not left.exists()
        assert len(list(tmp_path.glob("*.part"))) == 1, "an upload writes it"
    assert sorted(tmp_path.iterdir()) == [kept, tmp_path / bad.name]


def test_a_failed_upload_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with Quarantine(tmp_path, "cars-1", 10, 10_000) as bad:
            bad.add(2, ["price is missing"], ["price"], [""])
            assert len(list(tmp_path.iterdir())) == 1
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_sweeping_opens_no_pipe_and_follows_no_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.touch()
    (tmp_path / "link.part").symlink_to(kept)
    os.mkfifo(tmp_path / "pipe.part")
    sweep(tmp_path)
    assert kept.exists()
    assert sweep(tmp_path / "missing") == 0


def test_the_oldest_files_make_room_and_the_newest_stays(tmp_path: Path) -> None:
    names = [f"cars-{n}.jsonl" for n in range(4)]
    for age, name in enumerate(reversed(names)):  # the last name is the oldest
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (age, age))
    (tmp_path / "cars.part").write_bytes(b"x" * 1000)
    assert remove_oldest(tmp_path, 400) == []
    assert remove_oldest(tmp_path, 399) == [names[3]]
    assert remove_oldest(tmp_path, 10) == [names[2], names[1]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [names[0], "cars.part"]
    assert remove_oldest(tmp_path / "missing", 10) == []
