"""`serve`, `replay`, `demo`: run the service, prove the ledger, tell the story."""

from __future__ import annotations

from typing import Annotated

import typer

from app.audit.replay import replay as replay_ledger
from app.cli.opening import opened, read_settings
from app.cli.terminal import (
    ERR,
    OUT,
    CommandRefused,
    Exit,
    Json,
    note,
    progress,
    say,
    say_error,
    say_json,
)  # fmt: skip

Port = Annotated[int | None, typer.Option(help="TCP port; default from the settings.")]


def serve(port: Port = None, json: Json = False) -> None:
    """Run the service, on loopback only: there are no keys yet."""
    from app.cli.serving import serve as serve_settings  # noqa: PLC0415 - only this command serves

    settings = read_settings() if port is None else read_settings(port=port)

    def announce(port: int) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{port}"
        if json:
            say_json({"address": address, "state_dir": str(settings.state_dir)})
        note(f"Whyledger at {address}, on loopback only: nobody outside this machine reaches it.")

    serve_settings(settings, announce)


def replay(json: Json = False) -> None:
    """Fold the ledger again, compare the read models' digests, check the registry's aliases."""
    settings = read_settings()
    with opened(settings) as ledger, progress("replaying", unit="entries") as advance:
        found = replay_ledger(ledger, settings, advance)
    if json:
        say_json(
            {
                "entries": found.entries,
                "root": found.root,
                "equal": found.whole,
                "digests": found.digests,
                "differing": list(found.differing),
                "aliases": list(found.aliases),
            }
        )
    else:
        say(f"{found.entries} entries, root {found.root}")
        say(f"{len(found.digests) - len(found.differing)} of {len(found.digests)} digests equal")
    for name in found.differing:
        say_error(
            CommandRefused(f"read model {name!r} did not follow from the ledger; it does now.")
        )
    for sentence in found.aliases:
        say_error(CommandRefused(sentence))
    if not found.whole:
        raise typer.Exit(Exit.INTEGRITY)


def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Stay up at the end.")] = True,
    until: Annotated[int, typer.Option(min=1975, max=1990, help="The last year told.")] = 1990,
    port: Port = None,
    json: Json = False,
) -> None:
    """Twenty years of real cars through the running service."""
    from app.cli.demo import run_demo  # noqa: PLC0415 - only this command tells the story
    from app.cli.demo_process import DemoFailed  # noqa: PLC0415

    settings = read_settings()
    chosen = settings.port if port is None else port
    try:
        run_demo(
            state_dir=settings.state_dir,
            port=chosen,
            serve=serve,
            until=until,
            console=ERR if json else OUT,
        )
    except DemoFailed as error:
        raise CommandRefused(str(error)) from error
    if json:
        say_json({"finished": True})
