"""A CSV as it comes in: its lines, its header against the contract, and each row's cells.

Nothing is held but the line at hand, and no line grows without bound.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Final

from domain.contract.contract import Contract
from domain.errors import DocumentInvalid, Fault, pointer

LINE_LENGTH_MAX: Final = 100_000  # characters; a longer line is refused unread
FAULTS_SAID_MAX: Final = 5  # of a header, in the message; the faults list every one
_OVERLONG: Final = "\0overlong\n"  # stands for a line that was not read


def csv_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The file's lines, none longer than LINE_LENGTH_MAX: longer ones are passed over unread."""
    while line := text.readline(LINE_LENGTH_MAX):
        if len(line) == LINE_LENGTH_MAX and not line.endswith(("\n", "\r")):
            while (rest := text.readline(LINE_LENGTH_MAX)) and not rest.endswith(("\n", "\r")):
                pass
            line = _OVERLONG
        yield line


def csv_header(reader: Iterator[list[str]], contract: Contract) -> list[str]:
    """The column names. Raises DocumentInvalid naming every column that is wrong."""
    try:
        header = [name.strip() for name in next(reader)]
    except (StopIteration, csv.Error):
        header = []
    if not any(header):
        raise DocumentInvalid(
            "the CSV has no header line; begin it with the contract's column names."
        )
    required = {column.name for column in contract.columns if column.missing == "refused"}
    required |= {feature.name for feature in contract.features if feature.missing == "refused"}
    required.add(contract.target.name)
    ignored = {column.name for column in contract.ignored}
    known = {*contract.row_columns, contract.target.name} | ignored
    faults = [
        Fault(pointer(name), "stands twice in the header; keep one", name)
        for name, count in Counter(header).items()
        if count > 1
    ]
    faults += [
        Fault(pointer(name), f"is no column of {contract.model!r}; remove it", name)
        for name in header
        if name not in known
    ]
    faults += [
        Fault(pointer(name), "is missing from the header, and the contract refuses that; add it")
        for name in sorted(required - set(header))
    ]
    if faults:
        told = [f"{fault.name[:100]!r} {fault.message}" for fault in faults]
        more = [f"and {len(told) - FAULTS_SAID_MAX} more"] if len(told) > FAULTS_SAID_MAX else []
        raise DocumentInvalid(
            f"the CSV's header does not fit: {'; '.join([*told[:FAULTS_SAID_MAX], *more])}. "
            f"Nothing was kept; send the file again with the columns of {contract.model!r}.",
            faults,
        )
    return header


def csv_rows(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | str]]:
    """Each row's first line and its cells, or why it has none."""
    line = 1
    while True:
        line = getattr(reader, "line_num", line) + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"broken CSV: {error}"
            continue
        if cells:
            yield line, cells
