"""Start a cycle, watch its worker, resume what was cut off, give up after three attempts.

The cycle itself runs in a process of its own (`worker.py`); this module never imports training.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from app.cause import Cause
from app.cycle.standing import how_it_stands
from app.cycle.stream import append_next, read_cycle, who_asked
from app.cycle.waiting import WAITS, damage_stands
from app.database.locks import NamedLock, is_running
from app.ledger.damage import refuse_on_damage
from app.ledger.deciding import Look, decide
from app.ledger.store import Ledger
from app.ledger.streams import cycle_of_stream
from app.projections.cycles import CycleView, get_cycle, unfinished_cycles
from app.settings import Settings
from domain.decisions import starting
from domain.decisions.cycle import ATTEMPTS_MAX
from domain.decisions.starting import GiveUp, StartCycle
from domain.errors import CycleRunning, VersionConflict, WhyledgerError
from domain.events.cycle_events import Force
from domain.path_parts import path_part

_LOG: Final = logging.getLogger("whyledger.cycles")
_LOCK_POLL_SECONDS: Final = 0.5  # how often another's worker is looked for
_PAUSE_SECONDS_MAX: Final = 60.0  # before another worker, where one after the other only waits
_POLL_SECONDS: Final = 0.05  # how often a watcher looks whether its worker has ended


@dataclass(frozen=True, slots=True)
class CycleTicket:
    """What the caller of `start` gets: the cycle's id, and whether it existed already."""

    cycle: str
    resumed: bool


