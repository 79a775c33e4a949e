"""The lines of a CSV, a part of them at a time: their rows, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from app.intake.csv_rows import BrokenLine
from app.intake.giving_way import GivingWay
from app.ledger.new_events import NewObservations
from app.serving.champions import Serving
from domain.blocks.ids import source_event_ids
from domain.blocks.lines import objects_of
from domain.canonical import sha256_hex
from domain.errors import RowsRefusedError
from domain.events.events import Row, RowColumns
from domain.faults import Fault
from domain.plain_text import unprintable

# Its number, its cells or why it has none, and its length.
Line = tuple[int, list[str] | BrokenLine, int]
_CHARACTERS_AT_ONCE: Final = 1_000_000  # about; of lines that are held together
_TOLD: Final = 16  # characters of what tells a line's row
_FEW: Final = 25  # rows, of which some are bad, that are looked at one by one
_NOT_UTF8: Final = frozenset(map(chr, range(0xDC80, 0xDD00)))  # bytes no UTF-8 has, as read


def lines_together(rows: Iterator[Line], lines_max: int) -> Iterator[list[Line]]:
    """The lines, so many at a time; fewer where they are long."""
    part: list[Line] = []
    held = 0
    for line in rows:
        part.append(line)
        held += line[2]
        if len(part) == lines_max or held > _CHARACTERS_AT_ONCE:
            yield part
            part, held = [], 0
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class JudgedLines:
    """What became of some lines: the rows of the good ones, and why others have none."""

    accepted: list[int]  # indexes of good lines, in order
    columns: RowColumns  # of their rows, as the contract keeps them
    refused: dict[int, RowsRefusedError]  # by index, in order


def judge_lines(
    serving: Serving,
    header: list[str],
    lines: Sequence[list[str] | BrokenLine],
    giving_way: GivingWay | None = None,
) -> JudgedLines:
    """The rows of the lines, and why some have none.

    `giving_way`: where most lines before were refused; with those of these it pauses.
    """
    refused: dict[int, RowsRefusedError] = {}
    if not _all_plain(lines, len(header)):
        for index, cells in enumerate(lines):
            refusal = _refused_unread(header, cells)
            if refusal is not None:
                refused[index] = refusal
                if giving_way is not None:
                    giving_way.pause()
    guard = serving.guard
    whole = [index for index in range(len(lines)) if index not in refused]
    sent = guard.parse_csv_columns(header, [lines[index] for index in whole])  # type: ignore[misc]
    columns = guard.accepted_columns(sent, len(whole), labelled=True) if whole else {}
    if columns is not None:
        return JudgedLines(whole, columns, refused)
    rows = [dict(zip(sent, row, strict=True)) for row in zip(*sent.values(), strict=True)]
    accepted: list[int] = []
    kept: list[Row] = []
    for index, judged in zip(whole, _judged(serving, rows, giving_way), strict=True):
        if isinstance(judged, RowsRefusedError):
            refused[index] = judged
        else:
            accepted.append(index)
            kept.append(judged)
    by_name = {name: [row[name] for row in kept] for name in (kept[0] if kept else ())}
    return JudgedLines(accepted, by_name, dict(sorted(refused.items())))


def _all_plain(lines: Sequence[list[str] | BrokenLine], width: int) -> bool:
    """Whether each has so many cells, and no sign that is not ASCII."""
    if {*map(type, lines)} != {list} or {*map(len, lines)} != {width}:  # type: ignore[arg-type]
        return False
    return "".join(map("".join, lines)).isascii()  # type: ignore[arg-type]


def _judged(
    serving: Serving, rows: Sequence[dict[str, object]], giving_way: GivingWay | None
) -> Iterator[Row | RowsRefusedError]:
    """The rows as the contract keeps them, or why it does not; few at a time where some are bad."""
    guard = serving.guard
    for start in range(0, len(rows), _FEW):
        few = rows[start : start + _FEW]
        accepted = guard.accepted_together(few, labelled=True)
        if accepted is not None:
            yield from accepted
            continue
        for row in few:
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


def observations_of(
    serving: Serving, dataset_sha256: str, lines: Sequence[int], columns: RowColumns
) -> NewObservations:
    """The accepted rows of a file's lines with these numbers."""
    guard = serving.guard
    source = f"/models/{serving.model}/datasets/{dataset_sha256}"
    if guard.personal:  # an id stays for ever, so the row is not to be guessed from it
        source_ids = [f"{line}:{serving.contract_digest[:_TOLD]}" for line in lines]
    else:  # what another contract makes of the same line is another row
        told = map(sha256_hex, objects_of(columns))
        source_ids = [f"{line}:{each[:_TOLD]}" for line, each in zip(lines, told, strict=True)]
    return NewObservations(
        model=serving.model,
        source=source,
        source_ids=source_ids,
        digests=None,  # whoever has an id sent the same
        ids=source_event_ids(source, source_ids),
        identities=guard.identities_of(columns) if columns else [],
        occurred_at=guard.event_times_of(columns) if columns else [],
        columns=columns,
        keys=guard.keys,
        personal=guard.personal,
    )


def _unreadable(message: str, reason: str) -> RowsRefusedError:
    return RowsRefusedError(message, [Fault("", message)], {f"(row): {reason}": 1})
