"""What many rows say together: the block of their lines, and what their entry says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

from app.clock import new_row_salts
from app.ledger.new_events import (
    NewEvent,
    NewObservations,
    NewOutcomes,
    NewPredictions,
    NewSent,
)
from domain.blocks.block import Block, block_of, block_of_content
from domain.blocks.ids import RowKeys
from domain.blocks.layouts import in_canonical_order
from domain.blocks.lines import lines_of, lines_of_columns
from domain.events.block_events import (
    BlockEvent,
    ObservationsRecorded,
    OutcomesRecorded,
    PredictionsMade,
    TimeColumn,
)
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade

_OF_OURS: Final = re.compile(r"/models/[^/]+/datasets/[0-9a-f]{64}")  # it says nothing of anybody


def may_say_source(source: str, *, personal: bool) -> bool:
    """Whether who sent the rows may stand in what is hashed, and so is never erased."""
    return not personal or _OF_OURS.fullmatch(source) is not None


def block_of_events(run: Sequence[NewEvent], keys: RowKeys) -> tuple[Block, BlockEvent]:
    """Of events that may share an entry, with the keys that they have."""
    first = run[0].event
    assert isinstance(first, PredictionMade | ObservationRecorded | OutcomeRecorded)  # noqa: S101 - rows' events
    columns = [] if isinstance(first, OutcomeRecorded) else in_canonical_order(first.row)
    lines = lines_of(_values(run, columns))
    block = block_of(lines, new_row_salts(len(lines)))
    times = [new.occurred_at for new in run]
    if isinstance(first, PredictionMade):
        return block, PredictionsMade(
            **_common(first.model, first.schema, block, times),
            **_of_rows(columns, keys),
            model_version=first.model_version,
            plan_sha256=first.plan_sha256,
            request_id=first.request_id,
        )
    source = first.source if may_say_source(first.source, personal=run[0].personal) else None
    if isinstance(first, OutcomeRecorded):
        return block, OutcomesRecorded(
            **_common(first.model, first.schema, block, times), source=source
        )
    return block, ObservationsRecorded(
        **_common(first.model, first.schema, block, times), **_of_rows(columns, keys), source=source
    )


def block_of_sent(new: NewSent) -> tuple[Block, BlockEvent]:
    """Of what a client sent together."""
    shares_source = may_say_source(new.source, personal=new.personal)
    source = new.source if shares_source else None
    who = [new.source_ids, [None if shares_source else new.source] * len(new)]
    if isinstance(new, NewOutcomes):
        said = [new.prediction_ids, new.identities, new.labels, new.occurred_at]
        block = _block([*who, *said])
        common = _common(new.model, OutcomeRecorded.schema, block, new.occurred_at)
        return block, OutcomesRecorded(**common, source=source)
    assert isinstance(new, NewObservations)  # noqa: S101 - there are no others
    columns = in_canonical_order(new.columns)
    block = _block([*who, *(new.columns[name] for name in columns)])
    common = _common(new.model, ObservationRecorded.schema, block, new.occurred_at)
    return block, ObservationsRecorded(**common, **_of_rows(columns, new.keys), source=source)


def _block(columns: Sequence[Sequence[object]]) -> Block:
    rows = len(columns[0])
    return block_of_content(lines_of_columns(columns), rows, new_row_salts(rows))


def block_of_predictions(new: NewPredictions) -> tuple[Block, PredictionsMade]:
    """Of the predictions of one request."""
    columns = in_canonical_order(new.columns)
    answers = [new.predictions, new.unknown_categories]
    block = _block([*answers, *(new.columns[name] for name in columns)])
    return block, PredictionsMade(
        **_common(new.model, PredictionMade.schema, block, new.occurred_at),
        **_of_rows(columns, new.keys),
        model_version=new.model_version,
        plan_sha256=new.plan_sha256,
        request_id=new.request_id,
    )


def _common(model: str, row_schema: int, block: Block, times: Sequence[str]) -> dict[str, Any]:
    """What every entry of many says."""
    return {
        "model": model,
        "row_schema": row_schema,
        "rows": len(times),
        "rows_root": block.root().hex(),
        "occurred_from": min(times),
        "occurred_until": max(times),
    }


def _of_rows(columns: Sequence[str], keys: RowKeys) -> dict[str, Any]:
    """What an entry says whose lines hold whole rows."""
    return {
        "columns": tuple(columns),
        "identity": keys.identity,
        "event_time": TimeColumn(column=keys.time_column, read_as=keys.read_as),
    }


def _values(run: Sequence[NewEvent], columns: Sequence[str]) -> list[tuple[object, ...]]:
    """What each line holds, by the layouts of `domain/blocks/layouts.py`."""
    cells = itemgetter(*columns) if len(columns) > 1 else None
    values: list[tuple[object, ...]] = []
    for new in run:
        event = new.event
        if isinstance(event, OutcomeRecorded):
            source = None if may_say_source(event.source, personal=new.personal) else event.source
            said = (event.prediction_id, event.identity, event.label, new.occurred_at)
            values.append((event.source_id, source, *said))
            continue
        assert isinstance(event, PredictionMade | ObservationRecorded)  # noqa: S101 - rows' events
        row = cells(event.row) if cells else tuple(event.row[name] for name in columns)
        if isinstance(event, PredictionMade):
            values.append((event.prediction, event.unknown_categories, *row))
        else:
            source = None if may_say_source(event.source, personal=new.personal) else event.source
            values.append((event.source_id, source, *row))
    return values
