"""`whyledger serve` in a process of its own, from when it says where it listens."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tests.repository import REPOSITORY

SERVE: Final = (sys.executable, "-m", "app.cli.main", "serve", "--port", "0", "--json")


@contextmanager
def served(
    environment: Mapping[str, str], *, stderr: Any, words: Sequence[str] = SERVE
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address; whoever asks for it ends it."""
    with subprocess.Popen(
        words,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            told += process.stdout.readline()
        yield process, json.loads(told)["address"]
