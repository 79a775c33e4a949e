"""`verify`, and what `export --bundle` writes: the ledger for somebody who trusts nobody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.opening import looked_at, opened, read_settings, typed
from app.cli.terminal import CommandRefused, Exit, Json, note, progress, say, say_error, say_json
from app.database.migrating import CannotJudge
from app.proof.bundle import export_bundle
from app.proof.retained import read_retained
from app.proof.verification_recorded import Came, record_verification
from app.proof.verify.breaks import Break
from app.proof.verify.verification import Verified
from app.proof.verify.verification import verify as verify_ledger
from domain.errors import LedgerDamaged, SigningRefused
from domain.tree.notes import VerifierKey

_SHOWN = 10  # breaks on the terminal; the first is what matters


def verify(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A file with signed checkpoints that were kept elsewhere; repeatable."),
    ] = None,
    key: Annotated[
        str, typer.Option(help="The verifier key; default: that of the signing key's file.")
    ] = "",
    read_models: Annotated[
        bool, typer.Option(help="Fold all entries anew and compare the read models too.")
    ] = True,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Let the ledger say what came of it: damage stops deciding; its end ends that.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Hash everything again and compare it with what was signed. Exit 3 names the first break."""
    settings = read_settings()
    kept = read_retained(settings.signing_key_path, checkpoint or (), key)
    if record and kept.key is None:
        raise CommandRefused(
            "--record needs a key, for without one nothing is proven: name the verifier key with "
            "--key, or the signing key's file in WHYLEDGER_SIGNING_KEY."
        )
    with looked_at(settings) as ledger, progress("verifying", unit="entries") as advance:
        found = verify_ledger(
            ledger,
            kept.key,
            retained=kept.notes,
            remembered=kept.leaves,
            read_models=read_models,
            progress=advance,
        )
    if json:
        say_json({**_as_json(found), "memory": kept.fault or None})
    else:
        _say(found)
    if kept.unread:
        note(kept.unread)
    for sentence in _told(found.breaks)[:_SHOWN]:
        say_error(LedgerDamaged(sentence))
    if kept.fault:
        say_error(SigningRefused(kept.fault))
    if record and kept.fault and found.sound:
        note("nothing is recorded: what was signed last cannot be compared")
    elif record:
        with opened(settings, begin=False) as ledger:
            came = record_verification(ledger, found, typed())
        note(_recorded(found, came))
        if came.unproven:
            note(came.unproven)
    if not found.whole or kept.fault:
        raise typer.Exit(Exit.INTEGRITY)


def _recorded(found: Verified, came: Came) -> str:
    if not found.sound:
        return "recorded: no cycle promotes and nothing is signed until that is settled"
    if came.settled:
        return f"recorded: what entries {', '.join(map(str, came.settled))} said was found is gone"
    return "nothing to record" + ("" if came.unproven else ": no damage is known")


def write_bundle(target: Path, json: bool, key: str = "") -> None:
    """Export the whole ledger to `target`, a new folder or .zip file, and say how to check it.

    Raises:
        CannotJudge: the signing key's file may not be read, and no verifier `key` is named.
    """
    settings = read_settings()
    kept = read_retained(settings.signing_key_path, key=key)
    if kept.unread:
        raise CannotJudge(f"whose checkpoints to export cannot be judged: {kept.unread}")
    if kept.fault:
        note(kept.fault)
    with looked_at(settings) as ledger, progress("exporting", unit="entries") as advance:
        written = export_bundle(ledger, target, kept.key, retained=kept.notes, progress=advance)
    if json:
        say_json(
            {
                "bundle": str(target),
                "entries": written.entries,
                "root": written.root,
                "checkpoints": written.checkpoints,
                "artefacts": written.artefacts,
                "damage": written.damage,
                "verifier_key": None if kept.key is None else str(kept.key),
            }
        )
    else:
        say(f"{written.entries} entries, root {written.root}")
        _say_how(target, None if not written.checkpoints else kept.key)
    if written.damage is not None:
        said = f"{written.damage} The bundle holds it as it stands; run `whyledger verify`."
        say_error(LedgerDamaged(said))
        raise typer.Exit(Exit.INTEGRITY)


def _say_how(target: Path, key: VerifierKey | None) -> None:
    if key is None:
        note("nothing was signed yet: run the service once, and export again")
        return
    note(
        f"check it with: python app/proof/verify_bundle.py {target} --key '{key}' "
        "--checkpoint kept.note"
    )
    note("give the key and kept.note, a checkpoint, to the reader on another way than the bundle")


def _told(breaks: Sequence[Break]) -> list[str]:
    """One sentence for each break, and one for those that differ in what they are of alone."""
    alike: dict[tuple[str, str], list[Break]] = {}
    for each in breaks:
        alike.setdefault((each.expected, each.found), []).append(each)
    return [
        first.sentence() + (f" So it is with {len(others)} others." if others else "")
        for first, *others in alike.values()
    ]


def _say(found: Verified) -> None:
    say(f"entries      {found.entries}")
    if found.older_schema:
        note(found.older_schema)
    say(f"root         {found.root}")
    say(
        f"key          {found.key or 'none given and none kept here: no checkpoint can be checked'}"
    )
    say(f"checkpoints  {found.checkpoints}, proven up to {found.covered} entries")
    if found.read_models:
        say(f"read models  {found.read_models} equal what the entries give")
    if found.erased:
        say(f"erased       {found.erased} events have no data any more, as entries say")
    if found.erased_rows:
        say(f"erased rows  {found.erased_rows} rows of many in one entry are gone, as entries say")
    if found.unnamed:
        say(f"unnamed      {found.unnamed} artefacts that no entry names; nothing uses them")
    say(f"breaks       {len(found.breaks)}")
    if found.unproven:
        note(found.unproven)


def _as_json(found: Verified) -> dict[str, object]:
    return {
        "entries": found.entries,
        "schema": found.schema,
        "root": found.root,
        "key": found.key,
        "checkpoints": found.checkpoints,
        "covered": found.covered,
        "unproven": found.unproven,
        "read_models": found.read_models,
        "erased": found.erased,
        "erased_rows": found.erased_rows,
        "unnamed": found.unnamed,
        "whole": found.whole,
        "breaks": [each.as_json() for each in found.breaks],
    }
