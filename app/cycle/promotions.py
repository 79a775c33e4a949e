"""Who serves: promote a candidate, roll back to an earlier champion. The event is the promotion."""

from __future__ import annotations

from app.cause import Cause
from app.clock import new_id, now
from app.ledger.store import (
    Connection,
    Ledger,
    NewEvent,
    StreamAppend,
    StreamHistory,
    stored_artefact,
)
from app.ledger.streams import TRIES, model_stream
from app.serving.plan import load_plan
from domain.decisions import lifecycle
from domain.decisions.lifecycle import Lifecycle, PromoteCandidate, RollBack
from domain.errors import PromotionRefused, UnknownModel, VersionConflict
from domain.events.cycle_events import PromotionSettled
from domain.events.envelope import Recorded
from domain.events.events import CandidatePromoted, ChampionRolledBack, ContractAdopted


def lifecycle_of(history: StreamHistory) -> Lifecycle:
    """The state of the model whose stream this is; an empty one before its first contract."""
    return lifecycle.fold(
        entry.event
        for entry in history.entries
        if isinstance(entry.event, ContractAdopted | CandidatePromoted | ChampionRolledBack)
    )


def read_lifecycle(ledger: Ledger, model: str) -> tuple[Lifecycle, StreamHistory]:
    """The model's state and the history it was folded from.

    Raises:
        UnknownModel: no contract was adopted under this name.
    """
    history = ledger.read_stream(model_stream(model))
    state = lifecycle_of(history)
    if state.model is None:
        raise UnknownModel(f"model {model!r} is unknown. Adopt a contract for it first.")
    return state, history


def settle_promotion(
    ledger: Ledger,
    command: PromoteCandidate,
    *,
    cycle_stream: str,
    cycle_version: int,
    cause: Cause,
) -> PromotionSettled:
    """Promote the cycle's candidate, both streams in one transaction; or record why not.

    The plan is read back from the database, checked against its digest and loaded inside that
    transaction, before the event: a promotion names only what can serve.

    Raises:
        VersionConflict: somebody else went on with this cycle, or was first three times.
        PlanInvalid, LedgerDamaged: the stored plan does not load, or is not what was stored.
    """
    candidate = command.candidate
    tries = 0
    while True:
        state, history = read_lifecycle(ledger, command.model)
        try:
            events = lifecycle.promote(state, command)
            settled = PromotionSettled(
                promoted=True,
                model_version=candidate.model_version,
                reason=f"{candidate.model_version} replaces {command.compared_with or 'nobody'}",
            )
        except PromotionRefused as refusal:
            events = ()
            settled = PromotionSettled(
                promoted=False, model_version=candidate.model_version, reason=refusal.message
            )
        appends = [StreamAppend(cycle_stream, (_new(settled, command.as_of),), cycle_version)]
        if events:
            promoted = tuple(_new(event, command.as_of) for event in events)
            # The promotion stands before the word that the cycle is settled.
            appends.insert(0, StreamAppend(history.stream, promoted, history.version))

        def check(connection: Connection) -> None:
            load_plan(stored_artefact(connection, candidate.plan_sha256))

        try:
            ledger.append(appends, cause, check=check)
        except VersionConflict as conflict:
            tries += 1
            if conflict.stream == cycle_stream or tries == TRIES:
                raise
            continue  # a rollback or a contract came first: decide again
        return settled


def roll_back(
    ledger: Ledger,
    model: str,
    *,
    to: str,
    reason: str,
    cause: Cause,
) -> Recorded:
    """Let the earlier champion `to` serve again; the entry that says so.

    Raises:
        UnknownModel: no contract was adopted under this name.
        RollbackRefused: `to` never was champion, or serves already.
        VersionConflict: three times somebody else was first.
    """
    tries = 0
    while True:
        state, history = read_lifecycle(ledger, model)
        events = lifecycle.roll_back(state, RollBack(to=to, reason=reason))
        target = next(c for c in state.champions if c.model_version == to)

        def check(connection: Connection, sha256: str = target.plan_sha256) -> None:
            load_plan(stored_artefact(connection, sha256))

        append = StreamAppend(
            history.stream, tuple(_new(event, now()) for event in events), history.version
        )
        try:
            return ledger.append([append], cause, check=check)[0]
        except VersionConflict:
            tries += 1
            if tries == TRIES:
                raise


def _new(
    event: CandidatePromoted | ChampionRolledBack | ContractAdopted | PromotionSettled,
    occurred_at: str,
) -> NewEvent:
    return NewEvent(event=event, id=new_id(), occurred_at=occurred_at)
