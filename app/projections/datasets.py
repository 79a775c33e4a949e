"""Every time that a CSV was read to its end, by what its bytes hash to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, select

from app.database.engine import insert_rows
from app.ledger.past import Past
from app.projections.read_model import table_of
from domain.events.envelope import Recorded
from domain.events.events import DatasetReceived


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """One CSV that was sent for one model."""

    model: str
    dataset_sha256: str  # of its bytes as received
    position: int  # of an entry that says it was read to its end


DATASETS: Final = table_of(
    DatasetView, "datasets", number=1, key=("model", "dataset_sha256", "position")
)


def received_at(connection: Connection, model: str, sha256: str) -> list[int]:
    """The positions of the entries that say the file was read to its end, the last one first."""
    given = DATASETS.c
    rows = connection.execute(
        select(given.position)
        .where(given.model == model, given.dataset_sha256 == sha256)
        .order_by(given.position.desc())
    )
    return list(rows.scalars())


def _received(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    rows = []
    for entry in entries:
        event = cast(DatasetReceived, entry.event)
        rows.append((event.model, event.dataset_sha256, entry.position))
    insert_rows(connection, DATASETS, rows)


APPLY: Final = {DatasetReceived: _received}
