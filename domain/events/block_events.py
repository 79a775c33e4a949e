"""The events of many rows at once: what the rows share, their number, and the root over them.

The rows themselves stand apart, a line each, and can be erased one by one. To whoever folds or
exports they are the plain events of `events.py`, which `expansion.py` makes of them again. Two rows
or more of one request, stream and kind are one such event; one row alone is a plain event.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from msgspec import Struct

from domain.canonical import CanonicalInteger
from domain.units import noted

_Columns = Annotated[
    tuple[str, ...], noted("names", "of v_1 … v_c, ascending as RFC 8785 sorts keys")
]
_Identity = Annotated[tuple[str, ...], noted("names", "columns of the identity, in its order")]
_RowSchema = Annotated[
    CanonicalInteger, noted("number", "schema of the plain event that a line stands for")
]
_Rows = Annotated[CanonicalInteger, noted("rows", "2 to 10,000")]
_RowsRoot = Annotated[str, noted("sha256 hex", "RFC 6962 root over the rows' salted lines")]
_From = Annotated[str, noted("time", "the least event time of the rows")]
_Until = Annotated[str, noted("time", "the greatest event time of the rows")]


class TimeColumn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Which column holds a row's event time, and how it is read."""

    column: Annotated[str, noted("name", "one of the columns")]
    read_as: Annotated[
        Literal["mid-year", "timestamp"],
        noted("name", "a year, meaning its 1 July 00:00 UTC; or a time"),
    ]


class PredictionsMade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Rows of one request were answered with a prediction each."""

    type: ClassVar[str] = "predictions.predictions-made"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "predictions-<model>"
    line: ClassVar[str] = "[prediction, unknown_categories, v_1 … v_c]"
    plain: ClassVar[str] = "predictions.prediction-made"

    model: Annotated[str, noted("name", "the model")]
    model_version: Annotated[str, noted("name/number", "who answered")]
    plan_sha256: Annotated[str, noted("sha256 hex", "the serving plan that answered")]
    request_id: Annotated[
        str | None, noted("id", "the client's X-Request-Id; null without one, or about people")
    ]
    columns: _Columns
    identity: _Identity
    event_time: TimeColumn
    row_schema: _RowSchema
    rows: _Rows
    rows_root: _RowsRoot
    occurred_from: _From
    occurred_until: _Until


class ObservationsRecorded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Labelled rows were observed, not tied to predictions."""

    type: ClassVar[str] = "observations.observations-recorded"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "observations-<model>"
    line: ClassVar[str] = "[source_id, source or null, v_1 … v_c]"
    plain: ClassVar[str] = "observations.observation-recorded"

    model: Annotated[str, noted("name", "the model")]
    source: Annotated[
        str | None, noted("URI reference", "who sent all of them; null: each line has its own")
    ]
    columns: _Columns
    identity: _Identity
    event_time: TimeColumn
    row_schema: _RowSchema
    rows: _Rows
    rows_root: _RowsRoot
    occurred_from: _From
    occurred_until: _Until


class OutcomesRecorded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The true values of predictions became known."""

    type: ClassVar[str] = "observations.outcomes-recorded"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "observations-<model>"
    line: ClassVar[str] = "[source_id, source or null, prediction_id, identity, label, occurred_at]"
    plain: ClassVar[str] = "observations.outcome-recorded"

    model: Annotated[str, noted("name", "the model")]
    source: Annotated[
        str | None, noted("URI reference", "who sent all of them; null: each line has its own")
    ]
    row_schema: _RowSchema
    rows: _Rows
    rows_root: _RowsRoot
    occurred_from: _From
    occurred_until: _Until


class RowPlace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One row of an entry of many rows."""

    position: Annotated[int, noted("position", "of the entry")]
    row: Annotated[int, noted("row", "of it, from 0")]


BlockEvent = PredictionsMade | ObservationsRecorded | OutcomesRecorded
BLOCK_EVENTS: Final[tuple[type[BlockEvent], ...]] = (
    PredictionsMade,
    ObservationsRecorded,
    OutcomesRecorded,
)
BLOCK_TYPES: Final = frozenset(event.type for event in BLOCK_EVENTS)
