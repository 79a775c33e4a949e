"""On which scale a champion's errors are: that of the plan which predicts, not of the contract."""

from __future__ import annotations

from app.audit.cycle import read_of
from app.ledger.store import Connection
from app.projections.champions import get_champion
from app.projections.contracts import adopted_contract, contract_of
from app.projections.cycles import cycles_kept
from app.projections.models import ModelView
from domain.decisions.cycle import Cycle
from domain.decisions.rule_numbers import FIRST, form
from domain.errors import UnknownThing
from domain.target_scale import Transform


def champion_scale(connection: Connection, model: ModelView) -> Transform:
    """The scale of who serves, by the contract it was trained under.

    That of the contract in force where nobody serves, or the cycle that trained it is not known.
    """
    if model.champion is None:
        return _in_force(model)
    try:
        cycle = get_champion(connection, model.model, model.champion).cycle
        begun = read_of(cycles_kept(connection, [cycle])[cycle]).cycle.begun
        return _of_contract(connection, begun.contract_digest)
    except UnknownThing:
        return _in_force(model)


def reported_scale(connection: Connection, model: ModelView, last: Cycle) -> Transform:
    """The scale of the errors that the model's `last` cycle reported of who serves.

    By the first form of rule `scale` it was that of the contract which the cycle began under.
    """
    if last.started is None or form(last.started, "scale") > FIRST:
        return champion_scale(connection, model)
    try:
        return _of_contract(connection, last.started.contract_digest)
    except UnknownThing:
        return _in_force(model)


def _of_contract(connection: Connection, digest: str) -> Transform:
    return adopted_contract(connection, digest).target.transform


def _in_force(model: ModelView) -> Transform:
    return contract_of(model.contract).target.transform
