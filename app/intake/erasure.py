"""Erase everything that is kept about one row of a person, and say what it reached.

One transaction appends `PayloadErased` and deletes what it names; then the files of every recorded
erasure are deleted, and the database is rewritten. Killed anywhere, running it again finishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from app.cause import Cause
from app.clock import new_id, now
from app.database.compaction import compact
from app.database.locks import exclusive
from app.ledger.batch import NewEvent, StreamAppend, prepare
from app.ledger.commit import Project, commit
from app.ledger.payloads import delete_erased, erased_artefacts, erasures, positions_of
from app.ledger.store import Connection, Ledger, stored_artefact
from app.projections.cycles import CycleView, list_cycles, unfinished_cycle
from app.projections.erasures import traces_of
from app.projections.models import get_model
from app.settings import Settings
from domain.decisions.cycle import RETRAINING
from domain.errors import CycleRunning, RequestInvalid, UnknownModel
from domain.events.cycle_events import CandidateTrained, DataMerged
from domain.events.envelope import Recorded
from domain.events.events import PayloadErased

_WORDS_MAX: Final = 500  # of a reason or a legal basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What an erasure reached, and what it could not."""

    position: int | None  # of `PayloadErased`; None: nothing that can be erased was kept
    event: PayloadErased | None
    beyond: tuple[int, ...]  # entries that hold the row in hashed bytes: nobody can erase those
    champion: str | None  # who serves, when trained with the row; it goes on serving
    reference_erased: bool  # drift against who serves cannot be measured any more
    files: int  # deleted now, for this erasure and for earlier ones that were cut off
    runs: int  # MLflow runs whose artefacts were deleted now
    left: str | None  # what somebody still has to do in the database; None: nothing


def erase(
    ledger: Ledger,
    settings: Settings,
    *,
    model: str,
    identity: str,
    reason: str,
    legal_basis: str,
    cause: Cause,
) -> Erasure:
    """Erase the model's row with this identity key: payloads, read models, artefacts, files.

    Raises:
        UnknownModel: no contract was adopted under this name.
        RequestInvalid: no reason or legal basis, or this login may not erase.
        CycleRunning: a cycle of the model has not ended; it may hold the row.
        LedgerBusy: the ledger was in use; what was recorded stands, run it again.
        TrainingFailed, OSError: files could not be deleted; run it again.
    """
    for name, words in (("reason", reason), ("legal basis", legal_basis)):
        if not 1 <= len(words.strip()) <= _WORDS_MAX:
            raise RequestInvalid(f"the {name} has to be 1 to {_WORDS_MAX} characters; say it.")
    with ledger.writing() as connection:
        standing = get_model(connection, model)
        if standing is None:
            raise UnknownModel(f"model {model!r} is unknown. Adopt a contract for it first.")
        open_cycle = unfinished_cycle(connection, model)
        if open_cycle is not None:
            raise CycleRunning(
                f"cycle {open_cycle.cycle!r} has not ended and may hold the row. Let it end "
                f"(`whyledger cycle --model {model}` resumes it), then erase.",
                open_cycle.cycle,
            )
        positions = positions_of(connection, model, identity)
        beyond = sorted(traces_of(connection, model, identity).positions - set(positions))
        recorded: Recorded | None = None
        event: PayloadErased | None = None
        if positions:
            event = _event(connection, model, identity, positions, reason, legal_basis)
            recorded = _append(connection, event, cause, ledger.project)
            delete_erased(connection, event)
            ledger.project.drop_others(connection)  # which nobody may be there to fold this into
        done = erasures(connection)
    files, runs = _erase_files(settings, done)
    left = compact(ledger.engine, settings.busy_timeout_seconds) if done else None
    affected = event is not None and standing.champion in event.model_versions
    return Erasure(
        position=recorded.position if recorded else None,
        event=event,
        beyond=tuple(beyond),
        champion=standing.champion if affected else None,
        reference_erased=event is not None and standing.reference_sha256 in event.artefacts,
        files=files,
        runs=runs,
        left=left,
    )


def _append(
    connection: Connection, event: PayloadErased, cause: Cause, project: Project
) -> Recorded:
    new = NewEvent(event=event, id=new_id(), occurred_at=now())
    prepared = prepare(
        [StreamAppend(PayloadErased.stream, (new,), None)],
        cause,
        recorded_at=now(),
    )
    return commit(connection, prepared, (), None, project)[0]


def _event(
    connection: Connection,
    model: str,
    identity: str,
    positions: list[int],
    reason: str,
    legal_basis: str,
) -> PayloadErased:
    """What is to be erased: everything that was made with a label of the row."""
    labels = traces_of(connection, model, identity).labels
    held = [
        view
        for view in _trainings(connection, model)
        if any(at <= view.started_position and time < view.as_of for at, time in labels)
    ]
    trained = [view.state[CandidateTrained.type] for view in held if _trained(view)]
    return PayloadErased(
        model=model,
        entries=tuple(positions),
        artefacts=tuple(sorted(set(_artefacts(connection, held, identity)))),
        cycles=tuple(view.cycle for view in held),
        model_versions=tuple(each["candidate"] for each in trained),
        reason=reason.strip(),
        legal_basis=legal_basis.strip(),
    )


def _trainings(connection: Connection, model: str) -> Iterator[CycleView]:
    """The model's cycles that trained, or tried to, oldest first."""
    found: list[CycleView] = []
    before: int | None = None
    while page := list_cycles(connection, model, before_number=before):
        found += [view for view in page if view.outcome in RETRAINING]
        before = page[-1].number
    return reversed(found)


def _artefacts(connection: Connection, held: Iterable[CycleView], identity: str) -> Iterator[str]:
    """The identities that name the row, and the references that were frozen with it."""
    gone = erased_artefacts(connection)
    for view in held:
        merged = view.state.get(DataMerged.type)
        if merged is None or merged["identities_sha256"] in gone:
            continue  # what was frozen with those identities went with them
        if identity in orjson.loads(stored_artefact(connection, merged["identities_sha256"])):
            yield merged["identities_sha256"]
            if _trained(view):
                yield view.state[CandidateTrained.type]["reference_sha256"]


def _trained(view: CycleView) -> bool:
    return CandidateTrained.type in view.state


def _erase_files(settings: Settings, done: Iterable[PayloadErased]) -> tuple[int, int]:
    """Delete the files of every erasure there is: one that was killed half-way is finished."""
    reached: dict[str, dict[str, None]] = {}
    for event in done:
        reached.setdefault(event.model, {}).update(dict.fromkeys(event.cycles))
    if not any(reached.values()):
        return 0, 0
    from app.training import erasing  # noqa: PLC0415 - brings MLflow, and only here

    files = runs = 0
    with exclusive(settings.by_products_lock):
        for model, cycles in reached.items():
            files += erasing.erase_merged(settings.state_dir / "merged", model, list(cycles))
            runs += erasing.erase_registry_artefacts(settings.state_dir, model, list(cycles))
    return files, runs
