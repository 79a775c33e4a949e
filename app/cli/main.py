"""The command line: `whyledger`. One line and a remedy for every error, never a traceback."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app import VERSION
from app.cli.commands.cycle import cycle
from app.cli.commands.decisions import changes, decisions, export, why
from app.cli.commands.erasure import erase
from app.cli.commands.importing import import_rows
from app.cli.commands.integrity import verify
from app.cli.commands.models import adopt, rollback, state
from app.cli.commands.repair import repair
from app.cli.commands.running import demo, replay, serve
from app.cli.commands.settle import settle
from app.cli.commands.whatif import whatif
from app.cli.terminal import CommandRefused, Exit, exit_code_of, say, say_error
from app.database.private_files import keep_private
from app.database.storage import StorageFailed
from domain.errors import WhyledgerError

app = typer.Typer(
    name="whyledger",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The service whose ledger says why every model serves.",
)


def _say_version(wanted: bool) -> None:
    if wanted:
        say(f"whyledger {VERSION}")
        raise typer.Exit


@app.callback()
def _whyledger(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Say the version and end."
        ),
    ] = False,
) -> None:
    """The service whose ledger says why every model serves."""


app.command()(serve)
app.command()(adopt)
app.command("import")(import_rows)
app.command()(cycle)
app.command()(decisions)
app.command()(why)
app.command()(changes)
app.command()(state)
app.command()(export)
app.command()(verify)
app.command()(settle)
app.command()(repair)
app.command()(replay)
app.command()(rollback)
app.command()(erase)
app.command()(whatif)
app.command()(demo)


def main() -> None:
    """Run the command the arguments name; the exit codes stand in `docs/command-line.md`."""
    keep_private()
    try:
        app()
    except WhyledgerError as error:
        say_error(error)
        sys.exit(exit_code_of(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.exit(Exit.ERROR)  # the reader of our output went away
        say_error(StorageFailed.of(error))
        sys.exit(Exit.ERROR)
    except KeyboardInterrupt:
        sys.exit(130)  # as shells say it: ended by Ctrl-C
    except Exception as error:  # noqa: BLE001 a person at a terminal gets one line, whatever it is
        said = f"{type(error).__name__}: {error}. This is a fault in Whyledger; please report it."
        say_error(CommandRefused(said))
        sys.exit(Exit.ERROR)


if __name__ == "__main__":
    main()
