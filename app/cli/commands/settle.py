"""`settle`: go on although something stored is not what was written."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.opening import opened_unfolded, read_settings, typed
from app.cli.terminal import Json, note, say, say_json
from app.ledger.damage import settle_known
from app.ledger.known_damage import known_damage
from domain.decisions.damage import SettleDamage, standing


def settle(
    reason: Annotated[str, typer.Option(help="Why; it is recorded for ever, with who said so.")],
    json: Json = False,
) -> None:
    """Let cycles promote and checkpoints be signed again, although damage was found.

    What a damaged entry said is given up: read models folded anew, and decisions, go without it.
    """
    command = SettleDamage(how="accepted", reason=reason)
    with opened_unfolded(read_settings()) as ledger:
        with ledger.snapshot() as connection:
            found = {each.position: each.found for each in standing(known_damage(connection))}
        accepted = settle_known(ledger, command, typed())
    said = [found[each].said for each in accepted if each in found]
    if json:
        say_json({"accepted": list(accepted), "said": said})
        return
    for each in said:
        say(f"accepted: {each}")
    note("it stays an alarm until a verification is clean; other damage stops everything again")
