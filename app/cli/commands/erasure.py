"""`erase`: everything that is kept about one row of a person."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.opening import opened, read_settings, typed
from app.cli.terminal import Exit, Json, note, say, say_error, say_json
from app.intake.erasure import Erasure
from app.intake.erasure import erase as erase_row
from domain.errors import LedgerBusy, LedgerDamaged
from domain.events.events import PayloadErased

_OUT_OF_REACH = (
    "Back-ups, exports, bundles and copies of files are out of reach: erase there as well."
)


def erase(
    model: Annotated[str, typer.Argument(help="The model whose row it is.")],
    identity: Annotated[
        str, typer.Option(help="The row's key as events name it: 'year=1976|car_id=129'.")
    ],
    reason: Annotated[
        str, typer.Option(help="Why; it is recorded for ever, so name nobody in it.")
    ],
    legal_basis: Annotated[str, typer.Option(help="What obliges or allows it: 'GDPR Art. 17'.")],
    json: Json = False,
) -> None:
    """Erase a person's row: data, salts, read models, merged files, MLflow and DVC copies."""
    settings = read_settings()
    with opened(settings) as ledger:
        found = erase_row(
            ledger,
            settings,
            model=model,
            identity=identity,
            reason=reason,
            legal_basis=legal_basis,
            cause=typed(),
        )
    if json:
        say_json(_as_json(found))
    else:
        for line in _lines(found):
            say(line)
    if found.beyond:
        note(
            f"entries {_listed(found.beyond)} hold the row in hashed bytes, from before the "
            "contract called anything personal: nobody can erase those."
        )
    note(_OUT_OF_REACH)
    if found.left:
        say_error(LedgerBusy(f"{found.left}."))
    if found.unread:
        say_error(LedgerDamaged(_unread(found.unread)))
    if found.planted:
        say_error(LedgerDamaged(found.planted))
    if found.unread or found.planted:
        raise typer.Exit(Exit.INTEGRITY)
    if found.left:
        raise typer.Exit(Exit.UNDECIDED)


def _unread(positions: tuple[int, ...]) -> str:
    return (
        f"the rows of entries {_listed(positions)} are not as written, so the row may still stand "
        "there. Restore a back-up and compare, then erase again."
    )


def _lines(found: Erasure) -> list[str]:
    event = found.event
    if event is None:
        lines = ["nothing that can be erased is kept under this key"]
    else:
        lines = [
            f"erased {_events(event)}, recorded as entry {found.position}",
            f"artefacts erased: {len(event.artefacts)}",
            f"merged data erased of cycles: {', '.join(event.cycles) or 'none'}",
            f"can no longer be rebuilt: {', '.join(event.model_versions) or 'none'}",
        ]
    lines.append(f"files deleted: {found.files}; MLflow runs emptied: {found.runs}")
    if found.champion:
        lines.append(f"{found.champion} goes on serving: its plan holds parameters, no rows")
    if found.reference_erased:
        lines.append(
            "its frozen reference is gone, so its next cycle halts; "
            f"force a retraining: whyledger cycle --model {event.model if event else 'MODEL'} "
            "--force REASON"
        )
    return lines


def _events(event: PayloadErased) -> str:
    """How many, and how they stood."""
    alone, among_others = len(event.entries), len(event.rows)
    if not among_others:
        return f"{alone} events"
    return f"{alone + among_others} events ({among_others} of them rows of entries of many)"


def _as_json(found: Erasure) -> dict[str, object]:
    event = found.event
    return {
        "position": found.position,
        "entries": list(event.entries) if event else [],
        "rows": [{"position": e.position, "row": e.row} for e in event.rows] if event else [],
        "artefacts": list(event.artefacts) if event else [],
        "cycles": list(event.cycles) if event else [],
        "cannot_be_rebuilt": list(event.model_versions) if event else [],
        "files_deleted": found.files,
        "runs_emptied": found.runs,
        "champion_goes_on": found.champion,
        "reference_erased": found.reference_erased,
        "beyond_reach": list(found.beyond),
        "unread": list(found.unread),
        "left_to_do": found.left,
        "damage": found.planted,
        "out_of_reach": _OUT_OF_REACH,
    }


def _listed(positions: tuple[int, ...]) -> str:
    shown = ", ".join(str(position) for position in positions[:10])
    return f"{shown}, …" if len(positions) > 10 else shown  # noqa: PLR2004 one line
