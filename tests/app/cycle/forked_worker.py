"""The worker of a cycle, forked from a process that has imported what trains."""

from __future__ import annotations

import os
import subprocess
from typing import cast

from app.cycle import worker
from app.settings import Settings
from tests.forked import Forked


def start_forked_worker(settings: Settings, cycle: str) -> subprocess.Popen[bytes]:
    """As `app.cycle.starting.start_worker`, in the tenth of its time."""
    logs = settings.state_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    environment = os.environ | settings.as_environment()
    forked = Forked(worker.main, (cycle,), environment, logs / f"{cycle}.log")
    return cast("subprocess.Popen[bytes]", forked)
