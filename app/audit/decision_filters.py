"""What decisions may be asked for by: a misspelt filter is refused, for it would find nothing."""

from __future__ import annotations

from typing import Final, get_args

from app.ledger.store import Connection
from app.projections.models import get_model
from domain.errors import RequestInvalid, UnknownModel
from domain.events.cycle_events import Outcome
from domain.events.verdicts import NOT_DECIDED
from domain.faults import Fault

OUTCOMES: Final = (*get_args(Outcome), NOT_DECIDED)


def check_outcome(outcome: str | None) -> None:
    """Refuse what is no outcome. Raises RequestInvalid, which names those there are."""
    if outcome is None or outcome in OUTCOMES:
        return
    fault = Fault("/query/outcome", f"is none of {', '.join(map(repr, OUTCOMES))}", outcome)
    raise RequestInvalid(f"outcome {outcome[:100]!r} {fault.message}.", [fault])


def check_model(connection: Connection, model: str | None) -> None:
    """Refuse a model nobody adopted a contract for. Raises UnknownModel."""
    if model is not None and ("\0" in model or get_model(connection, model) is None):
        raise UnknownModel.named(model)
