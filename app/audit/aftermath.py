"""What came of a decision: how its cycle ended, the candidate, and the gates with both errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.ledger.store import Connection
from app.projections.cycles import get_cycle
from app.projections.decisions import DecisionView
from app.web.gates import GateRow, gates
from domain.decisions.cycle import Cycle, fold_state
from domain.errors import UnknownThing

NOT_FINISHED: Final = "not finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """One decision's cycle after it decided, as the cycles' read model holds it."""

    conclusion: str  # promoted, rejected, kept, not decided, failed; or 'not finished'
    reason: str  # why it failed or could not decide; empty otherwise: the gates say why
    candidate: str  # 'car-price/7'; empty when none was trained
    champion: str  # whom the candidate was compared with; empty when nobody was
    gates: tuple[GateRow, ...]  # empty when nothing was trained

    def figure(self, gate: str, side: str) -> float | None:
        """The RMSE of a side at a gate, transformed scale; None when it was not measured."""
        figures = next((dict(row.figures) for row in self.gates if row.name == gate), {})
        return figures.get(side)


def aftermath_of(connection: Connection, decision: DecisionView) -> Aftermath:
    """What came of `decision`."""
    try:
        view = get_cycle(connection, decision.cycle)
    except UnknownThing:  # a decision in a stream that no cycle.started begins
        return _aftermath(Cycle(), None)
    return _aftermath(fold_state(view.state), view.conclusion)


def why_it_ended_early(cycle: Cycle) -> str:
    """The recorded reason of a cycle that halted, could not decide, or failed; else empty."""
    for early in (cycle.failed, cycle.training_failed, cycle.not_decided, cycle.halted):
        if early is not None:
            return early.reason
    return ""


def _aftermath(cycle: Cycle, conclusion: str | None) -> Aftermath:
    compared = cycle.compared
    return Aftermath(
        conclusion=conclusion or NOT_FINISHED,
        reason=why_it_ended_early(cycle),
        candidate=cycle.trained.candidate if cycle.trained else "",
        champion=(compared.champion_version or "") if compared else "",
        gates=tuple(gates(cycle)),
    )
