"""A process beside the service folds rows: nobody who asks it folds, and it ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from app.ledger.reading import head
from app.ledger.store import Ledger
from app.projections.folding_process import FoldingProcess, is_behind
from app.settings import Settings
from tests import ledger_events as events
from tests.patience import until

REPOSITORY = Path(__file__).resolve().parents[3]
SERVICE = """
import sys, time
from app.projections.folding_process import FoldingProcess
from app.projections.opening import open_ledger
from app.settings import Settings

settings = Settings()
folding = FoldingProcess(open_ledger(settings), settings)
folding.start()
print(folding.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folding(ledger: Ledger, settings: Settings) -> Iterator[FoldingProcess]:
    with closing(FoldingProcess(ledger, settings, watch_seconds=0.05)) as process:
        process.start()
        yield process


def runs(pid: int) -> bool:
    """Whether it does; one that nobody has waited for yet does not."""
    with suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def test_it_folds_what_came_in_and_another_one_does_when_it_was_killed(
    ledger: Ledger, folding: FoldingProcess
) -> None:
    first = folding.pid
    assert first is not None
    events.put(ledger, "observations-cars", events.observation("car=1"))
    with ledger.connect() as connection:
        assert ledger.rows.folded(connection) <= head(connection), "nobody waits"
    until(lambda: not is_behind(ledger))
    os.kill(first, signal.SIGKILL)
    until(lambda: folding.pid not in (first, None))
    events.put(ledger, "observations-cars", events.observation("car=2"))
    until(lambda: not is_behind(ledger))
    folding.close()
    assert folding.pid is None
    assert ledger.rows.always, "whoever asks folds from now on"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_ends_with_a_service_that_is_killed(settings: Settings) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        cwd=REPOSITORY,
        env=dict(os.environ) | settings.as_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stdout is not None
        pid = int(service.stdout.readline())
        assert runs(pid)
        service.kill()
    until(lambda: not runs(pid))
