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


def replay(
    anew: Annotated[
        bool, typer.Option("--anew", help="From the first entry on, also if one was cut off.")
    ] = False,
    json: Json = False,
) -> None:
    """Fold the ledger again, compare the read models' digests, check the registry's aliases."""
    settings = read_settings()
    with opened(settings) as ledger, progress("replaying", unit="entries") as advance:
        found = replay_ledger(ledger, settings, advance, anew=anew)
    if json:
        say_json(
            {
                "sentence": found.sentence,
                "entries": found.entries,
                "gone_on_behind": found.gone_on_behind,
                "root": found.root,
                "equal": found.whole,
                "digests": found.digests,
                "differing": list(found.differing),
                "aliases": list(found.aliases),
            }
        )
    else:
        say(found.sentence)
    for fault in found.faults:
        say_error(CommandRefused(fault))
    if not found.whole:
        raise typer.Exit(Exit.INTEGRITY)


def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Stay up at the end.")] = True,
    until: Annotated[int, typer.Option(min=1975, max=1990, help="The last year told.")] = 1990,
    port: Port = None,
    json: Json = False,
) -> None:
    """Twenty years of real cars through the running service."""
    # Only this command tells the story.
    from app.cli import demo as telling  # noqa: PLC0415
    from app.cli.demo_process import signals_unwind  # noqa: PLC0415

    settings = read_settings()
    console = ERR if json else OUT
    with (
        signals_unwind(),
        telling.demo(
            state_dir=settings.state_dir,
            port=settings.port if port is None else port,
            until=until,
            console=console,
        ) as story,
    ):
        if json:
            say_json(story)
        if serve:
            telling.stay(story.address, console)
