"""What a cycle would do next with what has come in: said where rows come in."""

from __future__ import annotations

import orjson

from app.ledger.store import Connection
from app.projections.champions import get_champion
from app.projections.cycles_that_count import judged_by
from app.projections.labels import newest_label
from app.projections.models import get_model
from domain.contract.contract import parse_contract
from domain.decisions.starting import moment
from domain.events.verdicts import serves_set_aside


def next_cycle(connection: Connection, model: str, present: str) -> str:
    """What the next cycle of `model`, asked for at `present` without an as_of, would do."""
    view, newest = get_model(connection, model), newest_label(connection, model)
    if view is None or (view.champion is None and newest is None):
        return (
            f"the next cycle would have nothing to decide on: {model} has no champion and no "
            "labelled row"
        )
    judged = judged_by(connection, view, as_of=present, number=view.cycles_started + 1).champion
    if judged is not None:
        trained_until = get_champion(connection, model, judged).trained_until
        return (
            f"the next cycle would judge {judged} by the rows since {trained_until}, "
            "the end of its training"
        )
    if view.champion is not None:
        return (
            f"the next cycle would train {model} as if for the first time: "
            f"{serves_set_aside(view.champion)}"
        )
    first = view.cycles_started == 0
    as_of, _ = moment(
        None,
        present=present,
        latest=present,
        first_window=parse_contract(orjson.loads(view.contract)).drift_window if first else None,
        newest_row=newest,
    )
    return f"the next cycle would train {model} for the first time, on the rows before {as_of}"
