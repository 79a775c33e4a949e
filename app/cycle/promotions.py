"""Who serves: promote a candidate, roll back to an earlier champion. The event is the promotion."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from app.cause import Cause
from app.clock import now
from app.cycle.reigns import reign_at
from app.cycle.value import Looked, measure_value
from app.ledger.damage import refuse_on_damage
from app.ledger.deciding import decide, folded
from app.ledger.reading import head
from app.ledger.store import Connection, Ledger, StreamHistory, stored_artefact
from app.ledger.streams import model_stream
from app.projections.contracts import contract_of
from app.projections.models import get_model
from app.serving.plan import load_plan
from domain.decisions import lifecycle
from domain.decisions.lifecycle import PromoteCandidate, RollBack
from domain.errors import LedgerBusy, LedgerDamaged
from domain.events.envelope import Recorded
from domain.events.events import (
    CandidatePromoted,
    ChampionRolledBack,
    ModelEvent,
    ValueMeasured,
)

_LOG: Final = logging.getLogger("whyledger.cycle")


def settle_promotion(
    ledger: Ledger, command: PromoteCandidate, cycle: StreamHistory, cause: Cause
) -> None:
    """Promote the cycle's candidate, both streams in one transaction; or record why not.

    The plan is read back from the database, checked against its digest and loaded inside that
    transaction, before the event: a promotion names only what can serve.

    Args:
        ledger: where.
        command: the promotion.
        cycle: the cycle's stream, whose next step this is.
        cause: of the events.

    Raises:
        UnknownModel: no contract was adopted under this name.
        VersionConflict: somebody else went on with this cycle, or was first three times.
        PlanInvalid, LedgerDamaged: the stored plan does not load, or is not what was stored.
        LedgerDamaged: damage stands that nobody has settled.
    """
    decide(
        ledger,
        folded(model_stream(command.model), lifecycle.fold),
        lifecycle.settle,
        command,
        cause,
        occurred_at=lambda _: command.as_of,
        beside=cycle,
        check=partial(_check_candidate, ledger, command.candidate.plan_sha256),
    )


def _check_candidate(
    ledger: Ledger, plan_sha256: str, _: Sequence[ModelEvent], connection: Connection
) -> None:
    refuse_on_damage(ledger)
    _check_plan(connection, plan_sha256)


def roll_back(ledger: Ledger, model: str, *, to: str, reason: str, cause: Cause) -> Recorded:
    """Let the earlier champion `to` serve again; the entry that says so.

    What the champion was worth that it takes away is measured before, by the labels there are.

    Raises:
        UnknownModel: no contract was adopted under this name.
        RollbackRefused: `to` never was champion, or serves already.
        VersionConflict: three times somebody else was first.
        PlanInvalid, LedgerDamaged: its plan does not load, or is not what was stored.
    """
    decision = decide(
        ledger,
        folded(model_stream(model), lifecycle.fold),
        lifecycle.roll_back,
        RollBack(model=model, to=to, reason=reason, ended=_ended(ledger, model)),
        cause,
        check=_check_last,
    )
    return decision.recorded[-1]


def _ended(ledger: Ledger, model: str) -> ValueMeasured | None:
    """What the champion is worth that a rollback is about to take away.

    None: nobody serves; or what it did is not folded in time, for no rollback waits for a figure.
    """
    with ExitStack() as looking:
        try:
            connection = looking.enter_context(ledger.connect(with_rows=True))
        except (LedgerBusy, LedgerDamaged) as error:
            _LOG.warning("%s is rolled back unmeasured: %s", model, error.message)
            return None
        return _worth(connection, model)


def _worth(connection: Connection, model: str) -> ValueMeasured | None:
    view, before = get_model(connection, model), head(connection) + 1
    reign = reign_at(connection, model, before=before) if view else None
    if view is None or reign is None:
        return None
    contract = contract_of(view.contract)
    looked = Looked(occasion="rollback", as_of=now(), up_to=before - 1)
    return measure_value(connection, reign, contract, looked)


def _check_last(events: Sequence[ModelEvent], connection: Connection) -> None:
    last = events[-1]
    if isinstance(last, CandidatePromoted | ChampionRolledBack):
        _check_plan(connection, last.plan_sha256)


def _check_plan(connection: Connection, sha256: str) -> None:
    """Refuse what cannot serve: the stored plan has to be what was stored, and to load."""
    load_plan(stored_artefact(connection, sha256))
