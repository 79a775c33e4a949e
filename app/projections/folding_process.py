"""The process that folds rows beside a service: `python -m app.projections.folding_process`.

Nice 5, safe to kill, idle when there is nothing to fold. It ends with the service, however that
ends: it reads a pipe of which the service has the other end. While none runs, whoever asks the
service folds what is missing.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from typing import Final

from app.background.outage import Outage
from app.background.repeating import Repeating
from app.database.private_files import keep_private
from app.ledger.reading import head
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings

_NICENESS: Final = 5  # serving goes first
_LOOK_SECONDS: Final = 0.5
_AGAIN_SECONDS: Final = 0.05  # after there was something: more may have come meanwhile
_WATCH_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 10.0
_LOG: Final = logging.getLogger("whyledger.rows")


class FoldingProcess:
    """The service's side: starts it, starts another when it died, ends it.

    Args:
        ledger: whose readers need not wait while it runs.
        settings: what it is given.
        watch_seconds: how often it is looked after.
    """

    def __init__(
        self, ledger: Ledger, settings: Settings, *, watch_seconds: float = _WATCH_SECONDS
    ) -> None:
        self._rows = ledger.rows
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._watching = Repeating("rows", self._look_after, watch_seconds)

    def start(self) -> None:
        """Start it, and look after it in a thread of its own."""
        self._look_after()
        self._watching.start()

    @property
    def pid(self) -> int | None:
        """Of the process that runs; None when there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def close(self) -> None:
        """End it, after the page that it folds."""
        self._watching.close(_PATIENCE_SECONDS)
        self._rows.always = True
        process = self._process
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.close()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _look_after(self) -> None:
        if self.pid is not None:
            return
        self._rows.always = True  # until it runs
        if self._process is not None:
            said = "the process that folds rows ended with exit code %s; another one starts"
            _LOG.warning(said, self._process.returncode)
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.projections.folding_process"],
            env=dict(os.environ) | self._settings.as_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C stops the service, which ends it
        )
        self._rows.always = False


def main() -> None:
    """Fold what is missing, and look for more about twice a second, until the service has ended."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level="WARNING")
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    outage = Outage(_LOG, "rows cannot be folded", "rows are folded again")
    ledger: Ledger | None = None
    while True:
        behind = False
        try:
            ledger = ledger or open_ledger(Settings(), begin=False)
            behind = is_behind(ledger)
            if behind:
                ledger.rows.catch_up()
        except Exception as error:  # noqa: BLE001 whatever it is: it is said, and tried again
            behind = False
            outage.failed(error)
        else:
            outage.over()
        time.sleep(_AGAIN_SECONDS if behind else _LOOK_SECONDS)


def is_behind(ledger: Ledger) -> bool:
    """Whether there are entries that are not folded into rows."""
    with ledger.snapshot() as connection:
        return ledger.rows.folded(connection) < head(connection)


def _end_with_the_service() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)  # what is being folded is undone, and folded again by whoever comes next


if __name__ == "__main__":
    keep_private()
    main()
