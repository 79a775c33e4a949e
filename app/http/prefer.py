"""What a client prefers (RFC 7240): to wait for an end, or a receipt with each entry."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from fastapi import Request
from pydantic import Field

from app.process import Process
from app.proof import receipts
from domain.errors import WhyledgerError
from domain.events.envelope import Recorded

PREFER_RECEIPT: Final = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "`receipt`: each entry comes with its leaf hash, proof and signed checkpoint",
}
RECEIPT: Final = Field(
    default=None,
    description="only with `Prefer: receipt`: position, leaf hash, proof, checkpoint; of a row of "
    "an entry of many also row, rows, salt, content, row proof, envelope",
)
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*([0-9]{1,9})(?:$|[,;\s])", re.IGNORECASE)
_LOG: Final = logging.getLogger("whyledger.receipts")


def seconds_to_wait(prefer: str | None, most: int) -> int | None:
    """The seconds that `Prefer: wait=N` asks for, at most `most`; None without it."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), most) if found else None


def wants_receipts(request: Request) -> bool:
    """Whether the client asks for a receipt with each entry: `Prefer: receipt`."""
    return "receipt" in {part.strip() for part in request.headers.get("prefer", "").split(",")}


def receipt_of(here: Process, position: int) -> dict[str, Any]:
    """The receipt of the entry at `position` as JSON, for any answer that is asked for one."""
    return receipts.receipt(here.ledger, here.checkpoints, position).as_json()


def row_receipts_of(here: Process, position: int, rows: Iterable[int]) -> list[dict[str, Any]]:
    """The receipts of some rows of the entry of many at `position`, as JSON."""
    proved = receipts.row_receipts(here.ledger, here.checkpoints, position, rows)
    return [each.as_json() for each in proved]


def receipts_of(here: Process, recorded: Iterable[Recorded]) -> list[dict[str, Any] | None]:
    """A receipt for each committed plain event, that of its row where its entry has many.

    Null where none can be signed now. What was recorded is recorded: that its receipt must wait is
    no reason to answer with a problem. It can be asked for later,
    `GET /ledger/events/{position}?receipt=true` and `…/rows/{row}?receipt=true`.
    """
    found: list[dict[str, Any] | None] = []
    for position, each in groupby(recorded, key=attrgetter("position")):
        together: Sequence[Recorded] = list(each)
        try:
            if together[0].rows == 1:
                found += [receipt_of(here, position)] * len(together)
            else:
                found += row_receipts_of(here, position, [entry.row for entry in together])
        except WhyledgerError as error:
            _LOG.warning("no receipt for entry %s: %s", position, error)
            found += [None] * len(together)
    return found
