"""How the commands speak: data on stdout, progress on stderr, one clear line for an error.

Plain when it is not a terminal. The exit codes stand here, once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any, Final, Protocol

import orjson
import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from domain.errors import WhyledgerError

Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")]

_READABLE: Final = 24  # characters; a wrapped column that is narrower reads badly
OUT: Final = Console(soft_wrap=True, highlight=False)
ERR: Final = Console(stderr=True, soft_wrap=True, highlight=False)


class Exit(IntEnum):
    """What the exit code says. Any outcome that was recorded is success."""

    OK = 0
    ERROR = 1  # refused, or gone wrong; the line on stderr says why
    USAGE = 2  # the arguments cannot be understood
    INTEGRITY = 3  # the ledger, a read model or the registry does not hold what it must
    INVALID = 4  # a policy or contract is invalid
    PROMOTED = 10  # only with --detailed-exitcode
    REJECTED = 11  # only with --detailed-exitcode
    UNDECIDED = 20  # nothing was done: inputs are missing, the database is out of reach; try again
    CANNOT_JUDGE = 21  # the schema is newer than this version, or this login may not read it


_EXIT_BY_CODE: Final = {
    "argument-invalid": Exit.USAGE,
    "ledger-damaged": Exit.INTEGRITY,
    "contract-invalid": Exit.INVALID,
    "policy-invalid": Exit.INVALID,
    "document-invalid": Exit.INVALID,
    "cannot-judge": Exit.CANNOT_JUDGE,
    "nothing-to-decide": Exit.UNDECIDED,
    "read-model-unfit": Exit.UNDECIDED,
    "ledger-busy": Exit.UNDECIDED,
    "ledger-unwritable": Exit.UNDECIDED,
    "service-unreachable": Exit.UNDECIDED,
}


class CommandRefused(WhyledgerError):
    """The command cannot be carried out as given."""

    code = "command-refused"


class ArgumentInvalid(WhyledgerError):
    """An argument cannot be understood."""

    code = "argument-invalid"


class ServiceUnreachable(WhyledgerError):
    """No service answers at the URL."""

    code = "service-unreachable"


class Advance(Protocol):
    """Tell how far a long task has come."""

    def __call__(self, done: int, total: int | None = None, said: str | None = None) -> None:
        """`done` of `total`; `said` replaces the words before the bar."""


def exit_code_of(error: WhyledgerError, *, missing_is_undecided: bool = False) -> Exit:
    """The exit code of an error; a cycle for which a model is missing decides nothing."""
    code = code_of(error)
    if missing_is_undecided and code == "unknown-model":
        return Exit.UNDECIDED
    return _EXIT_BY_CODE.get(code, Exit.ERROR)


def code_of(error: WhyledgerError) -> str:
    """The error's code; that of a service, or of a process, carries its problem's."""
    return getattr(error, "problem", "") or error.code


def say_error(error: WhyledgerError) -> None:
    """One line; and below it one line a fault, when there are several things to mend."""
    ERR.print(f"[bold red]error:[/] {_plain(error.message)}" if ERR.is_terminal else
              f"error: {error.message}", markup=ERR.is_terminal)  # fmt: skip
    for fault in error.faults:
        ERR.print(f"  {fault.path or '/'}: {fault.message}", markup=False)
    if error.more_faults:
        ERR.print(f"  and {error.more_faults} more", markup=False)


def say(text: str) -> None:
    """One line of data on stdout, as it is."""
    OUT.print(text, markup=False)


def note(text: str) -> None:
    """One line for the person at the terminal, on stderr."""
    ERR.print(text, markup=False)


def say_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def say_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, wrapped: Sequence[str] = ()
) -> None:
    """A table: drawn on a terminal, tab-separated elsewhere so that tools can cut it.

    On a terminal too narrow for it, a paragraph for each row, so that no cell is lost or cut.
    """
    if not OUT.is_terminal:
        for row in (columns, *rows):
            typer.echo("\t".join(_one_line(cell) for cell in row))  # Rich would expand the tabs
        return
    console = Console(highlight=False)
    if _width(columns, rows, wrapped) > console.width:
        for row in rows:
            _say_paragraph(console, columns, [str(cell) for cell in row])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column not in wrapped, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(str(cell)) for cell in row))
    console.print(table)


def _width(columns: Sequence[str], rows: Sequence[Sequence[object]], wrapped: Sequence[str]) -> int:
    """The characters a table takes whose wrapped columns are just wide enough to be read."""
    total = 0
    for index, column in enumerate(columns):
        longest = max(len(column), *(len(str(row[index])) for row in rows), 0)
        total += min(longest, _READABLE) if column in wrapped else longest
    return total + len(columns) - 1


def _say_paragraph(console: Console, columns: Sequence[str], row: Sequence[str]) -> None:
    """The row's mark and name, then each other cell that says something under its name."""
    named = 2 if columns[0] == "" else 1
    console.print(f"[bold]{_plain(' '.join(row[:named]))}[/]")
    for column, cell in zip(columns[named:], row[named:], strict=True):
        if cell:
            console.print(Padding(_plain(f"{column}: {cell}"), (0, 0, 0, 2), expand=False))


@contextmanager
def progress(words: str, total: int | None = None, *, unit: str = "") -> Iterator[Advance]:
    """A bar with rate and time left on stderr; nothing but the words when it is no terminal."""
    if not ERR.is_terminal:
        note(f"{words} …")
        yield _silent
        return
    columns: list[Any] = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.completed:,.0f} " + unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task(_plain(words), total=total)

        def advance(done: int, total: int | None = None, said: str | None = None) -> None:
            bar.update(task, completed=done)
            if total is not None:
                bar.update(task, total=total)
            if said is not None:
                bar.update(task, description=_plain(said))

        yield advance


def _silent(done: int, total: int | None = None, said: str | None = None) -> None:
    """Where nobody watches, a bar would only be noise in the log."""


def _plain(text: str) -> str:
    """`text` without meaning to Rich: a reason or a file name may hold brackets."""
    return text.replace("[", r"\[")


def _one_line(cell: object) -> str:
    return " ".join(str(cell).split())
