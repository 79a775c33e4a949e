"""What a cycle may know: what stood in the ledger when it started, of what happened before as_of.

Read once a run, and the same after a resume: the position of `CycleStarted` is the cut-off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import orjson

from app.cycle.reigns import trained_on
from app.cycle.steps.labelled_columns import LabelledColumns, Rows
from app.cycle.steps.pool import Pool, as_they_are, hold_to_contract
from app.cycle.steps.premises import Premises
from app.ledger.store import Artefact, Connection
from app.projections.answered_rows import Reach
from app.projections.kept_columns import Columns
from app.projections.label_rows import columns_as_sent, each_labelled, label_columns
from app.projections.labels_in_force import (
    Labelled,
    labelled_between,
    labelled_count,
    labelled_in,
    new_labelled_count,
)
from app.projections.windows import (
    TRAINED_ON,
    Answers,
    Window,
    groups_of,
    no_window,
    prediction_columns,
    rows_answered,
    window_predictions,
)
from domain.contract.window import stretch_start
from domain.decisions.cycle import Cycle
from domain.decisions.rule_numbers import FIRST, form
from domain.drift.label_shift import label_shift
from domain.drift.reference import reference_from_document
from domain.events.cycle_events import CycleEvent
from domain.events.findings import LabelShift
from domain.identities import Identities
from domain.packed import Floats, Whole, one_by_one


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a step leaves: its event, and the artefacts that the event names."""

    event: CycleEvent
    artefacts: tuple[Artefact, ...] = ()


