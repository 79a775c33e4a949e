"""Erase everything that is kept about one row of a person, and say what it reached.

One transaction appends `PayloadErased` and deletes what it names; then the files of every recorded
erasure are deleted, and the database is rewritten. Killed anywhere, running it again finishes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import orjson

from app.cause import Cause
from app.database.compaction import compact
from app.database.locks import exclusive
from app.ledger.deciding import Look, decide_under_lock
from app.ledger.erasures import believed_erasures, erased_artefacts, refuse_beyond_reach
from app.ledger.finding_rows import RowsFound, blocks_that_may_hold, find_rows
from app.ledger.payloads import delete_erased, positions_of
from app.ledger.reading import head, stream_version
from app.ledger.store import Connection, Ledger, StreamHistory, stored_artefact
from app.projections.cycles import CycleView, list_cycles, unfinished_cycle
from app.projections.erasures import Traces, traces_of
from app.projections.kept_scratch import forget_scratches
from app.projections.models import get_model
from app.settings import Settings
from domain.blocks.ids import place_of, position_of
from domain.decisions.cycle import RETRAINING
from domain.decisions.erasure import EraseRow, Kept, Training, erase_row, trained_with
from domain.errors import UnknownModel
from domain.events.cycle_events import (
    CandidateRefitted,
    CandidateTrained,
    DataMerged,
    DriftMeasured,
)
from domain.events.events import PayloadErased
from domain.residuals.frozen import from_document
from domain.stored_damage import StoredDamage


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What an erasure reached, and what it could not."""

    position: int | None  # of `PayloadErased`; None: nothing that can be erased was kept
    event: PayloadErased | None
    beyond: tuple[int, ...]  # entries that hold the row in hashed bytes: nobody can erase those
    unread: tuple[int, ...]  # entries of many rows, changed by somebody, that may hold it still
    champion: str | None  # who serves, when trained with the row; it goes on serving
    reference_erased: bool  # drift against who serves cannot be measured any more
    files: int  # deleted now, for this erasure and for earlier ones that were cut off
    runs: int  # MLflow runs whose artefacts were deleted now
    left: str | None  # what somebody still has to do in the database; None: nothing
    planted: str | None  # an erasure in the ledger that names what it may not, and erased nothing


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
        RequestInvalid: no reason or legal basis, a key that is no text, or a login that may not
            erase.
        CycleRunning: a cycle of the model has not ended; it may hold the row.
        LedgerBusy: the ledger was in use; what was recorded stands, run it again.
        TrainingFailed, OSError: files could not be deleted; run it again.
    """
    command = EraseRow(model=model, identity=identity, reason=reason, legal_basis=legal_basis)
    with ledger.snapshot() as connection:  # most of the reading, which others need not wait for
        read_up_to = head(connection)
        among = blocks_that_may_hold(connection, model, identity, up_to=read_up_to)
        before = find_rows(connection, identity, among)
    sought = _Sought(identity, before, read_up_to)
    decision = decide_under_lock(
        ledger,
        Look(partial(_look, model=model, sought=sought)),
        erase_row,
        command,
        cause,
        then=partial(_erase_rows, ledger),
    )
    kept = decision.state
    event = next((e.event for e in decision.recorded if isinstance(e.event, PayloadErased)), None)
    with ledger.connect() as connection:
        done = believed_erasures(connection)
    files, runs = _erase_files(settings, done)
    left = _compacted(ledger, settings) if done else None
    affected = event is not None and kept.champion in event.model_versions
    return Erasure(
        position=decision.recorded[0].position if event else None,
        event=event,
        beyond=kept.beyond,
        unread=kept.unread,
        champion=kept.champion if affected else None,
        reference_erased=event is not None and kept.reference_sha256 in event.artefacts,
        files=files,
        runs=runs,
        left=left,
        planted=_planted(ledger),
    )


def _compacted(ledger: Ledger, settings: Settings) -> str | None:
    """Rewrite the files, rows folded from what was erased among them; what is left to do."""
    ledger.rows.drop_others()
    left = (
        forget_scratches(settings),
        ledger.rows.compact(),
        compact(ledger.engine, settings.busy_timeout_seconds),
    )
    return "; ".join(each for each in left if each) or None


def _planted(ledger: Ledger) -> str | None:
    """In words, and noticed as damage: nothing that it says keeps what may be erased."""
    try:
        with ledger.connect() as connection:
            refuse_beyond_reach(connection)
    except StoredDamage as damage:
        return damage.message
    return None


def _erase_rows(ledger: Ledger, events: Sequence[PayloadErased], connection: Connection) -> None:
    """What the event names goes, and every read model that nobody may be there to fold it into."""
    delete_erased(connection, events[0])
    ledger.project.drop_others(connection)


def _look(connection: Connection, *, model: str, sought: _Sought) -> tuple[Kept, StreamHistory]:
    standing = get_model(connection, model)
    if standing is None:
        raise UnknownModel.named(model)
    open_cycle = unfinished_cycle(connection, model)
    identity = sought.identity
    positions = positions_of(connection, model, identity)
    found = sought.found_now(connection, model)
    traces = traces_of(connection, model, identity)
    can_go = {place_of(each, 0) for each in positions}
    can_go |= {place_of(each.position, each.row) for each in found.rows}
    beyond = {position_of(place) for place in traces.places - can_go} - {*found.unread}
    erasable = bool(can_go) and open_cycle is None  # else there is no need to read on
    views = _every_cycle(connection, model) if erasable else []
    kept = Kept(
        open_cycle=open_cycle.cycle if open_cycle else None,
        positions=tuple(positions),
        rows=found.rows,
        beyond=tuple(sorted(beyond)),
        unread=found.unread,
        trainings=tuple(_trainings(connection, views, identity, traces)),
        residuals=tuple(_residuals(connection, views, identity)),
        champion=standing.champion,
        reference_sha256=standing.reference_sha256,
    )
    stream = PayloadErased.stream  # of whose entries nothing here hangs on
    return kept, StreamHistory(stream, (), stream_version(connection, stream))


@dataclass(frozen=True, slots=True)
class _Sought:
    """What is to be erased, and what was found of it in entries of many before the lock."""

    identity: str
    before: RowsFound
    read_up_to: int  # position

    def found_now(self, connection: Connection, model: str) -> RowsFound:
        """The rows about it, under the lock: those found before, and those that came since."""
        since = blocks_that_may_hold(
            connection, model, self.identity, after=self.read_up_to, up_to=head(connection)
        )
        return find_rows(connection, self.identity, chain(self.before.positions, since))


def _every_cycle(connection: Connection, model: str) -> list[CycleView]:
    """The model's cycles, oldest first."""
    views: list[CycleView] = []
    before: int | None = None
    while page := list_cycles(connection, model, before_number=before):
        views += page
        before = page[-1].number
    return views[::-1]


