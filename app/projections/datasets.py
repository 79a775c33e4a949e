"""The last time that each CSV was read to its end, by what its bytes hash to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, select

from app.ledger.past import Past
from app.projections.read_model import put, table_of
from domain.events.envelope import Recorded
from domain.events.events import DatasetReceived


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """One CSV that was sent for one model."""

    model: str
    dataset_sha256: str  # of its bytes as received
    position: int  # of the last entry that says it was read to its end


DATASETS: Final = table_of(DatasetView, "datasets", number=1, key=("model", "dataset_sha256"))


def last_received(connection: Connection, model: str, sha256: str) -> int | None:
    """The position of the last entry that says the file was read to its end; None: none does."""
    position: int | None = connection.execute(
        select(DATASETS.c.position).where(
            DATASETS.c.model == model, DATASETS.c.dataset_sha256 == sha256
        )
    ).scalar_one_or_none()
    return position


def _received(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(DatasetReceived, entry.event)
        put(
            connection,
            DATASETS,
            {
                "model": event.model,
                "dataset_sha256": event.dataset_sha256,
                "position": entry.position,
            },
        )


APPLY: Final = {DatasetReceived: _received}
