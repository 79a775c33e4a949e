"""The model registry as training sees it: a by-product of the ledger, never read to decide.

Two real implementations: MLflow (`tracking.py`) and one in memory, for tests and for machines
without MLflow's store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from domain.canonical import digest
from domain.errors import UnknownThing


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRecord:
    """What is kept about one training."""

    model: str
    candidate: str  # "car-price/7"
    pipeline: Any  # the fitted scikit-learn pipeline, for data scientists; never loaded to serve
    plan: bytes
    parameters: Mapping[str, float | int | str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)  # digests and ledger positions


class ModelRegistry(Protocol):
    """Runs of trainings, and the alias `champion`."""

    def record_training(self, record: TrainingRecord) -> str:
        """Keep `record` as a run and a registered version; the run's id.

        Repeating it for the same candidate and plan gives the same run.
        """

    def add_metrics(self, run: str, metrics: Mapping[str, float]) -> None:
        """Add what was measured later (the gates' figures) to a run. Raises UnknownThing."""

    def set_champion(self, model: str, run: str) -> None:
        """Point the alias `champion` of `model` at the version of `run`. Raises UnknownThing."""

    def champion_run(self, model: str) -> str | None:
        """The run the alias `champion` points at; None without an alias."""


class MemoryRegistry:
    """A registry that lives as long as its process."""

    def __init__(self) -> None:
        self.runs: dict[str, TrainingRecord] = {}
        self.metrics: dict[str, dict[str, float]] = {}
        self._champions: dict[str, str] = {}

    def record_training(self, record: TrainingRecord) -> str:
        """See `ModelRegistry.record_training`."""
        run = digest([record.candidate, record.plan.decode()])[:32]
        self.runs[run] = record
        self.metrics[run] = dict(record.metrics)
        return run

    def add_metrics(self, run: str, metrics: Mapping[str, float]) -> None:
        """See `ModelRegistry.add_metrics`."""
        self._known(run)
        self.metrics[run].update(metrics)

    def set_champion(self, model: str, run: str) -> None:
        """See `ModelRegistry.set_champion`."""
        self._known(run)
        self._champions[model] = run

    def champion_run(self, model: str) -> str | None:
        """See `ModelRegistry.champion_run`."""
        return self._champions.get(model)

    def _known(self, run: str) -> None:
        if run not in self.runs:
            raise UnknownThing(f"the registry has no run {run!r}; train and record it first.")
