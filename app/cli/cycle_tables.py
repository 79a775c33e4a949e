"""A cycle's clauses and gates as tables on the terminal; `cycle` and `why` print the same."""

from __future__ import annotations

from app.audit.cycle import CycleTold
from app.cli.terminal import say, say_table


def say_cycle(told: CycleTold) -> None:
    """The headline, the sentence, the clauses, the gates that were due, and how it ended."""
    say(told.headline)
    say(told.sentence)
    if told.clauses:
        say_table(
            ("", "clause", "verdict", "observed", "needs", "distance"),
            [(c.symbol, c.label, c.verdict, c.shown, c.needs, c.distance) for c in told.clauses],
        )
    if told.nodes:
        say_table(
            ("", "node", "verdict", "joins"),
            [(n.symbol, n.node, n.verdict, n.joins) for n in told.nodes],
            wrapped=("joins",),
        )
    if told.gates:
        say_table(
            ("", "gate", "verdict", "RMSE", "reason", "note"),
            [(g.symbol, g.name, g.verdict, g.errors, g.reason, g.note) for g in told.gates],
            wrapped=("reason", "note"),
        )
    if told.error:
        say(told.error)
    say(f"{told.cycle}: {told.aftermath}")
