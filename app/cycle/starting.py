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
from pathlib import Path
from typing import Final

from app.cause import Cause
from app.clock import new_id, now
from app.database.locks import NamedLock, is_running
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import TRIES, cycle_stream
from app.projections.cycles import CycleView, get_cycle, unfinished_cycle, unfinished_cycles
from app.projections.labels import has_labels
from app.projections.models import get_model
from app.projections.policies import get_policy
from app.settings import Settings
from domain.decisions.cycle import ATTEMPTS_MAX, fold, next_step
from domain.errors import (
    CycleRefused,
    CycleRunning,
    LedgerDamaged,
    NothingToDecide,
    UnknownModel,
    VersionConflict,
    WhyledgerError,
)
from domain.events.cycle_events import CYCLE_EVENTS, CycleFailed, CycleStarted, Force

_LOG: Final = logging.getLogger("whyledger.cycles")
_LOCK_POLL_SECONDS: Final = 0.5  # how often another's worker is looked for
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
        cause: Cause,
    ) -> CycleTicket:
        """Append `CycleStarted` and start a worker; or resume the cycle that was cut off.

        Raises:
            UnknownModel: no contract was adopted under this name.
            CycleRunning: a cycle of this model is running.
            CycleRefused: `as_of` lies in the future or before the model's last cycle.
            NothingToDecide: no policy, or neither a champion nor a labelled row.
            VersionConflict: three times another process was first, and its cycle had ended.
        """
        self._before_start(model)
        conflict: VersionConflict | None = None
        for _ in range(TRIES):
            with self._starting:
                with self._ledger.connect() as connection:
                    open_cycle = unfinished_cycle(connection, model)
                if open_cycle is not None:
                    return self._resume(open_cycle.cycle)
                started = self._begin(model, as_of, force_reason, cause.actor)
                event = NewEvent(event=started, id=new_id(), occurred_at=started.as_of)
                append = StreamAppend(cycle_stream(started.cycle), (event,), -1)
                try:
                    self._ledger.append([append], cause)
                except VersionConflict as lost:
                    conflict = lost  # another process was first: look again, resume or report it
                    continue
                self._spawn(started.cycle)
                return CycleTicket(started.cycle, resumed=False)
        raise conflict or LedgerDamaged(f"no cycle of {model!r} was tried.")

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

    def _begin(
        self, model: str, as_of: str | None, force_reason: str | None, actor: str
    ) -> CycleStarted:
        present = now()
        as_of = as_of or present
        with self._ledger.connect() as connection:
            standing = get_model(connection, model)
            if standing is None:
                raise UnknownModel(f"model {model!r} is unknown. Adopt a contract for it first.")
            policy = get_policy(connection, standing.policy)
            if policy is None:
                raise NothingToDecide(
                    f"the contract of {model!r} names policy {standing.policy!r}, which was never "
                    "adopted. POST it to /policies first."
                )
            if as_of > present:
                raise CycleRefused(
                    f"as_of {as_of} is after now ({present}). Choose an earlier one."
                )
            if standing.last_as_of is not None and as_of < standing.last_as_of:
                raise CycleRefused(
                    f"as_of {as_of} is before the last cycle of {model!r} ({standing.last_as_of}). "
                    "Choose that or a later one."
                )
            if standing.champion is None and not has_labels(connection, model, before=as_of):
                raise NothingToDecide(
                    f"{model!r} has no champion and no labelled row before {as_of}. "
                    "Send observations or upload a dataset first."
                )
        number = standing.cycles_started + 1
        force = Force(actor=actor, reason=force_reason) if force_reason else None
        return CycleStarted(
            cycle=f"{model}-{number}",
            model=model,
            number=number,
            as_of=as_of,
            contract_digest=standing.contract_digest,
            policy=policy.policy,
            policy_digest=policy.digest,
            champion=standing.champion,
            force=force,
        )

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
            self._watchers[cycle] = watcher
            watcher.start()

    def _watch(self, cycle: str) -> None:
        """Watch until the cycle has ended; what stops that is logged, and a request goes on."""
        try:
            self._work_off(cycle)
        except (WhyledgerError, OSError) as error:
            _LOG.error("cycle %s is not watched any more: %s. Ask for it again.", cycle, error)
        finally:
            with self._guard:
                self._watchers.pop(cycle, None)
        if not self._closing.is_set():
            self._after_end(cycle.rpartition("-")[0])

    def _work_off(self, cycle: str) -> None:
        """Run workers until the cycle has ended or its attempts are used up.

        A worker of another process, or one that outlived its service, is waited for.
        """
        deaths = 0
        while deaths <= ATTEMPTS_MAX and self.view(cycle).status != "ended":
            if is_running(self._ledger.engine, self.lock_directory, cycle):
                if self._closing.wait(_LOCK_POLL_SECONDS):
                    return
                continue
            worker = start_worker(self._settings, cycle)
            while worker.poll() is None:
                if self._closing.wait(_POLL_SECONDS):
                    return
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
    history = ledger.read_stream(cycle_stream(cycle))
    state = fold(entry.event for entry in history.entries if isinstance(entry.event, CYCLE_EVENTS))
    if state.ended:
        return True
    if state.attempts < ATTEMPTS_MAX and not early:
        return False
    step = next_step(state)
    failed = CycleFailed(attempts=state.attempts, step=str(step), reason=reason)
    event = NewEvent(event=failed, id=new_id(), occurred_at=state.begun.as_of)
    first = history.entries[0]
    try:
        ledger.append(
            [StreamAppend(cycle_stream(cycle), (event,), history.version)],
            Cause(first.actor, first.correlation_id),
        )
    except VersionConflict:
        return False  # a worker went on meanwhile
    return True


def start_worker(settings: Settings, cycle: str) -> subprocess.Popen[bytes]:
    """A worker process for the cycle: one BLAS thread, its output in the state directory."""
    logs = settings.state_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    environment = (
        os.environ
        | settings.as_environment()
        | {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    )
    with (logs / f"{cycle}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "app.cycle.worker", cycle],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C stops the service, not a cycle half-way
        )
