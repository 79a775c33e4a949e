"""What one serving process is made of, wired once: `Process.start` to `Process.close`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from app.cycles import Cycles
from app.datasets import Datasets
from app.ledger.store import Ledger, open_ledger
from app.observations import Observations
from app.predictions import Predictions
from app.refusals import Refusals
from app.serving.champions import Champions
from app.settings import Settings

_LOG: Final = logging.getLogger("whyledger.process")


@dataclass(frozen=True, slots=True)
class Process:
    """Everything a route may use."""

    settings: Settings
    ledger: Ledger
    ledger_id: str
    champions: Champions
    refusals: Refusals
    predictions: Predictions
    observations: Observations
    datasets: Datasets
    cycles: Cycles

    @classmethod
    def start(cls, settings: Settings) -> Process:
        """Open the ledger, load the champions, take up cycles that were cut off.

        Raises:
            LedgerBusy: the database is in use or out of reach.
        """
        ledger = open_ledger(settings)
        champions = Champions(ledger, settings.champion_poll_seconds)
        refusals = Refusals(ledger)
        process = cls(
            settings=settings,
            ledger=ledger,
            ledger_id=ledger.ledger_id(),
            champions=champions,
            refusals=refusals,
            predictions=Predictions(ledger, champions, refusals),
            observations=Observations(ledger, champions, refusals),
            datasets=Datasets(ledger, settings.state_dir, settings.events_per_append_max),
            cycles=Cycles(
                ledger,
                settings,
                before_start=refusals.flush,
                after_end=lambda _: champions.refresh(),
            ),
        )
        champions.start()
        refusals.start()
        for cycle in process.cycles.recover():
            _LOG.info("cycle %s was cut off and goes on", cycle)
        return process

    def close(self) -> None:
        """Stop the threads, write what waits, close the database. Workers go on by themselves."""
        self.cycles.close()
        self.champions.close()
        self.refusals.close()
        self.ledger.close()
