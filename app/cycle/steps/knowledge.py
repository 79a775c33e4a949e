"""What a cycle may know: what stood in the ledger when it started, of what happened before as_of.

Read once a run, and the same after a resume: the position of `CycleStarted` is the cut-off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson

from app.cycle.reigns import trained_on
from app.cycle.steps.pool import Pool, hold_to_contract
from app.ledger.erasures import erased_artefacts
from app.ledger.store import Artefact, Connection, Ledger
from app.projections.champions import ChampionView, get_champion
from app.projections.contracts import get_contract
from app.projections.cycles import get_cycle, trainings_until
from app.projections.cycles_that_count import Basis, basis, counted_cycles, set_aside
from app.projections.labels import LabelledRow, labelled_identities, labelled_rows
from app.projections.models import ModelView, get_model
from app.projections.policies import get_policy_document
from app.projections.predictions import TRAINED_ON, PredictedRow, Window, window_predictions
from app.projections.refusals import RowCounts, rows_between
from app.serving.plan import ServingPlan, load_plan
from app.settings import Settings
from domain.contract.contract import Contract, parse_contract
from domain.contract.rows import RowGuard
from domain.contract.window import stretch_start, window_start
from domain.decisions.cycle import Cycle
from domain.decisions.rule_numbers import FIRST, form
from domain.drift.label_shift import label_shift
from domain.drift.reference import reference_from_document
from domain.errors import LedgerDamaged
from domain.events.cycle_events import CandidateTrained, CycleEvent, CycleStarted
from domain.events.findings import LabelShift


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a step leaves: its event, and the artefacts that the event names."""

    event: CycleEvent
    artefacts: tuple[Artefact, ...] = ()


