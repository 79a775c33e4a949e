"""What one serving process is made of, wired once: `Process.start` to `Process.close`."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Final

from app.audit.anchors_told import anchors_failing
from app.cycle.next_cycle import next_cycle
from app.cycle.starting import Cycles
from app.database.private_files import narrow_state
from app.database.read_only import refuse_to_serve_read_only
from app.intake.datasets import Datasets
from app.intake.observations import Observations
from app.intake.predictions import Predictions
from app.intake.refusals import Refusals
from app.ledger.catching_up import Progress
from app.ledger.store import Ledger
from app.projections.folding_process import FoldingProcess
from app.projections.kept_scratch import forget_old_scratches, kept_scratches
from app.projections.opening import open_ledger
from app.projections.putting_right import ReadModelWatch, is_suspicious, put_right
from app.proof.checkpoints import Checkpoints
from app.proof.damage_watch import DamageWatch
from app.serving.champions import Champions
from app.settings import Settings

_LOG: Final = logging.getLogger("whyledger.process")


@dataclass(frozen=True, slots=True)
class Process:
    """Everything a route may use."""

    settings: Settings
    ledger: Ledger
    ledger_id: str
    checkpoints: Checkpoints
    damage: DamageWatch
    read_models: ReadModelWatch
    champions: Champions
    refusals: Refusals
    predictions: Predictions
    observations: Observations
    datasets: Datasets
    cycles: Cycles
    _made: ExitStack  # closes what was started, the last first

    @classmethod
    def start(cls, settings: Settings, progress: Progress = lambda done, of: None) -> Process:
        """Open the ledger, load the champions, take up cycles that were cut off.

        A ledger that lacks what was signed before is served, with an alarm, and not signed.
        `progress` is told how many entries of how many are folded, when that takes more than a
        moment; what it raises ends the start. One that fails leaves nothing open.

        Raises:
            LedgerBusy: the database is in use, out of reach, or can only be looked at.
            SigningRefused: the signing key cannot be used; the message says what to do.
        """
        try:
            return cls._started(settings, progress)
        except Exception as error:
            if not is_suspicious(error):
                raise
            with closing(open_ledger(settings, progress=progress)) as ledger:
                if put_right(ledger, error) is None:
                    raise
        return cls._started(settings, progress)

    @classmethod
    def _started(cls, settings: Settings, progress: Progress) -> Process:
        narrow_state(settings)
        with ExitStack() as made:
            ledger = open_ledger(
                settings, progress=progress, answers_within=settings.busy_timeout_seconds
            )
            made.callback(ledger.close)
            with ledger.snapshot() as connection:
                refuse_to_serve_read_only(connection)
            if settings.rows_folded_beside:
                folding = FoldingProcess(ledger, settings)
                made.callback(folding.close)
                folding.start()
            damage = DamageWatch(ledger, settings)
            made.callback(damage.close)
            damage.start()
            read_models = ReadModelWatch(ledger)
            made.callback(read_models.close)
            read_models.start()
            checkpoints = Checkpoints(ledger, settings)
            made.callback(checkpoints.close)
            checkpoints.start()
            refusals = Refusals(ledger)
            made.callback(refusals.close)
            refusals.start()
            champions = Champions(
                ledger,
                settings.champion_poll_seconds,
                settings.clock_skew_seconds_max,
                read_models.hears,
            )
            made.callback(champions.close)
            champions.start()
            cycles = Cycles(
                ledger,
                settings,
                before_start=refusals.flush,
                after_end=lambda _: champions.refresh(),
            )
            made.callback(cycles.close)
            for cycle in cycles.recover():
                _LOG.info("cycle %s was cut off and goes on", cycle)
            says = partial(next_cycle, ledger, skew_seconds=settings.clock_skew_seconds_max)
            datasets = Datasets(ledger, settings, says)
            datasets.sweep()
            forget_old_scratches(kept_scratches(settings))
            return cls(
                settings=settings,
                ledger=ledger,
                ledger_id=ledger.ledger_id(),
                checkpoints=checkpoints,
                damage=damage,
                read_models=read_models,
                champions=champions,
                refusals=refusals,
                predictions=Predictions(ledger, champions, refusals, settings.rows_per_request_max),
                observations=Observations(
                    ledger, champions, refusals, settings.clock_skew_seconds_max
                ),
                datasets=datasets,
                cycles=cycles,
                _made=made.pop_all(),
            )

    def alarms(self) -> dict[str, str]:
        """What is wrong, by model; `ledger`: out of reach; `checkpoints`: nothing is signed;
        `writing`: the last write was refused, until one is taken; `damage`: what is stored is not
        what was written; `read-models`: somebody changed what follows from it; `anchors`: no copy
        is kept outside."""
        others = {
            "writing": self.ledger.unwritable,
            "checkpoints": self.checkpoints.alarm,
            "damage": self.damage.alarm,
            "read-models": self.read_models.alarm,
            "anchors": anchors_failing(self.checkpoints.anchors),
        }
        return self.champions.alarms() | {name: said for name, said in others.items() if said}

    def close(self) -> None:
        """Stop the threads, write what waits, close the database. Workers go on by themselves.

        What fails in that is raised when everything else is closed.
        """
        self._made.close()
