"""`repair`: derive again what follows from the entries, and say what was done."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.opening import opened, read_settings
from app.cli.terminal import Json, note, say, say_json
from app.proof import repair as repairing
from app.proof.signer import FileSigner


def repair(
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be done; change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Re-derive the tree's head and tiles from the entries; remove what nobody signed or names."""
    settings = read_settings()
    key = last = None
    if settings.signing_key_path.exists():
        signer = FileSigner(settings.signing_key_path, None)
        key, last = signer.key, signer.last()
    with opened(settings, begin=False) as ledger:
        do = repairing.plan_repair if plan else repairing.repair
        found = do(ledger, key, last)
    if json:
        say_json(
            {
                "planned" if plan else "done": list(found.steps),
                "entries": found.entries,
                "root": found.root,
            }
        )
        return
    for step in found.steps:
        say(f"{'would' if plan else 'done'}: {step}")
    if not found.steps:
        say("nothing to repair: head, tiles and checkpoints follow from the entries and the key")
    elif not plan:
        note(f"{found.entries} entries, root {found.root}; run `whyledger verify` now")
