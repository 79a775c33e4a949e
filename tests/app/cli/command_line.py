"""The command line as a shell sees it, run in this process: starting Python costs more than it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from app.cli.main import main

TRACKED = ("WHYLEDGER_", "GITHUB_")


def environment(state: Path, **settings: str) -> dict[str, str]:
    """The environment of a command on this state directory, free of what ours says of others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(TRACKED)}
    return kept | {"WHYLEDGER_STATE_DIR": str(state)} | settings


def whyledger(state: Path, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """Exit code and words of `whyledger` with these arguments, from its outermost function on."""
    words = ["whyledger", *map(str, arguments)]
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    code: str | int | None = 0
    with (
        patch.dict(os.environ, environment(state, **settings), clear=True),
        patch.object(sys, "argv", words),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess(words, int(code or 0), _said(out), _said(err))


def whyledger_by_itself(
    state: Path, *arguments: object, **settings: str
) -> subprocess.CompletedProcess[str]:
    """The same from a process of its own, which may leave workers behind when it ends."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", *map(str, arguments)],
        env=environment(state, **settings),
        capture_output=True,
        text=True,
        check=False,
    )


def _said(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()
