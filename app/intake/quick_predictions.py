"""A body of many rows read at once into the columns of its contract; or not, and nothing said.

It takes what the careful way takes, with the same values, in a fifth of the time: no JSON value is
made of the body, and no object of a row. A property test holds both to each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from app.serving.champions import Champions, Serving
from domain.errors import WhyledgerError
from domain.events.events import RowColumns

_NAMES_AROUND: Final = 2  # "model" and "rows"
_BLANKS: Final = (b" ", b"\t", b"\n", b"\r")
# A quote or a colon, written so that it would be counted or hide one that is; what is refused.
_ESCAPED: Final = re.compile(rb'\\(?:"|u(?:00(?:00|22|3[aA])|[dD][89a-fA-F]))')


@dataclass(frozen=True, slots=True)
class SentTogether:
    """Rows of one model that its contract takes, two at least."""

    serving: Serving  # that took them
    columns: RowColumns  # as the contract keeps them
    rows: int

    def as_sent(self) -> dict[str, object]:
        """The same as a body that is read with care."""
        names, rows = [*self.columns], zip(*self.columns.values(), strict=True)
        return {
            "model": self.serving.model,
            "rows": [dict(zip(names, row, strict=True)) for row in rows],
        }


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    rows: msgspec.Raw


def read_together(body: bytes, champions: Champions, rows_max: int) -> SentTogether | None:
    """The rows in a body that is certain to be taken; None: it must be read with care.

    The reader keeps one of two equal names and says nothing. So names are counted: a colon stands
    right behind the quote of each, and of nothing else but a text that begins with a colon. Where
    there are more than the rows must have, or one may be written otherwise, it is not certain.
    """
    if b"\\" in body and _ESCAPED.search(body):
        return None
    # One sign is found in a tenth of the time that two take, and most bodies have no such.
    if any(blank in body and blank + b":" in body for blank in _BLANKS):
        return None
    try:
        sent = msgspec.json.decode(body, type=_Body)
        serving = champions.of(sent.model)
    except (msgspec.MsgspecError, ValueError, RecursionError, WhyledgerError):
        return None
    read = serving.guard.read_rows(bytes(sent.rows))
    if read is None:
        return None
    columns, names = read
    rows = len(next(iter(columns.values())))
    if body.count(b'":') != names + _NAMES_AROUND or not 1 < rows <= rows_max:
        return None
    return SentTogether(serving, columns, rows)