def _trainings(
    connection: Connection, views: Iterable[CycleView], identity: str, traces: Traces
) -> Iterator[Training]:
    """The cycles that trained with a label of the row, or tried to."""
    gone = erased_artefacts(connection)
    for view in views:
        if view.outcome not in RETRAINING:
            continue
        if trained_with(traces.labels, started_position=view.started_position, as_of=view.as_of):
            trained = view.state.get(CandidateTrained.type, {})
            artefacts = _artefacts(connection, view, identity, gone)
            yield Training(
                cycle=view.cycle, candidate=trained.get("candidate"), artefacts=artefacts
            )


def _artefacts(
    connection: Connection, view: CycleView, identity: str, gone: Container[str]
) -> tuple[str, ...]:
    """The identities that name the row, and the reference that was frozen with it.

    A refit has identities of its own, which name the holdout too; the reference holds none of that.
    """
    found: list[str] = []
    merged = view.state.get(DataMerged.type)
    # Where identities are gone, what was frozen with them went with them.
    if merged and _names(connection, merged["identities_sha256"], identity, gone):
        trained = view.state.get(CandidateTrained.type)
        found += [merged["identities_sha256"], *([trained["reference_sha256"]] if trained else ())]
    refitted = view.state.get(CandidateRefitted.type)
    if refitted and _names(connection, refitted["identities_sha256"], identity, gone):
        found.append(refitted["identities_sha256"])
    return tuple(found)


def _names(connection: Connection, sha256: str | None, identity: str, gone: Container[str]) -> bool:
    """Whether these identities are kept and name the row."""
    if sha256 is None or sha256 in gone:
        return False
    return identity in orjson.loads(stored_artefact(connection, sha256))


def _residuals(connection: Connection, views: Iterable[CycleView], identity: str) -> Iterator[str]:
    """The digests of frozen residuals, of holdouts and of rows since, that name the row."""
    gone = erased_artefacts(connection)
    for view in views:
        for kind in (CandidateTrained.type, DriftMeasured.type):
            sha256 = (view.state.get(kind) or {}).get("residuals_sha256")
            if sha256 is None or sha256 in gone:
                continue
            rows = from_document(orjson.loads(stored_artefact(connection, sha256)))
            if any(row.identity == identity for row in rows):
                yield sha256


def _erase_files(settings: Settings, done: Iterable[PayloadErased]) -> tuple[int, int]:
    """Delete the files of every erasure there is: one that was killed half-way is finished."""
    reached: dict[str, dict[str, None]] = {}
    for event in done:
        if event.cycles:
            reached.setdefault(event.model, {}).update(dict.fromkeys(event.cycles))
    if not reached:
        return 0, 0
    from app.training import erasing  # noqa: PLC0415 - brings MLflow, and only here

    files = runs = 0
    with exclusive(settings.by_products_lock):
        for model, cycles in reached.items():
            files += erasing.erase_merged(settings.state_dir / "merged", model, list(cycles))
            runs += erasing.erase_registry_artefacts(settings.state_dir, model, list(cycles))
    return files, runs
