"""A CSV as it comes in: its lines, its header against the contract, and each line's cells.

A row is one line: no contract takes a line break in a value, so a quote that stays open costs its
own line and no other. Some lines are held at a time, and no line grows without bound.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from domain.contract.contract import Contract
from domain.errors import DocumentInvalid
from domain.faults import FAULTS_MAX, Fault, Faults, pointer

LINE_LENGTH_MAX: Final = 100_000  # characters; a longer line is refused unread
FAULTS_SAID_MAX: Final = 5  # of a header, in the message
_ABSENT: Final = "is missing from the header, and the contract refuses that; add it"
# One cell with what ends it: quoted, with a quote inside written twice; or plain up to the comma.
_CELL: Final = re.compile(r'\s*+(?:"([^"]*(?:""[^"]*)*)"\s*|([^",][^,]*)?)(,|\Z)')
_CHARACTERS_AT_ONCE: Final = 65_536
_BREAK: Final = "\n"
# What `str.strip` takes away, of ASCII; no line holds a break.
_BLANKS: Final = (" ", "\t", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f")
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


class BrokenLine(Exception):
    """A line that is no row of cells: why, and its text where it may be kept."""

    def __init__(self, why: str, line: str = "") -> None:
        super().__init__(why)
        self.line = line


def csv_rows(text: io.TextIOWrapper) -> Iterator[tuple[int, list[str] | BrokenLine, int]]:
    """Each row's line, as an editor numbers them from 1, with its cells or why it has none, and how
    many characters the line has.

    A line without anything in its cells, if it has some, is no row.
    """
    number = 0
    for lines in _lines(text):
        plain = _are_plain(lines)
        for line in lines:
            number += 1
            if line is None:
                broken = BrokenLine(f"has more than {LINE_LENGTH_MAX} characters; shorten it")
                yield number, broken, 0
                continue
            if not line:
                continue
            try:
                cells = line.split(",") if plain else csv_cells(line)
            except BrokenLine as broken:
                yield number, broken, len(line)
                continue
            if any(cells):
                yield number, cells, len(line)


def _are_plain(lines: Sequence[str | None]) -> bool:
    """Whether cells are what stands between commas: no quotes, and no space around them."""
    together = _BREAK.join([line for line in lines if line is not None])
    if not together.isascii() or '"' in together:
        return False
    edges = (_BREAK, ",")
    return not any(
        blank in together
        and (
            together.startswith(blank)
            or together.endswith(blank)
            or any(edge + blank in together or blank + edge in together for edge in edges)
        )
        for blank in _BLANKS
    )


def _lines(text: io.TextIOWrapper) -> Iterator[list[str | None]]:
    """The lines without their ends, many at a time; None for one longer than LINE_LENGTH_MAX."""
    begun = ""  # the last line, as far as it was read
    too_long = False  # it is longer than may be, and the rest of it is passed over
    while piece := text.read(_CHARACTERS_AT_ONCE):
        read = begun + piece
        # What follows it may be the other half of its end.
        ends_in_return = read.endswith("\r")
        if ends_in_return:
            read = read[:-1]
        if "\r" in read:
            read = read.replace("\r\n", _BREAK).replace("\r", _BREAK)
        lines: list[str | None] = [*read.split(_BREAK)]
        begun = lines.pop() or ""
        if lines and too_long:
            lines[0] = None
            too_long = False
        if too_long or len(begun) > LINE_LENGTH_MAX:
            begun, too_long = "", True
        if ends_in_return:
            begun += "\r"
        if lines:
            yield [None if line is None or len(line) > LINE_LENGTH_MAX else line for line in lines]
    if too_long:
        yield [None]
    elif begun:
        yield [begun.removesuffix("\r")]


def csv_cells(line: str) -> list[str]:
    """The line's cells, without the space around them. Raises BrokenLine."""
    if '"' not in line:
        return [*map(str.strip, line.split(","))]
    cells: list[str] = []
    at = 0
    while True:
        found = _CELL.match(line, at)
        if found is None:
            raise BrokenLine(_why_broken(line, at, len(cells) + 1), line)
        quoted, plain, end = found.groups()
        cell = quoted.replace('""', '"') if quoted is not None else plain or ""
        cells.append(cell.strip())
        if not end:
            return cells
        at = found.end()


def csv_header(cells: list[str], contract: Contract) -> list[str]:
    """The column names in `cells`. Raises DocumentInvalid naming every column that is wrong."""
    if any("\0" in name for name in cells):
        raise DocumentInvalid(
            "the CSV's header holds U+0000 (NUL), as a file in UTF-16 does; save it as UTF-8."
        )
    required = {column.name for column in contract.columns if column.missing == "refused"}
    required |= {feature.name for feature in contract.features if feature.missing == "refused"}
    required.add(contract.target.name)
    ignored = {column.name for column in contract.ignored}
    known = {*contract.row_columns, contract.target.name} | ignored
    _separated_by_commas(cells, known)
    twice = [n for n, c in Counter(cells).items() if c > 1] if len({*cells}) < len(cells) else []
    wrong = (
        ("stands twice in the header; keep one", twice),
        (f"is no column of {contract.model!r}; remove it", [n for n in cells if n not in known]),
        (_ABSENT, sorted(required - set(cells))),
    )
    faults = Faults()
    for message, names in wrong:
        room = FAULTS_MAX - len(faults.listed)
        for name in names[:room]:
            faults.add(Fault(pointer(name), message, None if message is _ABSENT else name))
        faults.count(len(names) - len(names[:room]))
    if len(faults):
        told = [f"{each.name[:100]!r} {each.message}" for each in faults.listed[:FAULTS_SAID_MAX]]
        more = [f"and {len(faults) - len(told)} more"] if len(faults) > len(told) else []
        raise DocumentInvalid(
            f"the CSV's header does not fit: {'; '.join([*told, *more])}. "
            f"Nothing was kept; send the file again with the columns of {contract.model!r}.",
            faults,
        )
    return cells


def _separated_by_commas(cells: list[str], known: set[str]) -> None:
    """Raises DocumentInvalid when the header's columns are kept apart by something else."""
    for sign, called in _SEPARATORS.items():
        names = [name.strip(' "') for name in cells[0].split(sign)]
        if len(names) > 1 and known.intersection(names):
            raise DocumentInvalid(
                f"the CSV's cells are separated by {called}; a CSV here has commas. Nothing was "
                "kept; save the file with commas, and numbers with a decimal point, and send it "
                "again."
            )


def _why_broken(line: str, at: int, number: int) -> str:
    opened = line.index('"', at)
    closed = re.compile(r'"[^"]*(?:""[^"]*)*"').match(line, opened)
    if closed is None:
        return (
            f"cell {number} opens a quote that this line does not close; close it, or write a "
            "quote inside a cell twice, in quotes. A row is one line"
        )
    return (
        f"cell {number} goes on after its closing quote with "
        f"{line[closed.end() : closed.end() + 20].strip()!r}; end it there, or write a quote "
        "inside a cell twice"
    )