class Cycles:
    """The cycles of one ledger, as the process that starts them sees them.

    Args:
        ledger: where they are recorded.
        settings: state directory and database for the worker.
        before_start: called with the model's name before its cycle starts (refusal counts are
            written down first, so that the window guard sees them).
        after_end: called with the model's name when a worker has ended (the champion is reloaded).
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        *,
        before_start: Callable[[str], None] = lambda _: None,
        after_end: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._before_start = before_start
        self._after_end = after_end
        self._guard = threading.Lock()
        self._starting = threading.Lock()  # two requests at once must not both take up a cycle
        self._watchers: dict[str, threading.Thread] = {}
        self._stopped: dict[str, Exception] = {}
        self._closing = threading.Event()

    @property
    def lock_directory(self) -> Path:
        """Where the lock files of running cycles stand (SQLite only)."""
        return self._settings.state_dir / "locks"

    def start(
        self,
        model: str,
        *,
        as_of: str | None = None,
        force_reason: str | None = None,
        reason: str | None = None,
        cause: Cause,
    ) -> CycleTicket:
        """Append `CycleStarted` and start a worker; or resume the cycle that was cut off.

        Raises:
            UnknownModel: no contract was adopted under this name.
            CycleRunning: a cycle of this model is running.
            CycleRefused: `as_of` lies in the future, or before the model's last cycle without a
                `reason` to set that aside.
            NothingToDecide: no policy, or neither a champion nor a labelled row.
            LedgerDamaged: damage stands that nobody has settled.
            VersionConflict: three times another process was first, and its cycle had ended.
        """
        refuse_on_damage(self._ledger)
        self._before_start(model)
        force = Force(actor=cause.actor, reason=force_reason) if force_reason else None
        command = StartCycle(model=model, as_of=as_of, force=force, reason=reason)
        skew = self._settings.clock_skew_seconds_max
        with self._starting:
            decision = decide(
                self._ledger,
                Look(partial(how_it_stands, command=command, skew_seconds=skew), rows=True),
                starting.start_cycle,
                command,
                cause,
                occurred_at=lambda standing: standing.as_of,
            )
            if decision.state.open_cycle is not None:
                return self._resume(decision.state.open_cycle)
            cycle = cycle_of_stream(decision.history.stream)
            self._spawn(cycle)
        return CycleTicket(cycle, resumed=False)

    def view(self, cycle: str) -> CycleView:
        """The cycle as recorded. Raises UnknownThing when there is none."""
        with self._ledger.connect() as connection:
            return get_cycle(connection, cycle)

    def recover(self) -> list[str]:
        """Resume every cycle that was started, did not end and is not running; their ids.

        One whose worker outlived its service is watched, and resumed should that worker die.
        """
        with self._starting:
            with self._ledger.connect() as connection:
                unfinished = [view.cycle for view in unfinished_cycles(connection)]
            cut_off = [cycle for cycle in unfinished if not self._running(cycle)]
            for cycle in unfinished:
                if not self._watched(cycle):
                    self._spawn(cycle)
        return cut_off

    def close(self) -> None:
        """Stop watching. Workers go on: what they leave is in the ledger."""
        self._closing.set()
        with self._guard:
            watchers = list(self._watchers.values())
        for watcher in watchers:
            watcher.join(timeout=1)

    def stopped(self, cycle: str) -> Exception | None:
        """What ended the watching of a cycle that has not ended; None when nothing did.

        Whoever waits for the cycle need not: it goes on when it is asked for again.
        """
        with self._guard:
            return self._stopped.get(cycle)

    def _resume(self, cycle: str) -> CycleTicket:
        if self._running(cycle):
            raise CycleRunning(f"cycle {cycle!r} is running. Wait for it, then ask again.", cycle)
        self._spawn(cycle)
        return CycleTicket(cycle, resumed=True)

    def _running(self, cycle: str) -> bool:
        return self._watched(cycle) or is_running(self._ledger.engine, self.lock_directory, cycle)

    def _watched(self, cycle: str) -> bool:
        with self._guard:
            watcher = self._watchers.get(cycle)
        return watcher is not None and watcher.is_alive()

    def _spawn(self, cycle: str) -> None:
        watcher = threading.Thread(
            target=self._watch, args=(cycle,), name=f"cycle {cycle}", daemon=True
        )
        with self._guard:
            self._stopped.pop(cycle, None)
            self._watchers[cycle] = watcher
            watcher.start()

    def _watch(self, cycle: str) -> None:
        """Watch until the cycle has ended; what stops that is logged, and a request goes on."""
        try:
            self._work_off(cycle)
        except (WhyledgerError, OSError) as error:
            with self._guard:
                self._stopped[cycle] = error
            _LOG.error("cycle %s is not watched any more: %s. Ask for it again.", cycle, error)
        finally:
            with self._guard:
                self._watchers.pop(cycle, None)
        if not self._closing.is_set():
            self._after_end(cycle.rpartition("-")[0])

    def _work_off(self, cycle: str) -> None:
        """Run workers until the cycle has ended or its attempts are used up.

        A worker of another process, or one that outlived its service, is waited for. So is the end
        of damage that keeps it from promoting.
        """
        deaths = 0
        pause = _LOCK_POLL_SECONDS
        while deaths <= ATTEMPTS_MAX and self.view(cycle).status != "ended":
            if is_running(self._ledger.engine, self.lock_directory, cycle):
                if self._closing.wait(_LOCK_POLL_SECONDS):
                    return
                continue
            worker = start_worker(self._settings, cycle)
            while worker.poll() is None:
                if self._closing.wait(_POLL_SECONDS):
                    return
            if worker.returncode == WAITS:
                # What it met may stand nowhere: it could not be recorded. The next meets it again.
                if self._closing.wait(pause):
                    return
                pause = min(2 * pause, _PAUSE_SECONDS_MAX)
                while damage_stands(self._ledger):
                    if self._closing.wait(_LOCK_POLL_SECONDS):
                        return
                continue
            if self._is_over(cycle, worker.returncode, early=False):
                return
            deaths += worker.returncode != 0  # 0: somebody else was quicker and runs it
        self._is_over(cycle, None, early=True)

    def _is_over(self, cycle: str, exit_code: int | None, *, early: bool) -> bool:
        """Whether the cycle has ended; appends `CycleFailed` when its attempts are used up.

        `early`: its workers die before they begin an attempt, and that is an end too.

        The lock is held for that: the third attempt may be running under another server's eyes,
        and is not to be failed from here.
        """
        if self.view(cycle).status == "ended":
            return True
        with NamedLock(self._ledger.engine, self.lock_directory, cycle) as free:
            how = f"ended with exit code {exit_code}" if not early else "died before it began"
            return free and give_up(
                self._ledger,
                cycle,
                f"the last worker {how}; its log is in the state directory, logs/{cycle}.log",
                early=early,
            )


def give_up(ledger: Ledger, cycle: str, reason: str, *, early: bool = False) -> bool:
    """Append `CycleFailed` if three attempts were made, or none can be, and it has not ended.

    Whether it has ended now. The caller holds the cycle's lock.
    """
    state, history = read_cycle(ledger, cycle)
    events = starting.give_up(state, GiveUp(reason=reason, early=early))
    try:
        if events:
            append_next(ledger, state, history, events, who_asked(history))
    except VersionConflict:
        return False  # a worker went on meanwhile
    return state.ended or bool(events)


def start_worker(settings: Settings, cycle: str) -> subprocess.Popen[bytes]:
    """A worker process for the cycle: one BLAS thread, its output in the state directory."""
    logs = settings.state_dir / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (logs / f"{path_part(cycle, 'a cycle')}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "app.cycle.worker", cycle],
            env=worker_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C stops the service, not a cycle half-way.
            start_new_session=settings.workers_outlive,
        )


def worker_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process that trains: these settings, one BLAS thread."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict(os.environ) | settings.as_environment() | dict.fromkeys(threads, "1")
