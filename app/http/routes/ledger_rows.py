"""The rows of an entry of many, as others check them: salt and line of each, and its receipt.

`docs/bundle.md` says how to verify. What is erased may be kept by nobody, so no answer is cached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from app.http.dependencies import Here
from app.http.documentation import refusals
from app.http.prefer import row_receipts_of
from app.http.request_shapes import Sent, Whole
from app.http.strict_route import StrictRoute
from app.ledger.proven_rows import ProvenRows, proven_rows
from domain.blocks.block import row_members
from domain.canonical import INTEGER_MAX

router = APIRouter(tags=["ledger"], route_class=StrictRoute)
_LINES: Final = "application/jsonl"
_ONE: Final = "application/json"
_AT_ONCE: Final = 500  # rows of one piece of an answer
_SALT: Final = "01" * 16
_EXAMPLE: Final = {"row": 417, "salt": _SALT, "data": [7.5, [], 129, 0.53, "US", 1976]}
Position = Annotated[Whole, Path(ge=0, le=INTEGER_MAX)]


class RowQuery(Sent):
    """What comes with a row."""

    receipt: bool = Field(
        default=False, description="with what proves it, from its line to a signed checkpoint"
    )


@router.get(
    "/ledger/events/{position}/rows",
    summary="Take the rows of an entry of many, as they are hashed",
    response_class=Response,
    responses=refusals(404, 422, 503)
    | {200: {"description": "streamed", "content": {_LINES: {"example": _EXAMPLE}}}},
)
def read_rows(here: Here, position: Position) -> StreamingResponse:
    """A line each: SHA-256 of 0x00, the salt and the bytes behind `"data":` is the row's leaf.

    An erased row has `erased` instead, its leaf hash and its id. RFC 6962 over the leaves gives
    `rows_root` in the entry.
    """
    with here.ledger.snapshot() as connection:
        found = proven_rows(connection, position)
    return StreamingResponse(_pieces(found), 200, media_type=_LINES)


@router.get(
    "/ledger/events/{position}/rows/{row}",
    summary="Take a row of an entry of many, or its receipt",
    response_class=Response,
    responses=refusals(404, 422, 503)
    | {200: {"description": "the row", "content": {_ONE: {"example": _EXAMPLE}}}},
)
def read_row(
    here: Here,
    position: Position,
    row: Annotated[Whole, Path(ge=0, le=INTEGER_MAX)],
    query: Annotated[RowQuery, Query()],
) -> Response:
    """As a line of all rows; with `receipt`, that too: no other row is shown.

    The receipt is that of the entry, and `row`, `rows`, `salt`, `content` (the line), `row_proof`
    (from its leaf to `rows_root`) and `envelope` (the entry's hashed bytes).
    """
    with here.ledger.snapshot() as connection:
        found = proven_rows(connection, position)
    found.check_row(row)
    content = row_members(row, found.block.lines[row], found.block.salt(row))
    if query.receipt:
        [proved] = row_receipts_of(here, position, [row])
        content += b',"receipt":' + orjson.dumps(proved)
    return Response(b"{" + content + b"}", 200, media_type=_ONE)


def _pieces(found: ProvenRows) -> Iterator[bytes]:
    lines, salt = found.block.lines, found.block.salt
    for start in range(0, len(lines), _AT_ONCE):
        part = enumerate(lines[start : start + _AT_ONCE], start)
        yield b"".join(b"{%s}\n" % row_members(row, line, salt(row)) for row, line in part)
