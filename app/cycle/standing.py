"""How a model stands when a cycle of it is asked for: what decides whether and how one starts."""

from __future__ import annotations

from app.clock import latest_taken, now
from app.ledger.reading import stream_version
from app.ledger.store import Connection, StreamHistory
from app.ledger.streams import cycle_stream
from app.projections.contracts import contract_of
from app.projections.cycles import unfinished_cycle
from app.projections.cycles_that_count import judged_by
from app.projections.labels import has_labels, newest_label
from app.projections.models import ModelView, get_model
from app.projections.policies import get_policy
from domain.contract.contract import DriftWindow
from domain.decisions.starting import Standing, StartCycle, cycle_id, moment
from domain.errors import UnknownModel


def how_it_stands(
    connection: Connection, command: StartCycle, skew_seconds: float
) -> tuple[Standing, StreamHistory]:
    """How the model stands, and the stream of its next cycle, which does not exist yet."""
    present, latest, model = now(), latest_taken(skew_seconds), command.model
    open_cycle = unfinished_cycle(connection, model)
    view = get_model(connection, model)
    if view is None:
        raise UnknownModel.named(model)
    policy = get_policy(connection, view.policy)
    first = command.as_of is None and view.cycles_started == 0
    newest = newest_label(connection, model) if first else None
    as_of, chosen = moment(
        command.as_of,
        present=present,
        latest=latest,
        first_window=_drift_window(view) if newest is not None else None,
        newest_row=newest,
        last=view.last_as_of,
    )
    number = view.cycles_started + 1
    judged = judged_by(connection, view, as_of=as_of, number=number)
    standing = Standing(
        present=present,
        open_cycle=open_cycle.cycle if open_cycle else None,
        contract_digest=view.contract_digest,
        policy=view.policy,
        policy_digest=policy.digest if policy else None,
        champion=judged.champion,
        serves=view.champion,
        has_labels=judged.champion is None and has_labels(connection, model, before=as_of),
        last_as_of=view.last_as_of,
        number=number,
        later=judged.sets_aside,
        as_of=as_of,
        chosen=chosen,
    )
    stream = cycle_stream(cycle_id(model, standing.number))
    # Not -1: somebody may have put there what nobody can read, to be in the way.
    return standing, StreamHistory(stream, (), stream_version(connection, stream))


def _drift_window(view: ModelView) -> DriftWindow:
    return contract_of(view.contract).drift_window
