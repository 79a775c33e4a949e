"""The lines of a CSV, a part of them at a time: their rows, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from app.intake.csv_rows import BrokenLine
from app.serving.champions import Serving
from domain.canonical import digest
from domain.errors import RowsRefusedError
from domain.events.events import Row
from domain.faults import Fault
from domain.plain_text import unprintable

Line = tuple[int, list[str] | BrokenLine]  # its number, and its cells or why it has none
_CHARACTERS_AT_ONCE: Final = 1_000_000  # about; of lines that are held together
_NOT_UTF8: Final = frozenset(map(chr, range(0xDC80, 0xDD00)))  # bytes no UTF-8 has, as read


def lines_together(rows: Iterator[Line], lines_max: int) -> Iterator[list[Line]]:
    """The lines, so many at a time; fewer where they are long."""
    part: list[Line] = []
    held = 0
    for line, cells in rows:
        part.append((line, cells))
        held += sum(map(len, cells)) if isinstance(cells, list) else 0
        if len(part) == lines_max or held > _CHARACTERS_AT_ONCE:
            yield part
            part, held = [], 0
    if part:
        yield part


def judge_lines(
    serving: Serving, header: list[str], lines: Sequence[list[str] | BrokenLine]
) -> list[Row | RowsRefusedError]:
    """The row of each line, or why there is none; in order."""
    parsed = [_parsed(serving, header, cells) for cells in lines]
    rows = [row for row in parsed if not isinstance(row, RowsRefusedError)]
    together = iter(serving.guard.accepted_together(rows, labelled=True) or ())
    judged: list[Row | RowsRefusedError] = []
    for row in parsed:
        if isinstance(row, RowsRefusedError):
            judged.append(row)
        elif (accepted := next(together, None)) is not None:
            judged.append(accepted)
        else:
            try:
                judged.append(serving.guard.check_row(row, labelled=True))
            except RowsRefusedError as refusal:
                judged.append(refusal)
    return judged


def _parsed(
    serving: Serving, header: list[str], cells: list[str] | BrokenLine
) -> dict[str, object] | RowsRefusedError:
    if isinstance(cells, BrokenLine):
        return _unreadable(str(cells), "broken line")
    for name, cell in zip_longest(header, cells, fillvalue=""):
        if not cell.isascii() and not cell.isprintable() and any(map(_NOT_UTF8.__contains__, cell)):
            return _unreadable(f"holds what is not UTF-8 in {name or 'a cell'}", "not UTF-8")
    if len(cells) != len(header):
        sign = unprintable("".join(cells))
        also = f", and holds {sign}, which is not printable" if sign else ""
        return _unreadable(f"has {len(cells)} cells; the header has {len(header)}{also}", "cells")
    return serving.guard.parse_csv_row(dict(zip(header, cells, strict=True)))


def distinction(serving: Serving, row: Row) -> str:
    """What tells a line's row from what another contract makes of it.

    An entry's id is made of it and stays for ever, so a person's row is not to be guessed from it.
    """
    return serving.contract_digest if serving.guard.personal else digest(row)


def _unreadable(message: str, reason: str) -> RowsRefusedError:
    return RowsRefusedError(message, [Fault("", message)], {f"(row): {reason}": 1})
