"""What a champion was worth in its reign: measured on real rows with labels, never estimated."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.cycle.reigns import Reign, held_out, served_rows, trained_on
from app.ledger.reading import stored_artefact
from app.ledger.store import Connection
from app.projections.champions import get_champion
from app.projections.labels_in_force import labelled_in
from app.projections.windows import Answers, Window, groups_of, prediction_columns
from app.serving.plan import load_plan
from domain.contract.contract import Contract
from domain.decisions.group_interval import INTERVAL_GROUPS_MIN, sum_interval
from domain.errors import WhyledgerError
from domain.events.events import ValueMeasured
from domain.events.findings import GroupInterval
from domain.packed import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """When a reign is looked at, and at what."""

    occasion: Literal["cycle", "promotion", "rollback"]
    as_of: str  # event times before it
    up_to: int  # a position; nothing after it is looked at


def measure_value(
    connection: Connection,
    reign: Reign,
    contract: Contract,
    looked: Looked,
    answers: Answers | None = None,
) -> ValueMeasured:
    """The sum of |previous error| - |champion's error| over the reign, in the contract's unit.

    Rows that the champion served in its reign and that got labels, never of either one's training
    or holdout; the label in force. Who served before is scored again on those rows. Where there is
    no value, the note says why; it counts the rows that who served before had seen. `answers`: as
    `served_rows` takes them.
    """
    found = _Found()
    try:
        _measure(found, connection, reign, contract, looked, answers)
    except WhyledgerError as unusable:
        found.note = f"nothing could be measured: {unusable.message}"
    return ValueMeasured(
        model=reign.model,
        model_version=reign.champion.model_version,
        since=reign.position,
        previous=reign.previous,
        occasion=looked.occasion,
        as_of=looked.as_of,
        served_rows=found.served_rows,
        labelled_rows=found.labelled_rows,
        value=found.value,
        interval=found.interval,
        unit=contract.value_of_error.unit if contract.value_of_error else None,
        retraining_cost=contract.retraining_cost,
        note=found.note,
    )


@dataclass(slots=True)
class _Found:
    """As far as it came: a champion is replaced whether or not its worth can be measured."""

    served_rows: int = 0
    labelled_rows: int = 0
    value: float | None = None
    interval: GroupInterval | None = None
    note: str = ""


def _measure(
    found: _Found,
    connection: Connection,
    reign: Reign,
    contract: Contract,
    looked: Looked,
    answers: Answers | None,
) -> None:
    answered = served_rows(
        connection, reign, until=looked.as_of, up_to=looked.up_to, answers=answers
    )
    served = _unseen_before(connection, reign, answered)
    labelled = labelled_in(connection, served, before=looked.as_of, up_to=looked.up_to)
    found.served_rows, found.labelled_rows = len(served), len(labelled)
    seen = _seen_words(reign, len(answered) - len(served))
    found.note = _together(_missing(reign, contract, len(labelled)), seen)
    declared = contract.value_of_error
    if declared is None or reign.previous is None or not len(labelled):
        return
    ours, actual = labelled.window.predictions, labelled.labels
    try:
        before = _scored(connection, reign.model, reign.previous, labelled.window)
    except WhyledgerError as unusable:
        found.note = f"{reign.previous} cannot score those rows: {unusable.message}"
        return
    saved = (np.abs(before - actual) - np.abs(ours - actual)) * declared.per_unit
    groups = groups_of(connection, labelled.window, contract.group)
    found.value, found.interval = float(saved.sum()), sum_interval(saved, groups)
    if found.interval is None:
        few = f"not enough groups for an interval: {int(groups.max()) + 1} of {INTERVAL_GROUPS_MIN}"
        found.note = _together(few, seen)


def _unseen_before(connection: Connection, reign: Reign, served: Window) -> Window:
    """Those of `served` that neither trained nor judged who served before.

    After a rollback that one is the later model, and has seen what comes again.
    """
    if reign.previous is None or not len(served):
        return served
    previous = get_champion(connection, reign.model, reign.previous)
    seen = trained_on(connection, previous) | held_out(connection, previous)
    return served.without(seen.among_rows(served.row_digests))


def _seen_words(reign: Reign, rows: int) -> str:
    """How many rows who served before had seen; empty: none."""
    if not rows:
        return ""
    number = "1 row is" if rows == 1 else f"{rows:,} rows are"
    return f"{number} left out, which {reign.previous} was trained on or judged by"


def _together(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _missing(reign: Reign, contract: Contract, labelled: int) -> str:
    """Why there is no value, before anybody is scored; empty: there may be one."""
    if contract.value_of_error is None:
        return "the contract declares no value_of_error"
    if reign.previous is None:
        return "nobody served before it"
    return "" if labelled else "no row that it served has a label yet"


def _scored(connection: Connection, model: str, version: str, window: Window) -> Floats:
    """The predictions of another version for the same rows, target's unit."""
    plan = load_plan(
        stored_artefact(connection, get_champion(connection, model, version).plan_sha256)
    )
    columns = prediction_columns(lambda: nullcontext(connection), window, plan.feature_names)
    return plan.predict_columns(columns, len(window)).native
