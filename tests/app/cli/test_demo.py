"""The demo as its user runs it, cut short: a real service, real workers, HTTP only."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path


def run_demo(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", "demo", "--no-serve", *arguments],
        env=os.environ | {"WHYLEDGER_STATE_DIR": str(state_dir), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_demo_tells_a_line_a_year_and_model_and_ends_with_a_replay(tmp_path: Path) -> None:
    with socket.socket() as somebody:  # its port is taken: it must not speak to somebody else
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        done = run_demo(tmp_path, "--until", "1977", "--port", str(port))
    told = done.stdout
    assert done.returncode == 0, told + done.stderr
    assert f"port {port} is taken; another one is used" in told
    lines = [line.split() for line in told.splitlines() if re.match(r"19\d\d  car-", line)]
    assert [(line[0], line[1]) for line in lines] == [
        (year, model) for year in ("1975", "1976", "1977") for model in ("car-price", "car-sales")
    ]
    assert "bootstrap -> promoted" in told
    assert "keep: rules not met" in told
    assert re.search(r"ledger: \d+ entries, root [0-9a-f]{64}", told)
    assert "replay: projections emptied and rebuilt" in told
    assert re.search(r"^took \d+ s$", told, re.MULTILINE)  # it ended: no page is left to look at
