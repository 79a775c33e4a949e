"""Settings and ledger for a command, with a clear line when either cannot be had."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import click
import typer
from pydantic import ValidationError

from app.cause import Cause
from app.cli.terminal import Advance, ArgumentInvalid, CommandRefused, note, progress
from app.clock import new_id
from app.database.migrating import has_schema
from app.ledger.damage import record_damage, unknown
from app.ledger.known_damage import known_damage
from app.ledger.store import Ledger
from app.projections.looked_at import LookedAt, look_at_read_models
from app.projections.opening import look_at_ledger, open_ledger, open_unfolded
from app.projections.putting_right import is_suspicious, put_right
from app.proof.verify.read_models import differing_read_models
from app.settings import Settings, unknown_names
from domain.errors import NothingToDecide, ReadModelUnfit, RequestInvalid, WhyledgerError
from domain.reported_faults import reported_faults
from domain.times import normalise_time

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="WHYLEDGER_SERVICE_URL",
        help="Ask the service at this URL; without it, the database of the settings.",
    ),
]
_SILENT_SECONDS = 2.0  # nothing is said of a database that answers within them
_DATE_LENGTH = len("1976-12-31")


def read_settings(**changed: object) -> Settings:
    """The settings of the environment, with `changed` over them.

    Raises:
        CommandRefused: a setting makes no sense, or its name is misspelt; it is named with its
            environment variable.
    """
    unknown = unknown_names(os.environ)
    misspelt = [
        f"{variable[:100]} is no setting; the nearest is {near}"
        for variable, near in unknown.items()
        if near is not None
    ]
    if misspelt:
        raise CommandRefused(
            f"{'; '.join(misspelt)}. Correct or unset it; docs/settings.md has all."
        )
    if unknown:
        names = ", ".join(variable[:100] for variable in unknown)
        note(f"{names}: no setting, and passed over; docs/settings.md has all.")
    try:
        return Settings(**changed)  # type: ignore[arg-type]
    except ValidationError as error:
        # No value is shown: the URL of a server may hold a password.
        found = error.errors(include_input=False, include_url=False)
        said = "; ".join(
            f"WHYLEDGER_{fault.name.upper()}: {fault.message.removesuffix('.')}"
            for fault in reported_faults(found, Settings.model_fields)
        )
        raise CommandRefused(f"{said}.") from None


def typed() -> Cause:
    """Who typed the command: whoever is on this machine."""
    return Cause.unauthenticated(new_id())


@contextmanager
def opened(settings: Settings, *, make: bool = False, begin: bool = True) -> Iterator[Ledger]:
    """The ledger, closed afterwards; made when there is none and `make` says so.

    With `begin` false an empty ledger is looked at, whatever became of it; else it is refused, for
    only what may make a ledger may begin one.

    Raises:
        NothingToDecide: there is no ledger.
        LedgerBusy: the database is in use or out of reach.
    """
    with _saying_that_it_waits() as answers:
        if not make:
            _refuse_without_ledger(settings)
        ledger = _folded(settings, make, answers)
    if begin and ledger.size() == 0:
        ledger.close()
        raise _no_ledger(settings)
    try:
        with put_right_after(ledger):
            yield ledger
    finally:
        with suppress(WhyledgerError):  # then whoever meets it next says so
            record_damage(ledger, typed())
        ledger.close()


@contextmanager
def opened_unfolded(settings: Settings) -> Iterator[Ledger]:
    """The ledger, closed afterwards, without read models, which damage may keep from folding.

    Raises:
        NothingToDecide: there is no ledger.
        LedgerBusy: the database is in use or out of reach.
    """
    with _saying_that_it_waits():
        _refuse_without_ledger(settings)
        ledger = open_unfolded(settings)
    try:
        if ledger.size() == 0:
            raise _no_ledger(settings)
        yield ledger
    finally:
        ledger.close()


@contextmanager
def put_right_after(ledger: Ledger) -> Iterator[None]:
    """Whoever fails inside on a read model that somebody changed is told, and may try again.

    Raises:
        ReadModelUnfit: it was so; they are folded anew.
    """
    try:
        yield
    except (typer.Exit, click.ClickException, click.Abort):
        raise  # a command that ends is no failure
    except Exception as error:
        said = put_right(ledger, error) if is_suspicious(error) else None
        if said is None:
            raise
        raise ReadModelUnfit(f"{said.rstrip('.')}. Try the command again.") from error


@contextmanager
def looked_at(settings: Settings) -> Iterator[Ledger]:
    """The ledger as it stands, closed afterwards: nothing is made, migrated or written.

    Raises:
        NothingToDecide: there is no ledger.
        CannotJudge: its schema is newer than this version.
        LedgerBusy: the database is in use or out of reach.
    """
    with _saying_that_it_waits():
        ledger = look_at_ledger(settings) if _file_stands(settings) else None
    if ledger is None:
        raise _no_ledger(settings)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def looked_at_read_models(settings: Settings) -> Iterator[LookedAt]:
    """As `looked_at`, with read models that hold every entry: nothing is folded into the ledger.

    Damage that is met is said, and not recorded.

    Raises:
        NothingToDecide, CannotJudge, LedgerBusy: as `looked_at`.
        LedgerDamaged, StorageFailed: as `look_at_read_models`.
        ReadModelUnfit: whoever failed inside met a read model that somebody changed.
    """
    with looked_at(settings) as ledger, ExitStack() as stack:
        stack.callback(_say_of_damage, ledger)
        with _folding_told("folding the read models beside the ledger") as progress:
            found = stack.enter_context(look_at_read_models(ledger, progress))
        if found.size() == 0:
            raise _no_ledger(settings)
        try:
            yield found
        except Exception as error:
            if not found.stand or not is_suspicious(error):
                raise
            with ledger.snapshot() as connection:
                _, breaks = differing_read_models(connection)
            if not breaks:
                raise
            raise ReadModelUnfit(
                f"{breaks[0].sentence()} Somebody changed it behind the service, and to export "
                "writes nothing. Put it right with `whyledger replay`, and export again."
            ) from error


def _say_of_damage(ledger: Ledger) -> None:
    """What was met and the ledger itself does not say."""
    met = ledger.met.all()
    if not met:
        return
    with suppress(WhyledgerError):  # it may be what keeps it from being read
        with ledger.snapshot() as connection:
            met = tuple(unknown(met, known_damage(connection)))
    if met:
        more = f" {len(met) - 1} more were found." if len(met) > 1 else ""
        note(
            f"{met[0].said}{more} To export records nothing: `whyledger verify --record` lets the "
            "ledger say what was found."
        )


@contextmanager
def _saying_that_it_waits() -> Iterator[Callable[[], None]]:
    """A line on stderr once the database has not answered for a moment; gives who says it does."""
    timer = threading.Timer(_SILENT_SECONDS, note, ["waiting for the ledger's database …"])
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


def _folded(settings: Settings, make: bool, answers: Callable[[], None]) -> Ledger:
    """The ledger, with a bar when its read models take more than a moment to fold."""
    with _folding_told("folding the read models from the ledger", answers) as told:
        return open_ledger(settings, begin=make, progress=told)


@contextmanager
def _folding_told(
    words: str, answers: Callable[[], None] = lambda: None
) -> Iterator[Callable[[int, int], None]]:
    """What is told of a fold; a bar from the first time on, which says that the database answers.

    `answers` is called before it.
    """
    with ExitStack() as stack:
        bar: list[Advance] = []

        def told(done: int, of: int) -> None:
            if not bar:
                answers()
                bar.append(stack.enter_context(progress(words, of, unit="entries")))
            bar[0](done, of)

        yield told


def _refuse_without_ledger(settings: Settings) -> None:
    """Before the database is touched: looking must leave neither a file nor tables."""
    if not _file_stands(settings) or not has_schema(settings):
        raise _no_ledger(settings)


def _file_stands(settings: Settings) -> bool:
    """Whether SQLite's file is there; a server is there until it is asked."""
    path = settings.ledger_url.removeprefix("sqlite:///")
    return path == settings.ledger_url or Path(path.split("?", 1)[0]).exists()


def _no_ledger(settings: Settings) -> NothingToDecide:
    path = settings.ledger_url.removeprefix("sqlite:///")
    # The URL of a server may hold a password.
    where = f"at {path}" if path != settings.ledger_url else "in the database of the settings"
    return NothingToDecide(
        f"there is no ledger {where}. Begin one with `whyledger serve` or `whyledger adopt`, "
        "or set WHYLEDGER_STATE_DIR or WHYLEDGER_DATABASE_URL."
    )


def a_time(text: str | None, option: str) -> str | None:
    """A time given as `option`, in our one form; a date alone means its first moment.

    Raises:
        ArgumentInvalid: it is neither a date nor a time with an offset.
    """
    if text is None:
        return None
    try:
        return normalise_time(f"{text}T00:00:00Z" if len(text) == _DATE_LENGTH else text)
    except RequestInvalid:
        raise ArgumentInvalid(
            f"{option} {text[:100]!r} is neither a date like 1976-07-01, which means its first "
            "moment UTC, nor a time like 1976-07-01T00:00:00Z, with an offset and at most nine "
            "decimals."
        ) from None
