"""Settings and ledger for a command, with a clear line when either cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from app.commands.terminal import CommandRefused
from app.ledger.store import Ledger, open_ledger
from app.settings import Settings
from domain.errors import NothingToDecide
from domain.times import normalise_time

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="WHYLEDGER_SERVICE_URL",
        help="Ask the service at this URL; without it, the database of the settings.",
    ),
]
_DATE_LENGTH = len("1976-12-31")


def read_settings(**changed: object) -> Settings:
    """The settings of the environment, with `changed` over them.

    Raises:
        CommandRefused: a setting makes no sense; it is named with its environment variable.
    """
    try:
        return Settings(**changed)  # type: ignore[arg-type]
    except ValidationError as error:
        said = "; ".join(
            f"WHYLEDGER_{str(fault['loc'][0]).upper() if fault['loc'] else '?'}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise CommandRefused(said) from None


@contextmanager
def opened(settings: Settings, *, make: bool = False, begin: bool = True) -> Iterator[Ledger]:
    """The ledger, closed afterwards; made when there is none and `make` says so.

    With `begin` false an empty ledger stays empty: it is looked at, whatever became of it.

    Raises:
        NothingToDecide: there is no ledger file.
        LedgerBusy: the database is in use or out of reach.
    """
    path = settings.ledger_url.removeprefix("sqlite:///")
    if not make and path != settings.ledger_url and not Path(path.split("?", 1)[0]).exists():
        raise NothingToDecide(
            f"there is no ledger at {path}. Begin one with `whyledger serve` or `whyledger adopt`, "
            "or set WHYLEDGER_STATE_DIR or WHYLEDGER_DATABASE_URL."
        )
    ledger = open_ledger(settings, begin=begin)
    try:
        yield ledger
    finally:
        ledger.close()


def a_time(text: str | None) -> str | None:
    """A time given on the command line, in our one form; a date alone means its first moment.

    Raises:
        RequestInvalid: it is neither a date nor a time with an offset.
    """
    if text is None:
        return None
    return normalise_time(f"{text}T00:00:00Z" if len(text) == _DATE_LENGTH else text)
