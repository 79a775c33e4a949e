"""The table of decisions and other changes: what stands in each of its lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from app.audit.change import Change
from app.audit.cycle import NOT_FINISHED
from app.audit.decision import Decision
from app.audit.gates import compared_errors
from app.projections.changes import Kind
from domain.decisions.cycle import RETRAINING
from domain.events.verdicts import NOT_DECIDED

# A promotion and a rejection stand in the line of the decision they came of.
SHOWN: Final[frozenset[Kind]] = frozenset(get_args(Kind)) - {"promoted", "rejected"}
_SYMBOL: Final[Mapping[Kind, str]] = {
    "rolled back": "↶",
    "halted": "!",
    "failed": "✗",
    "contract adopted": "§",
    "policy adopted": "§",
    "erased": "∅",
    "set aside": "⊘",
    "damage found": "!",
    "damage settled": "=",
}

_INTERRUPTS: Final[frozenset[Kind]] = frozenset(
    {"rolled back", "halted", "failed", "set aside", "damage found"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One line of the table: a decision, or another change."""

    at: str  # UTC: as of when a cycle looked; when it occurred, outside of one
    kind: str  # retrain (somebody new serves), keep, interrupted: for the stylesheet
    symbol: str
    word: str  # a decision's outcome, or the change's kind
    headline: str  # of a decision what happened, and who serves; empty for another change
    sentence: str
    errors: str  # 'champion → candidate', RMSE on the holdout; empty when none was trained
    ended: str  # how a decision's cycle ended; empty for another change
    href: str  # the whole of it, as JSON


def change_row(change: Change, decision: Decision | None) -> ChangeRow:
    """The line of `change`, with its `decision` when it is one."""
    if decision is None:
        interrupted = change.kind in _INTERRUPTS
        return ChangeRow(
            at=change.as_of or change.occurred_at,
            kind="interrupted" if interrupted else "keep",
            symbol=_SYMBOL.get(change.kind, "="),
            word=change.kind,
            headline="",
            sentence=change.sentence,
            errors="",
            ended="",
            href=f"/audit/changes?cursor={change.position - 1}&limit=1",
        )
    cut_off = decision.conclusion in {NOT_DECIDED, "failed"}
    promoted = decision.conclusion == "promoted"
    return ChangeRow(
        at=decision.as_of,
        kind="interrupted" if cut_off else "retrain" if promoted else "keep",
        symbol="↻" if decision.outcome in RETRAINING else "=",
        word=decision.outcome or change.kind,
        headline=decision.headline,
        sentence=decision.sentence,
        errors=compared_errors(decision.gates),
        ended=decision.conclusion or NOT_FINISHED,
        href=f"/audit/decisions/{decision.id}",
    )
