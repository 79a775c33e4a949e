"""What was erased, as far as an erasure is believed: `domain/events/erasure_reach.py` says of what.

What names more than it may is damage. It is noticed, and erases nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, and_, or_, select

from app.ledger.stored_bytes import as_bytes, whole
from app.ledger.tables import ENTRIES
from domain.events.cycle_events import (
    CandidateRefitted,
    CandidateTrained,
    DataMerged,
    DriftMeasured,
)
from domain.events.envelope import parse_entry
from domain.events.erasure_reach import beyond_reach, frozen_in, model_of_frozen, model_of_rows
from domain.events.events import CandidatePromoted, ChampionRolledBack, PayloadErased
from domain.events.unreadable import EntryUnreadable
from domain.stored_damage import StoredDamage

_AT_ONCE: Final = 500  # positions of one query
_FREEZE: Final = (
    CandidateTrained.type,
    CandidateRefitted.type,
    DataMerged.type,
    DriftMeasured.type,
    CandidatePromoted.type,
    ChampionRolledBack.type,
)


class Recorded(NamedTuple):
    """An erasure and where it stands."""

    position: int
    event: PayloadErased


def recorded_erasures(connection: Connection) -> list[Recorded]:
    """Every recorded erasure, oldest first, whether it may be believed or not."""
    rows = connection.execute(
        select(ENTRIES.c.position, ENTRIES.c.stream_version, ENTRIES.c.bytes, ENTRIES.c.leaf_hash)
        .where(ENTRIES.c.stream == PayloadErased.stream, ENTRIES.c.type == PayloadErased.type)
        .order_by(ENTRIES.c.position)
    )
    found = []
    for row in rows:
        try:
            entry = parse_entry(
                whole(row.position, row.bytes, row.leaf_hash),
                position=row.position,
                stream_version=row.stream_version,
            )
        except EntryUnreadable:
            continue  # it erases nothing; whoever reads the entries notes it
        if isinstance(entry.event, PayloadErased):
            found.append(Recorded(row.position, entry.event))
    return found


def erasures(connection: Connection) -> list[PayloadErased]:
    """Every recorded erasure, oldest first.

    Raises:
        StoredDamage: one names what it may not.
    """
    found = recorded_erasures(connection)
    for each in found:
        beyond = list(names_beyond(connection, each.event, each.position))
        if beyond:
            raise StoredDamage(
                f"the erasure at entry {each.position} names {beyond[0]}. Nobody wrote that with "
                "`whyledger erase`; run `whyledger verify`.",
                each.position,
            )
    return [each.event for each in found]


def erased_positions(connection: Connection) -> frozenset[int]:
    """The positions of all entries whose data is gone, as an erasure that may say so says."""
    gone: set[int] = set()
    for position, event in recorded_erasures(connection):
        before = [each for each in event.entries if each < position]
        models = _models_of_rows(connection, before)
        gone.update(each for each in before if models.get(each) == event.model)
    return frozenset(gone)


def erased_artefacts(connection: Connection) -> frozenset[str]:
    """The digests of references, residuals and identities that are gone, as `erased_positions`."""
    gone: set[str] = set()
    for position, event in recorded_erasures(connection):
        if event.artefacts:
            gone.update(_frozen_before(connection, event.model, position) & set(event.artefacts))
    return frozenset(gone)


def names_beyond(connection: Connection, event: PayloadErased, position: int) -> Iterator[str]:
    """What the erasure at `position` names and may not, in words."""
    models = _models_of_rows(connection, [each for each in event.entries if each < position])
    frozen = _frozen_before(connection, event.model, position) if event.artefacts else set()
    started = _started_before(connection, event.cycles, position)
    return beyond_reach(
        event,
        position,
        rows_model=models.get,
        is_frozen=frozen.__contains__,
        has_started=started.__contains__,
    )


def _models_of_rows(connection: Connection, positions: Sequence[int]) -> dict[int, str | None]:
    found: dict[int, str | None] = {}
    for start in range(0, len(positions), _AT_ONCE):
        part = list(positions[start : start + _AT_ONCE])
        query = select(ENTRIES.c.position, ENTRIES.c.stream).where(ENTRIES.c.position.in_(part))
        found.update({row.position: model_of_rows(row.stream) for row in connection.execute(query)})
    return found


def _frozen_before(connection: Connection, model: str, position: int) -> set[str]:
    """The digests that entries of the model before `position` name, and that can be erased."""
    query = select(ENTRIES.c.stream, ENTRIES.c.bytes).where(
        ENTRIES.c.position < position,
        ENTRIES.c.type.in_(_FREEZE),
        or_(
            ENTRIES.c.stream == f"model-{model}",
            and_(
                ENTRIES.c.stream >= f"cycle-{model}-",
                ENTRIES.c.stream < f"cycle-{model}-:",  # `:` follows 9
            ),
        ),
    )
    found: set[str] = set()
    for row in connection.execute(query):
        if model_of_frozen(row.stream) == model:
            found |= frozen_in(_data_in(as_bytes(row.bytes, "an entry's bytes")))
    return found


def _data_in(content: bytes) -> dict[str, Any]:
    """The data in an entry's bytes, whatever stands there: none where nobody can read it."""
    try:
        data = orjson.loads(content)["data"]
    except (ValueError, TypeError, KeyError):
        return {}
    return data if isinstance(data, dict) else {}


def _started_before(connection: Connection, cycles: Iterable[str], position: int) -> set[str]:
    streams = [f"cycle-{cycle}" for cycle in cycles]
    found: set[str] = set()
    for start in range(0, len(streams), _AT_ONCE):
        part = streams[start : start + _AT_ONCE]
        query = select(ENTRIES.c.stream).where(
            ENTRIES.c.stream.in_(part),
            ENTRIES.c.stream_version == 0,
            ENTRIES.c.position < position,
        )
        found.update(connection.execute(query).scalars())
    return {stream.removeprefix("cycle-") for stream in found}