class Knowledge:
    """Everything one cycle looks at.

    Args:
        ledger: where it reads.
        settings: state directory.
        started: what the cycle was asked to do.
        cutoff: position of `CycleStarted`; nothing after it is looked at.
    """

    def __init__(
        self, ledger: Ledger, settings: Settings, started: CycleStarted, cutoff: int
    ) -> None:
        self.ledger = ledger
        self.settings = settings
        self.started = started
        self.cutoff = cutoff

    @cached_property
    def model(self) -> ModelView:
        """The model's read model. One cycle of a model runs at a time, so it stands still but for
        what this cycle's own steps did."""
        with self.ledger.connect() as connection:
            return model_now(connection, self.started.model)

    @cached_property
    def contract(self) -> Contract:
        """The contract in force when the cycle started."""
        with self.ledger.connect() as connection:
            return parse_contract(get_contract(connection, self.started.contract_digest))

    @cached_property
    def guard(self) -> RowGuard:
        """The contract's compiled row guard."""
        return RowGuard(self.contract)

    @cached_property
    def policy_document(self) -> dict[str, Any]:
        """The policy in force when the cycle started."""
        with self.ledger.connect() as connection:
            return get_policy_document(connection, self.started.policy_digest)

    @cached_property
    def champion(self) -> ChampionView | None:
        """Who is judged, and how it was trained: who served when the cycle started, or, where that
        one's cycle is set aside, who served last of those that cycles which count have made."""
        if self.started.champion is None:
            return None
        with self.ledger.connect() as connection:
            return get_champion(connection, self.started.model, self.started.champion)

    @cached_property
    def bounds(self) -> tuple[str, str]:
        """The window: start (inclusive) and end (exclusive), clipped at the champion's training."""
        start = self.drift_window_start
        if self.champion is not None:
            start = max(start, self.champion.trained_until)
        return start, self.started.as_of

    @cached_property
    def drift_window_start(self) -> str:
        """as_of less the contract's drift window, not clipped."""
        return window_start(self.started.as_of, self.contract.drift_window)

    @cached_property
    def window(self) -> Window:
        """The champion's latest prediction per row in the window; empty without a champion."""
        if self.champion is None:
            return Window(rows=(), left_out={})
        with self.ledger.connect() as connection:
            found = window_predictions(
                connection,
                self.started.model,
                model_version=self.champion.model_version,
                start=self.bounds[0],
                unclipped_start=self.drift_window_start,
                end=self.bounds[1],
                up_to=self.cutoff,
            )
        if form(self.started, "window") == FIRST or not found.rows:
            return found
        return found.without(self.champion_identities, TRAINED_ON)

    def answered_by(self, model_version: str) -> int:
        """How many rows of the drift window, not clipped, another version answered last."""
        with self.ledger.connect() as connection:
            return len(
                window_predictions(
                    connection,
                    self.started.model,
                    model_version=model_version,
                    start=self.drift_window_start,
                    end=self.started.as_of,
                    up_to=self.cutoff,
                ).rows
            )

    @cached_property
    def labelled(self) -> tuple[LabelledRow, ...]:
        """Every labelled row before as_of, the latest label per identity, by event time."""
        with self.ledger.connect() as connection:
            return labelled_rows(
                connection, self.started.model, before=self.started.as_of, up_to=self.cutoff
            )

    @cached_property
    def pool(self) -> tuple[LabelledRow, ...]:
        """The labelled rows of the contract's training pool: what is trained on or held out."""
        start = stretch_start(self.started.as_of, self.contract.training_pool)
        return tuple(row for row in self.labelled if row.event_time >= start)

    @cached_property
    def trainable(self) -> Pool:
        """The rows of the pool that may train and judge, held to the contract of the cycle."""
        if form(self.started, "merge") == FIRST:
            return Pool(self.pool, {})
        return hold_to_contract(self.guard, self.pool)

    @cached_property
    def window_labels(self) -> list[float]:
        """The labels of rows in the window, predicted or not; in the target's unit."""
        start, end = self.bounds
        return [row.label for row in self.labelled if start <= row.event_time < end]

    @cached_property
    def label_shift(self) -> LabelShift | None:
        """The window's labels against the champion's training target, on that champion's scale.

        None without a champion, its frozen reference, or a label in the window.
        """
        champion, labels = self.champion, self.window_labels
        if champion is None or not labels or self.reference_erased:
            return None
        reference = reference_from_document(
            orjson.loads(self.ledger.artefact(champion.reference_sha256))
        )
        if self.plan(champion.plan_sha256).logarithmic:
            labels = [math.log(label) if label > 0 else -math.inf for label in labels]
        return label_shift(reference.target, np.array(labels, np.float64))

    def plan(self, sha256: str) -> ServingPlan:
        """The stored serving plan with this digest."""
        return load_plan(self.ledger.artefact(sha256))

    @property
    def training_on_window(self) -> int:
        """Which training on windows that end on this day this one is, from 1."""
        with self.ledger.connect() as connection:
            return 1 + trainings_until(
                connection,
                self.started.model,
                day=self.started.as_of[:10],
                before_number=self.started.number,
            )

    @property
    def duplicates(self) -> int:
        """Earlier labels that a later one of the same row replaced, in the pool."""
        return sum(row.labels - 1 for row in self.pool)

    @cached_property
    def labels(self) -> dict[str, float]:
        """The label by row identity."""
        return {row.identity: row.label for row in self.labelled}

    @cached_property
    def judged_rows(self) -> tuple[PredictedRow, ...] | tuple[LabelledRow, ...]:
        """The rows the window guard looks at: predictions, or at the first cycle the labels."""
        if self.champion is not None:
            return self.window.rows
        start, end = self.bounds
        return tuple(row for row in self.labelled if start <= row.event_time < end)

    @cached_property
    def counts(self) -> RowCounts:
        """Rows accepted and refused since the model's previous cycle started."""
        with self.ledger.connect() as connection:
            return rows_between(
                connection, self.started.model, after=self.previous_cutoff, up_to=self.cutoff
            )

    @cached_property
    def previous_cutoff(self) -> int:
        """Where the model's previous cycle started; -1 at the first."""
        if self.started.number == 1:
            return -1
        previous = f"{self.started.model}-{self.started.number - 1}"
        with self.ledger.connect() as connection:
            return get_cycle(connection, previous).started_position

    @cached_property
    def basis(self) -> Basis:
        """What the earlier cycles that count left: those that none has set aside."""
        number = self.started.number
        with self.ledger.connect() as connection:
            aside = set_aside(connection, self.started.model, before_number=number)
            aside |= frozenset(self.started.sets_aside)
            cycles = counted_cycles(
                connection, self.started.model, before_number=number, aside=aside
            )
            return basis(connection, self.started.model, cycles, up_to=self.cutoff)

    @cached_property
    def new_samples(self) -> int:
        """Rows that the last completed training which counts could not have had.

        By the labels that it read they had none yet, or happened at its as_of or later: history
        that is filled in at once is new to each of its years, and no later correction makes a row
        new. By the first form of rule `samples` only what had no label is new.
        """
        after, before = self.basis.consumed_until, self.basis.consumed_before
        if after is None:
            return len(self.labelled)
        if form(self.started, "samples") == FIRST:
            return sum(row.first_position > after for row in self.labelled)
        with self.ledger.connect() as connection:
            had = labelled_identities(connection, self.started.model, before=before, up_to=after)
        return sum(row.identity not in had for row in self.labelled)

    @cached_property
    def champion_identities(self) -> frozenset[str]:
        """The rows the champion was trained on, as `trained_on` has them."""
        if self.champion is None:
            return frozenset()
        with self.ledger.connect() as connection:
            return trained_on(connection, self.champion)

    @cached_property
    def reference_start(self) -> str | None:
        """First event time that the champion's reference may hold, inclusive; None: unrecorded."""
        champion = self.champion
        if champion is None or champion.trained_from is None:
            return None
        reference = self.trained_under(champion).reference
        return max(champion.trained_from, stretch_start(champion.as_of, reference))

    def trained_under(self, champion: ChampionView) -> Contract:
        """The contract of the cycle that made this champion: what its reference was frozen by."""
        with self.ledger.connect() as connection:
            started = get_cycle(connection, champion.cycle).state[CycleStarted.type]
            return parse_contract(get_contract(connection, started["contract_digest"]))

    @cached_property
    def reference_end(self) -> str | None:
        """End of the event times that the champion's reference may hold, exclusive.

        A refit trains on later rows too, and leaves the reference as it was."""
        champion = self.champion
        if champion is None or champion.trained_from is None:
            return champion.trained_until if champion else None
        with self.ledger.connect() as connection:
            trained = get_cycle(connection, champion.cycle).state[CandidateTrained.type]
        return str(trained["trained_until"])

    @cached_property
    def reference_erased(self) -> bool:
        """Whether the champion's frozen reference was erased, so that drift cannot be measured."""
        if self.champion is None:
            return False
        with self.ledger.connect() as connection:
            return self.champion.reference_sha256 in erased_artefacts(connection)


def model_now(connection: Connection, model: str) -> ModelView:
    """The read model of a model that has a cycle, as it stands now. Raises LedgerDamaged."""
    view = get_model(connection, model)
    if view is None:
        raise LedgerDamaged(
            f"model {model!r} has a cycle and no read model. Stop writing; run `whyledger verify`, "
            "then `whyledger replay`."
        )
    return view


@dataclass(slots=True)
class Work:
    """One step at work: what the cycle knows, and what its steps left."""

    known: Knowledge
    state: Cycle
    by_products: bool = True  # whether MLflow and DVC are told; a what-if tells nobody
    fitted: Any = None  # app.training's Trained, kept from the train step for the parity gate
