"""`whyledger whatif`: what other policies would have come to over a model's years."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.audit.whatif import (
    BEGIN,
    CYCLE_HEADINGS,
    END,
    HEADINGS,
    around_table,
    comparison,
    table_block,
)
from app.cli.opening import opened, read_settings
from app.cli.terminal import CommandRefused, Json, note, progress, say, say_json, say_table
from app.cycle.whatif_runs import Run, what_ifs
from app.database.durable_files import file_aside
from app.intake.documents import parse_document
from app.ledger.store import Connection, Ledger
from app.projections.models import get_model, list_models
from app.projections.policies import get_policy, get_policy_document
from domain.errors import UnknownModel
from rules.policy import parse_policy

_SHIPPED: Final = Path(__file__).parents[3] / "rules" / "policies"
_CYCLES_MIN: Final = 2  # the first trains under any policy
_ALL: Final = "all"


def whatif(
    policy: Annotated[
        list[str],
        typer.Option(
            help="A policy's file, its id (adopted or shipped), or 'all': every shipped one. "
            "May be given several times.",
        ),
    ],
    model: Annotated[
        list[str] | None, typer.Option(help="Only this model; default every model.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="A page whose table, between its two marks, is written anew."),
    ] = None,
    json: Json = False,
) -> None:
    """Live the models' cycles again under other policies, in scratch ledgers, and compare.

    Rows come in as they did; training and gates run anew. The ledger is only read.
    """
    settings = read_settings()
    around = None if into is None else _around(into)  # refused before anything is trained
    with opened(settings) as ledger:
        documents = [document for name in policy for document in _policies(ledger, name)]
        runs = [
            Run(name, document, cycles)
            for name, cycles in _models(ledger, model)
            for document in documents
        ]
    if into is not None and all(run.cycles < _CYCLES_MIN for run in runs):
        raise CommandRefused(
            f"--into: no model of this ledger has {_CYCLES_MIN} cycles, so that no policy could "
            f"have retrained, and {into} would lose its table for nothing. Name a ledger with a "
            "history."
        )
    total = sum(run.cycles for run in runs)
    with progress("living the cycles again", total, unit="cycles") as advance:
        found = what_ifs(settings, runs, advance)
    if into is not None and around is not None:
        with file_aside(into) as file:
            file.write(table_block(found).join(around).encode())
        note(f"the table of {into} is written")
    if json:
        say_json([each.to_document() for each in found])
        return
    if len(documents) == 1:
        for each in found:
            say(each.sentence)
            say_table(CYCLE_HEADINGS, each.lines())
    say_table(HEADINGS, comparison(found))
    for each in found:
        for said in each.notes:
            note(said)


def _around(path: Path) -> tuple[str, str]:
    """What stands around the table of the page."""
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandRefused(f"--into: {path} cannot be read: {error}. Name a page.") from None
    around = around_table(page)
    if around is None:
        raise CommandRefused(
            f"--into: {path} has no place for the table. Put {BEGIN} and, on a later line, {END} "
            "where it shall stand."
        )
    return around


def _policies(ledger: Ledger, name: str) -> list[dict[str, Any]]:
    """The documents that `name` stands for, each of them a policy."""
    if name == _ALL:
        paths = sorted(_SHIPPED.glob("*.yaml"), key=lambda path: path.stem)
        return [_read(path) for path in paths]
    path = Path(name)
    if path.is_file():
        return [_read(path)]
    with ledger.connect() as connection:
        adopted = _adopted(connection, name)
    if adopted is not None:
        return [adopted]
    shipped = {path.stem: path for path in _SHIPPED.glob("*.yaml")}
    if name not in shipped:
        known = ", ".join(sorted(shipped))
        raise CommandRefused(
            f"{name[:100]!r} is neither a file nor a policy that was adopted or is shipped "
            f"({known}). Name one of those, or a policy's file."
        )
    return [_read(shipped[name])]


def _read(path: Path) -> dict[str, Any]:
    document = parse_document(path.read_bytes(), name=path.name)
    parse_policy(document)  # refused before anything is trained
    return document


def _adopted(connection: Connection, policy: str) -> dict[str, Any] | None:
    view = get_policy(connection, policy)
    return None if view is None else get_policy_document(connection, view.digest)


def _models(ledger: Ledger, named: list[str] | None) -> list[tuple[str, int]]:
    """The models asked for, with how many cycles each has."""
    with ledger.connect() as connection:
        if not named:
            return [(view.model, view.cycles_started) for view in list_models(connection)]
        views = [(name, get_model(connection, name)) for name in named]
    for name, view in views:
        if view is None:
            raise UnknownModel.named(name)
    return [(name, view.cycles_started) for name, view in views if view is not None]
