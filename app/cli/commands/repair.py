"""`repair`: derive again what follows from the entries, and say what was done."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.opening import looked_at, opened, read_settings
from app.cli.terminal import Exit, Json, note, say, say_json
from app.proof import repair as repairing
from app.proof.signer import FileSigner


def repair(
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be done; change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Re-derive head and tiles; remove what nobody signed or names; make dropped guards again."""
    settings = read_settings()
    key = last = None
    try:
        settings.signing_key_path.stat()
        signer = FileSigner(settings.signing_key_path, None)
        key, last = signer.key, signer.last()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except PermissionError:
        if not plan:
            raise
        note("the signing key may not be read by this user: no checkpoint is judged")
    if plan:
        with looked_at(settings) as ledger:
            found = repairing.plan_repair(ledger, key, last)
    else:
        with opened(settings, begin=False) as ledger:
            found = repairing.repair(ledger, key, last)
    if json:
        say_json(
            {
                "planned" if plan else "done": list(found.steps),
                "entries": found.entries,
                "root": found.root,
                "damaged": [each.said for each in found.damaged],
            }
        )
    else:
        _say(found, plan)
    if found.damaged:
        raise typer.Exit(Exit.INTEGRITY)


def _say(found: repairing.Repair, plan: bool) -> None:
    for step in found.steps:
        say(f"{'would' if plan else 'done'}: {step}")
    for each in found.damaged:
        note(f"no repair mends this: {each.said}")
    if not found.steps:
        say(
            "nothing to repair: head, tiles and checkpoints follow from the entries and the key, "
            "and triggers are as the migrations made them"
        )
    elif not plan:
        note(f"{found.entries} entries, root {found.root}; run `whyledger verify` now")
