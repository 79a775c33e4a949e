"""The lines of a CSV, a part of them at a time: their rows, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from app.intake.csv_rows import BrokenLine
from app.intake.giving_way import GivingWay
from app.serving.champions import Serving
from domain.blocks.ids import source_event_id
from domain.blocks.lines import objects_of
from domain.canonical import sha256_hex
from domain.errors import RowsRefusedError
from domain.events.events import Row
from domain.faults import Fault
from domain.plain_text import unprintable

Line = tuple[int, list[str] | BrokenLine]  # its number, and its cells or why it has none
_CHARACTERS_AT_ONCE: Final = 1_000_000  # about; of lines that are held together
_TOLD: Final = 16  # characters of what tells a line's row
_FEW: Final = 25  # rows, of which some are bad, that are looked at one by one
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
    serving: Serving,
    header: list[str],
    lines: Sequence[list[str] | BrokenLine],
    giving_way: GivingWay | None = None,
) -> list[Row | RowsRefusedError]:
    """The row of each line, or why there is none; in order.

    `giving_way`: where most lines before were refused; with those of these it pauses.
    """
    broken: dict[int, RowsRefusedError] = {}
    for index, cells in enumerate(lines):
        refusal = _refused_unread(header, cells)
        if refusal is not None:
            broken[index] = refusal
            if giving_way is not None:
                giving_way.pause()
    whole = [cells for index, cells in enumerate(lines) if index not in broken]
    rows = iter(_judged(serving, serving.guard.parse_csv_rows(header, whole), giving_way))  # type: ignore[arg-type]
    return [broken[index] if index in broken else next(rows) for index in range(len(lines))]


def _judged(
    serving: Serving, rows: Sequence[dict[str, object]], giving_way: GivingWay | None
) -> Iterator[Row | RowsRefusedError]:
    """The rows as the contract keeps them, or why it does not; few at a time where some are bad."""
    guard = serving.guard
    accepted = guard.accepted_together(rows, labelled=True)
    if accepted is not None:
        yield from accepted
    elif len(rows) > _FEW:
        for start in range(0, len(rows), _FEW):
            yield from _judged(serving, rows[start : start + _FEW], giving_way)
    else:
        for row in rows:
            try:
                yield guard.check_row(row, labelled=True)
            except RowsRefusedError as refusal:
                yield refusal
                if giving_way is not None:
                    giving_way.pause()


def _refused_unread(header: list[str], cells: list[str] | BrokenLine) -> RowsRefusedError | None:
    """Why a line is no row of this header, whatever the contract says; None: it is one."""
    if isinstance(cells, BrokenLine):
        return _unreadable(str(cells), "broken line")
    if not "".join(cells).isascii():
        for name, cell in zip_longest(header, cells, fillvalue=""):
            if not cell.isprintable() and any(map(_NOT_UTF8.__contains__, cell)):
                return _unreadable(f"holds what is not UTF-8 in {name or 'a cell'}", "not UTF-8")
    if len(cells) != len(header):
        sign = unprintable("".join(cells))
        also = f", and holds {sign}, which is not printable" if sign else ""
        return _unreadable(f"has {len(cells)} cells; the header has {len(header)}{also}", "cells")
    return None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some accepted rows of a file, and what names each."""

    source: str
    rows: list[Row]
    identities: list[str]
    source_ids: list[str]
    ids: list[str]  # of their events


def chunk_of(serving: Serving, dataset_sha256: str, good: Sequence[tuple[int, Row]]) -> Chunk:
    """The accepted rows of these lines, each with its number."""
    rows = [row for _, row in good]
    source = f"/models/{serving.model}/datasets/{dataset_sha256}"
    source_ids = [
        f"{line}:{told[:_TOLD]}"
        for (line, _), told in zip(good, _distinctions(serving, rows), strict=True)
    ]
    ids = [source_event_id(source, source_id) for source_id in source_ids]
    return Chunk(source, rows, [*map(serving.guard.identity_of, rows)], source_ids, ids)


def _distinctions(serving: Serving, rows: Sequence[Row]) -> list[str]:
    """What tells each line's row from what another contract makes of it.

    An entry's id is made of it and stays for ever, so a person's row is not to be guessed from it.
    """
    if serving.guard.personal:
        return [serving.contract_digest] * len(rows)
    return [sha256_hex(content) for content in objects_of(rows)]


def _unreadable(message: str, reason: str) -> RowsRefusedError:
    return RowsRefusedError(message, [Fault("", message)], {f"(row): {reason}": 1})
