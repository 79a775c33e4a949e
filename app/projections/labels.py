"""The labelled rows: observations, and outcomes with the row of the prediction they label.

A later label for the same identity is a correction: it wins by its place, and is no new sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, TypeAlias, cast

from sqlalchemy import Connection, func, select

from app.ledger.past import Past
from app.ledger.streams import model_stream
from app.projections.read_model import ROWS_METADATA, table_of
from domain.blocks.ids import end_of, position_of
from domain.events.block_events import ObservationsRecorded, OutcomesRecorded
from domain.events.envelope import Recorded
from domain.events.events import (
    ContractAdopted,
    ObservationRecorded,
    OutcomeRecorded,
)
from domain.events.row_cells import labelled_together, observed_together
from domain.identities import digests_of_rows, row_digest

_FETCHED_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One label of one row, in force or corrected since; the row stands in the ledger."""

    place: int  # of the label, see `Recorded.place`
    model: str
    identity_digest: bytes  # see `row_digest`
    identity: str
    event_time: str  # of the row
    label: float | None  # target's unit; None where the row lacks it
    of_place: int | None  # of the prediction it labels; None for an observation


LabelValues: TypeAlias = tuple[int, str, bytes, str, str, float | None, int | None]
_Outcome: TypeAlias = tuple[int, str, float]  # place, id of the prediction, label
LABELS: Final = table_of(
    Label,
    "labels",
    number=4,
    metadata=ROWS_METADATA,
    key="place",
    indexes=[("identity_digest", "place"), ("model", "event_time")],
)


def labels_by_identity(
    connection: Connection, model: str, *, before: str, up_to: int
) -> Iterator[tuple[str, float]]:
    """Identity and label of the rows that `labelled_rows` gives for the same, in any order."""
    last = (
        select(func.max(LABELS.c.place))
        .where(LABELS.c.model == model, LABELS.c.place < end_of(up_to), LABELS.c.label.is_not(None))
        .group_by(LABELS.c.identity_digest)
    )
    asked = select(LABELS.c.identity, LABELS.c.label)
    found = asked.where(LABELS.c.place.in_(last), LABELS.c.event_time < before)
    for row in connection.execute(found.execution_options(yield_per=_FETCHED_AT_ONCE)):
        yield row.identity, row.label


def has_labels(connection: Connection, model: str, *, before: str) -> bool:
    """Whether the model has a labelled row with event time before `before`."""
    found = connection.execute(
        select(LABELS.c.place).where(
            LABELS.c.model == model, LABELS.c.label.is_not(None), LABELS.c.event_time < before
        )
    ).first()
    return found is not None


def newest_label(connection: Connection, model: str) -> str | None:
    """The event time of the model's newest labelled row; None without one."""
    newest: str | None = connection.execute(
        select(func.max(LABELS.c.event_time)).where(
            LABELS.c.model == model, LABELS.c.label.is_not(None)
        )
    ).scalar()
    return newest


def told_labels(past: Past, entries: Sequence[Recorded]) -> list[LabelValues]:
    """The rows of `LABELS` that follow from these observations and outcomes, of many rows, too."""
    outcomes: dict[str, list[_Outcome]] = {}  # model -> what its outcomes say
    targets = Targets(past, entries[0].position, entries[-1].position)
    rows: list[LabelValues] = []
    for entry in entries:
        event = entry.event
        if isinstance(event, OutcomeRecorded):
            said = (entry.place, event.prediction_id, event.label)
            outcomes.setdefault(event.model, []).append(said)
        elif isinstance(event, OutcomesRecorded):
            together = zip(*labelled_together(entry), strict=True)
            outcomes.setdefault(event.model, []).extend(together)
        elif isinstance(event, ObservationRecorded | ObservationsRecorded):
            rows += _observed(entry, event.model, targets.at(event.model, entry.position) or "")
    wanted = {id for told in outcomes.values() for _, id, _ in told}
    predictions = past.predictions_named(sorted(wanted)) if wanted else {}
    for model, told in outcomes.items():
        # A label of nothing: history happened, no row follows from it. So of what was erased.
        told_of = [
            (place, made, label)
            for place, id, label in told
            if (made := predictions.get(id)) is not None
            and position_of(made.place) <= position_of(place)
        ]
        digests = digests_of_rows(model, [made.identity for _, made, _ in told_of])
        rows += [
            (place, model, digest, made.identity, made.event_time, label, made.place)
            for (place, made, label), digest in zip(told_of, digests, strict=True)
        ]
    return rows


def _observed(entry: Recorded, model: str, target: str) -> Iterable[LabelValues]:
    event = entry.event
    if isinstance(event, ObservationRecorded):
        identity, label = event.identity, _number(event.row.get(target))
        return (
            (
                entry.place,
                model,
                row_digest(model, identity),
                identity,
                entry.occurred_at,
                label,
                None,
            ),
        )
    places, identities, times, labels = observed_together(entry, target)
    digests = digests_of_rows(model, identities)
    numbers = map(_number, labels)
    return zip(places, repeat(model), digests, identities, times, numbers, repeat(None))


class Targets:
    """The target's column of each model, under the contract in force at each of some entries.

    Args:
        past: of the ledger.
        first, last: positions of the first of them, and of the last.
    """

    def __init__(self, past: Past, first: int, last: int) -> None:
        self._past, self._first, self._last = past, first, last
        self._known: dict[str, list[tuple[int, str]]] = {}  # model -> (since, column), newest first

    def at(self, model: str, position: int) -> str | None:
        """The column at `position`; None for a model that was unknown then."""
        if model not in self._known:
            self._known[model] = list(self._adopted(model))
        return next((name for since, name in self._known[model] if since < position), None)

    def _adopted(self, model: str) -> Iterator[tuple[int, str]]:
        stream = model_stream(model)
        for entry in self._past.newest_first(stream, ContractAdopted, self._last):
            contract = cast(ContractAdopted, entry.event).contract
            yield entry.position, contract.get("target", {}).get("name", "")
            if entry.position < self._first:
                return


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
