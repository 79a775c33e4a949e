"""What a cycle would do next with what has come in: said where rows come in."""

from __future__ import annotations

from app.cycle.standing import how_it_stands
from app.ledger.store import Ledger
from app.projections.champions import get_champion
from domain.decisions.starting import StartCycle, start_cycle
from domain.errors import CycleRefused, NothingToDecide, UnknownModel
from domain.events.verdicts import serves_set_aside


def next_cycle(ledger: Ledger, model: str, skew_seconds: float) -> str:
    """What the next cycle of `model` would do, asked for now without as_of or reason.

    By the rules that start one: where they refuse it, that is what is said.
    """
    command = StartCycle(model=model, as_of=None, force=None)
    with ledger.connect(with_rows=True) as connection:
        try:
            standing, _ = how_it_stands(connection, command, skew_seconds)
            started = start_cycle(standing, command)
        except (NothingToDecide, UnknownModel) as nothing:
            return f"the next cycle would have nothing to decide on: {nothing.message}"
        except CycleRefused as refused:
            return f"the next cycle would be refused: {refused.message}"
        if not started:
            return f"cycle {standing.open_cycle} has not ended; asked for now, it would go on"
        begun = started[0]
        if begun.champion is not None:
            trained_until = get_champion(connection, model, begun.champion).trained_until
            return (
                f"the next cycle would judge {begun.champion} by the rows since {trained_until}, "
                "the end of its training"
            )
        if begun.serves is not None:
            return (
                f"the next cycle would train {model} as if for the first time: "
                f"{serves_set_aside(begun.serves)}"
            )
        return (
            f"the next cycle would train {model} for the first time, on the rows before "
            f"{begun.as_of}"
        )
