"""A batch of ordinary labels judged together, by columns; or not, and nothing said.

Ordinary are outcomes of one source for predictions of one model, all named by id or all by the
row's identity, none of them sent before. What is taken here is taken event by event with the same
values, in a third of the time; what is not may be good all the same, or is refused there, in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from app.clock import latest_taken
from app.intake.cloud_events import OUTCOME
from app.intake.quick_events import QuickEvent, QuickOutcome
from app.ledger.new_events import NewOutcomes
from app.ledger.store import Connection
from app.projections.predictions import PredictionName, latest_names, names_with_ids
from app.serving.champions import Serving
from domain.blocks.ids import source_event_ids
from domain.canonical import digests_as_read
from domain.errors import NotCanonical, RequestInvalid, WhyledgerError
from domain.times import normalise_time

_EVENTS: Final[Any] = list[QuickEvent]
_OUTCOMES: Final[Any] = list[QuickOutcome]


@dataclass(frozen=True, slots=True)
class SentLabels:
    """Labels as they were sent; nobody was asked about them yet."""

    model: str
    source: str
    source_ids: list[str]
    ids: list[str]  # of their events, no two the same
    digests: list[bytes]  # of each as it was sent
    times: list[str | None]  # when each became known, UTC, in our one form
    labels: list[Any]
    predictions: list[str] | None  # that they name by id; None: they name rows
    rows: Sequence[Mapping[str, object]] | None


def read_labels(sent: Sequence[object], skew_seconds: float) -> SentLabels | None:
    """The labels that were sent; None: they are to be read one by one.

    `skew_seconds`: how far clocks may differ.
    """
    try:
        events: list[QuickEvent] = msgspec.convert(sent, _EVENTS)
        said: list[QuickOutcome] = msgspec.convert([each.data for each in events], _OUTCOMES)
        times = _times([each.time for each in events], skew_seconds)
        digests = digests_as_read(sent)
    except (msgspec.ValidationError, NotCanonical):
        return None
    if times is None or len({(each.type, each.source) for each in events}) != 1:
        return None
    first, source_ids = events[0], [each.id for each in events]
    told = "".join([first.source, *source_ids, *(each.time or "" for each in events)])
    if first.type != OUTCOME or not (told.isascii() and told.isprintable()):
        return None
    ids = source_event_ids(first.source, source_ids)
    if len({*ids}) < len(ids) or len({each.model for each in said}) != 1:
        return None
    by_id = [each.prediction_id.lower() for each in said if each.prediction_id is not None]
    by_row = [each.identity for each in said if each.identity is not None]
    if (len(by_id), len(by_row)) not in {(len(said), 0), (0, len(said))}:
        return None
    return SentLabels(
        model=said[0].model,
        source=first.source,
        source_ids=source_ids,
        ids=ids,
        digests=digests,
        times=times,
        labels=[each.label for each in said],
        predictions=by_id or None,
        rows=by_row or None,
    )


def _times(sent: Sequence[str | None], skew_seconds: float) -> list[str | None] | None:
    """The times in our one form; None: one is no time, or has not come yet."""
    found: dict[str | None, str | None] = {None: None}
    try:
        found |= {text: normalise_time(text) for text in {*sent} if text is not None}
    except RequestInvalid:
        return None
    latest = latest_taken(skew_seconds)
    if any(time is not None and time > latest for time in found.values()):
        return None
    return [found[text] for text in sent]


def labels_of(sent: SentLabels, serving: Serving, connection: Connection) -> NewOutcomes | None:
    """What is to be recorded; None: they are to be judged one by one.

    `connection`: on which the last predictions of rows are those that there are.
    """
    labels = serving.guard.accepted_labels(sent.labels)
    if labels is None:
        return None
    try:
        named = _named(sent, serving, connection)
    except WhyledgerError:  # one is no row's, or was erased
        return None
    if named is None:
        return None
    return NewOutcomes(
        model=sent.model,
        source=sent.source,
        source_ids=sent.source_ids,
        ids=sent.ids,
        digests=sent.digests,
        identities=[each.identity for each in named],
        occurred_at=[t or each.event_time for t, each in zip(sent.times, named, strict=True)],
        prediction_ids=[each.id for each in named],
        labels=labels,
        keys=serving.guard.keys,
        personal=serving.guard.personal,
    )


def _named(
    sent: SentLabels, serving: Serving, connection: Connection
) -> list[PredictionName] | None:
    """The prediction that each labels; None: one labels none."""
    if sent.predictions is not None:
        wanted = sent.predictions
        found = names_with_ids(connection, sent.model, wanted)
    else:
        wanted = serving.guard.identities_named(sent.rows or ())
        found = latest_names(connection, sent.model, wanted)
    named = [found[each] for each in wanted if each in found]
    return named if len(named) == len(wanted) else None