class Knowledge(Premises):
    """Everything one cycle looks at: what it starts from, and rows."""

    _answers: tuple[str, Answers] | None = None  # who answered, and what
    _columns: tuple[Window, Columns] | None = None  # of which rows

    def let_go_of_window_labels(self) -> None:
        """Hold the labels of rows in the window no longer; they are read again if asked for."""
        self.__dict__.pop("_labels_within", None)

    def hold_labelled_alone(self) -> None:
        """Hold none of the window's rows but those with a label. As above; of the others it is
        known how many they were."""
        _ = self.window_rows, self.window_labelled
        for name in ("window", "window_by_time"):
            self.__dict__.pop(name, None)
        self._columns = None

    def let_go_of_labelled(self) -> None:
        """Hold those with a label no longer, either. As above."""
        self.__dict__.pop("window_labelled", None)

    @cached_property
    def window(self) -> Window:
        """The champion's latest prediction per row in the window; empty without a champion."""
        return self._window(by_time=False)

    @cached_property
    def window_rows(self) -> int:
        """How many those are."""
        return len(self.window)

    @cached_property
    def window_by_time(self) -> Window:
        """The same rows, in order of event time and identity."""
        return self._window(by_time=True)

    def _window(self, *, by_time: bool) -> Window:
        if self.champion is None:
            return no_window()
        with self.connect() as connection:
            found = window_predictions(
                connection,
                self.started.model,
                model_version=self.champion.model_version,
                start=self.bounds[0],
                unclipped_start=self.drift_window_start,
                end=self.bounds[1],
                up_to=self.cutoff,
                by_time=by_time,
            )
            if form(self.started, "window") == FIRST or not len(found):
                return found
        trained = self.champion_identities.among_rows(found.row_digests)
        return found.without(trained, TRAINED_ON)

    @cached_property
    def window_labelled(self) -> Labelled:
        """The rows of the window that have a label in force."""
        return self.labelled(self.window)

    def labelled(self, window: Window) -> Labelled:
        """Those rows of a window that have a label in force, in its order."""
        with self.connect() as connection:
            return labelled_in(
                connection,
                window,
                before=self.started.as_of,
                up_to=self.cutoff,
            )

    def columns(self, window: Window, names: Sequence[str]) -> Columns:
        """These columns of the window's rows, read together when the first is asked for.

        Two steps look at those of one window: they are kept until others are asked for.
        """
        if (
            self._columns is None
            or self._columns[0] is not window
            or not (self._columns[1].keys() >= set(names))
        ):
            self._columns = (window, prediction_columns(self.connect, window, names))
        return self._columns[1]

    def groups(self, window: Window, column: str) -> Whole:
        """The group of each of its rows, as a number, by the column that names it."""
        with self.connect() as connection:
            return groups_of(connection, window, column)

    def answers(self, connection: Connection, model_version: str) -> Answers:
        """All that a version answered before `as_of`; of the last that was asked for it is kept."""
        if self._answers is None or self._answers[0] != model_version:
            self._answers = None  # before others are read
            reach = Reach(start="", end=self.started.as_of, up_to=self.cutoff)
            read = Answers(connection, self.started.model, model_version, reach)
            self._answers = (model_version, read)
        return self._answers[1]

    def answered_by(self, model_version: str) -> int:
        """How many rows of the drift window, not clipped, another version answered last."""
        with self.connect() as connection:
            return rows_answered(
                connection,
                self.started.model,
                model_version=model_version,
                start=self.drift_window_start,
                end=self.started.as_of,
                up_to=self.cutoff,
            )

    @cached_property
    def trainable(self) -> Pool:
        """The rows of the contract's training pool that may train and judge, held to the contract
        of the cycle: the latest label per identity, before as_of, by event time and identity."""
        with self.connect() as connection:
            labelled = each_labelled(
                connection,
                self.started.model,
                before=self.started.as_of,
                up_to=self.cutoff,
                since=stretch_start(self.started.as_of, self.contract.training_pool),
            )
            if form(self.started, "merge") == FIRST:
                return as_they_are(labelled)
            return hold_to_contract(self.guard, labelled)

    def as_sent(self, rows: LabelledColumns) -> LabelledColumns:
        """Those rows of the pool as they came in, which may hold what a later contract dropped."""
        with self.connect() as connection:
            sent = columns_as_sent(connection, rows.places[0])
        return replace(rows, rows=Rows(sent, len(rows)))

    @cached_property
    def _labels_within(self) -> tuple[Whole, Floats]:
        """Where the labels of rows in the window stand, and their values."""
        start, end = self.bounds
        with self.connect() as connection:
            return labelled_between(
                connection, self.started.model, start=start, end=end, up_to=self.cutoff
            )

    @property
    def window_labels(self) -> Floats:
        """The labels of rows in the window, predicted or not; in the target's unit."""
        return self._labels_within[1]

    @cached_property
    def label_shift(self) -> LabelShift | None:
        """The window's labels against the champion's training target, on that champion's scale.

        None without a champion, its frozen reference, or a label in the window.
        """
        champion, labels = self.champion, self.window_labels
        if champion is None or not len(labels) or self.reference_erased:
            return None
        reference = reference_from_document(
            orjson.loads(self.ledger.artefact(champion.reference_sha256))
        )
        if self.plan(champion.plan_sha256).logarithmic:
            logs = (math.log(each) if each > 0 else -math.inf for each in one_by_one(labels))
            labels = np.fromiter(logs, np.float64, len(labels))
        return label_shift(reference.target, labels)

    @property
    def judged_rows(self) -> int:
        """How many rows the window guard looks at: predictions, or at the first cycle labels."""
        return len(self._labels_within[0] if self.champion is None else self.window)

    @property
    def judged_columns(self) -> Columns:
        """The features of those rows. What an earlier contract did not ask for is missing."""
        names = self.contract.feature_names
        if self.champion is not None:
            return self.columns(self.window, names)
        return label_columns(self.connect, self._labels_within[0], names)

    @cached_property
    def new_samples(self) -> int:
        """Rows that the last completed training which counts could not have had.

        By the labels that it read they had none yet, or happened at its as_of or later: history
        that is filled in at once is new to each of its years, and no later correction makes a row
        new. By the first form of rule `samples` only what had no label is new.
        """
        after, before = self.basis.consumed_until, self.basis.consumed_before
        with self.connect() as connection:
            if after is None:
                return labelled_count(
                    connection, self.started.model, before=self.started.as_of, up_to=self.cutoff
                )
            if form(self.started, "samples") == FIRST:
                before = None
            return new_labelled_count(
                connection,
                self.started.model,
                before=self.started.as_of,
                up_to=self.cutoff,
                had_up_to=after,
                had_before=before,
            )

    @cached_property
    def champion_identities(self) -> Identities:
        """The rows the champion was trained on, as `trained_on` has them."""
        if self.champion is None:
            return Identities(self.started.model)
        with self.connect() as connection:
            return trained_on(connection, self.champion)


@dataclass(slots=True)
class Work:
    """One step at work: what the cycle knows, and what its steps left."""

    known: Knowledge
    state: Cycle
    by_products: bool = True  # whether MLflow and DVC are told; a what-if tells nobody
    fitted: Any = None  # app.training's Trained, kept from the train step for the parity gate
