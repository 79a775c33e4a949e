"""Who serves: promote a candidate, roll back to an earlier champion. The event is the promotion."""

from __future__ import annotations

from app.cause import Cause
from app.ledger.deciding import decide, folded
from app.ledger.store import Connection, Ledger, StreamHistory, stored_artefact
from app.ledger.streams import model_stream
from app.serving.plan import load_plan
from domain.decisions import lifecycle
from domain.decisions.lifecycle import PromoteCandidate, RollBack
from domain.events.envelope import Recorded


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
    """
    decide(
        ledger,
        folded(model_stream(command.model), lifecycle.fold),
        lifecycle.settle,
        command,
        cause,
        occurred_at=lambda _: command.as_of,
        beside=cycle,
        check=lambda _, connection: _check_plan(connection, command.candidate.plan_sha256),
    )


def roll_back(ledger: Ledger, model: str, *, to: str, reason: str, cause: Cause) -> Recorded:
    """Let the earlier champion `to` serve again; the entry that says so.

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
        RollBack(model=model, to=to, reason=reason),
        cause,
        check=lambda events, connection: _check_plan(connection, events[0].plan_sha256),
    )
    return decision.recorded[0]


def _check_plan(connection: Connection, sha256: str) -> None:
    """Refuse what cannot serve: the stored plan has to be what was stored, and to load."""
    load_plan(stored_artefact(connection, sha256))
