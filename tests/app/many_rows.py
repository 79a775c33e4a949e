"""Entries of many rows for tests, appended as the service will: by their own small writer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from app.clock import new_id
from app.database.engine import insert_rows
from app.ledger.reading import head, stream_version
from app.ledger.store import Connection, Ledger
from app.ledger.tables import BLOCKS, ENTRIES, ROW_IDS
from app.ledger.tree import grow
from domain.blocks.block import Block, block_of
from domain.blocks.ids import source_event_id
from domain.blocks.lines import lines_of
from domain.canonical import leaf_hash
from domain.events.block_events import (
    BlockEvent,
    ObservationsRecorded,
    OutcomesRecorded,
    PredictionsMade,
)
from domain.events.envelope import Recorded, envelope_bytes, parse_entry
from domain.events.events import Event, ObservationRecorded, OutcomeRecorded, PredictionMade
from domain.times import mid_year
from tests.plausible import TIME, an


@dataclass(frozen=True)
class Many:
    """Rows that are to stand in one entry."""

    event: BlockEvent  # all but the root and the times
    values: Sequence[tuple[object, ...]]  # of the lines
    times: Sequence[str]
    ids: Sequence[str] | None  # None: counted on from the entry's
    stream: str


def predictions(
    *cars: int, year: int = 1976, value: float = 7.5, model: str = "cars", **said: Any
) -> Many:
    """Predictions of these cars of one year."""
    return Many(
        an(PredictionsMade, model=model, **said),
        [(value, (), str(car), 0.5, year) for car in cars],
        [mid_year(year)] * len(cars),
        None,
        f"predictions-{model}",
    )


def observations(
    *cars: int, year: int = 1976, price: float | None = 8.25, source: str = "/tests"
) -> Many:
    """Labelled rows of these cars of one year."""
    return Many(
        an(ObservationsRecorded, source=source),
        [(f"{car}-{at}", None, str(car), 0.5, price, year) for at, car in enumerate(cars)],
        [mid_year(year)] * len(cars),
        [source_event_id(source, f"{car}-{at}") for at, car in enumerate(cars)],
        "observations-cars",
    )


def outcomes(*of: tuple[str, str], label: float = 9.0, source: str = "/labels") -> Many:
    """Labels of predictions, each as (id, identity)."""
    return Many(
        an(OutcomesRecorded, source=source),
        [(id, None, id, identity, label, TIME) for id, identity in of],
        [TIME] * len(of),
        [source_event_id(source, id) for id, _ in of],
        "observations-cars",
    )


def together(plain: Sequence[tuple[Event, str]], **shared: Any) -> Many:
    """These events of one kind and stream, each with its time, as the rows of one entry.

    `shared`: what the entry says beside what all of them say.
    """
    first = plain[0][0]
    times = [time for _, time in plain]
    if isinstance(first, OutcomeRecorded):
        outcomes = [event for event, _ in plain if isinstance(event, OutcomeRecorded)]
        return Many(
            an(OutcomesRecorded, model=first.model, source=first.source, **shared),
            [
                (each.source_id, None, each.prediction_id, each.identity, each.label, time)
                for each, time in zip(outcomes, times, strict=True)
            ],
            times,
            [source_event_id(each.source, each.source_id) for each in outcomes],
            f"observations-{first.model}",
        )
    rows = [e for e, _ in plain if isinstance(e, PredictionMade | ObservationRecorded)]
    columns = tuple(sorted(rows[0].row))
    laid_out = {
        "model": rows[0].model,
        "columns": columns,
        "identity": tuple(part.partition("=")[0] for part in rows[0].identity.split("|")),
    }
    cells = [tuple(each.row[name] for name in columns) for each in rows]
    if isinstance(first, PredictionMade):
        made = [each for each in rows if isinstance(each, PredictionMade)]
        said = {"model_version": first.model_version, "plan_sha256": first.plan_sha256}
        return Many(
            an(PredictionsMade, **laid_out, **said, **shared),
            [
                (each.prediction, list(each.unknown_categories), *of)
                for each, of in zip(made, cells, strict=True)
            ],
            times,
            None,
            f"predictions-{first.model}",
        )
    seen = [each for each in rows if isinstance(each, ObservationRecorded)]
    return Many(
        an(ObservationsRecorded, **laid_out, source=seen[0].source, **shared),
        [(each.source_id, None, *of) for each, of in zip(seen, cells, strict=True)],
        times,
        [source_event_id(each.source, each.source_id) for each in seen],
        f"observations-{seen[0].model}",
    )


def put_many(ledger: Ledger, many: Many, id: str | None = None) -> Recorded:
    """Append an entry of many rows; the entry, whole."""
    with ledger.writing() as connection:
        content, block = written(many, id)
        return insert_many(ledger, connection, content, block, many.ids)


def written(many: Many, id: str | None = None) -> tuple[bytes, Block]:
    """The hashed bytes of an entry and the rows apart from it."""
    lines = lines_of(many.values)
    block = block_of(lines, os.urandom(16 * len(lines)))
    event = replace(
        many.event,
        rows=len(lines),
        rows_root=block.root().hex(),
        occurred_from=min(many.times),
        occurred_until=max(many.times),
    )
    first = many.ids[0] if many.ids else id or new_id()
    return envelope(event, many.stream, first), block


def envelope(event: BlockEvent, stream: str, id: str) -> bytes:
    """The hashed bytes of an entry with this event."""
    return envelope_bytes(
        event,
        id=id,
        stream=stream,
        occurred_at=event.occurred_until,
        recorded_at=TIME,
        actor="local:unauthenticated",
        correlation_id=new_id(),
        causation_id=None,
    )


def insert_many(
    ledger: Ledger,
    connection: Connection,
    content: bytes,
    block: Block,
    ids: Sequence[str] | None,
) -> Recorded:
    """Insert an entry with its rows under the ledger's lock, and fold it."""
    position = head(connection) + 1
    entry = parse_entry(content, position=position, stream_version=0, blocks=lambda _: block)
    entry = replace(entry, stream_version=stream_version(connection, entry.stream) + 1)
    columns = (entry.event.type, entry.event.schema, entry.occurred_at, entry.recorded_at)
    place = (position, entry.id, entry.stream, entry.stream_version)
    insert_rows(connection, ENTRIES, [(*place, *columns, content, leaf_hash(content), None)])
    insert_rows(
        connection, BLOCKS, [(position, entry.rows, block.salts, block.content, None, None)]
    )
    named = [
        (bytes.fromhex(id.replace("-", "")), position, row) for row, id in enumerate(ids or ())
    ]
    insert_rows(connection, ROW_IDS, named)
    grow(connection, position, [leaf_hash(content)])
    ledger.project(connection, [entry])
    return entry
