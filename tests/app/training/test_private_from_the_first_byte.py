"""What a training writes is its owner's alone from the first byte, and so is what DVC keeps of it.

`tests/app/test_permissions.py` says so of the whole state, for what a cycle merges in its long
form alone. Here the rows are merged and put under DVC in a process of its own, as a worker does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.app.database.test_private_files import open_to_others
from tests.app.watched_files import WatchedFiles
from tests.repository import REPOSITORY

MERGING: Final = """
import sys
from pathlib import Path
from app.database.private_files import keep_private
keep_private()
from app.training.dataset import write_dataset
from app.training.versioning import track
from tests.domain.kettles import KETTLES, ROW
merged = Path(sys.argv[1]) / "merged"
rows = [ROW | {"noise": 50.0}] * 3
written = write_dataset(merged / "kettle-noise", "kettle-noise-1", KETTLES, rows)
track(merged, written.csv)
"""


def test_merged_rows_are_never_open_to_others(tmp_path: Path) -> None:
    """Whatever the umask of who starts it: ours never, and DVC's own in a closed folder alone."""
    state, watcher = tmp_path / "state", tmp_path / "watcher"
    watcher.mkdir()
    state.mkdir()
    watched = WatchedFiles(state, watcher)
    done = subprocess.run(
        [sys.executable, "-c", MERGING, str(state)],
        cwd=REPOSITORY,
        env=os.environ | watched.environment,
        capture_output=True,
        text=True,
        check=False,
        umask=0,
    )
    assert done.returncode == 0, done.stderr
    assert watched.open_to_others() == []
    assert watched.by_dvc(), "it is told apart from what is ours"
    assert open_to_others(state / "merged") == []
    there = {path.name for path in (state / "merged" / "kettle-noise").iterdir()}
    assert there >= {f"kettle-noise-1.{end}" for end in ("csv", "parquet", "csv.dvc")}
