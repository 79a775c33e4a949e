"""A cycle's clauses and gates as tables on the terminal; `cycle` and `why` print the same."""

from __future__ import annotations

from collections.abc import Sequence

from app.cli.terminal import say_table
from app.web.gates import gates
from app.web.lights import SYMBOL, lights
from domain.decisions.cycle import Cycle
from domain.events.verdicts import ClauseVerdict, significant_digits


def say_clauses(clauses: Sequence[ClauseVerdict]) -> None:
    """Each clause with its verdict, what was observed and how far from the bound."""
    say_table(
        ("", "clause", "verdict", "observed", "needs", "distance"),
        [
            (SYMBOL[c.verdict], s.name, c.verdict, s.observed, s.needs, s.distance)
            for c, s in zip(clauses, lights(clauses), strict=True)
        ],
    )


def say_gates(cycle: Cycle) -> None:
    """Each gate with its verdict, every side's RMSE and the reason; nothing when none was due."""
    reached = gates(cycle)
    if not reached:
        return
    say_table(
        ("", "gate", "verdict", "RMSE", "reason"),
        [
            (
                gate.symbol,
                gate.name,
                gate.verdict,
                ", ".join(f"{side} {significant_digits(v)}" for side, v in gate.figures),
                gate.reason,
            )
            for gate in reached
        ],
        wrapped="reason",
    )
