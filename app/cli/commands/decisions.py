"""`decisions`, `why`, `changes`, `export`: what was decided or changed, and why."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import to_builtins

from app.audit.change import changes as changed
from app.audit.decision import decision
from app.audit.decision import decisions as told
from app.audit.decision_filters import check_model, check_outcome
from app.audit.templates import moment
from app.cli.commands.integrity import write_bundle
from app.cli.cycle_tables import say_cycle
from app.cli.opening import a_time, looked_at_read_models, opened, read_settings
from app.cli.terminal import ArgumentInvalid, Json, note, progress, say, say_json, say_table
from app.database.durable_files import file_aside
from app.projections.cycles import get_cycle
from app.reports.export import export_csv, export_html, export_jsonl
from app.web.pages import stylesheet
from domain.errors import RequestInvalid

Model = Annotated[str | None, typer.Option(help="Only this model.")]
Outcome = Annotated[str | None, typer.Option(help="Only this outcome.")]
Since = Annotated[str | None, typer.Option(help="as_of from this time on.")]
Until = Annotated[str | None, typer.Option(help="as_of before this time.")]


class Format(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    CSV = "csv"
    HTML = "html"


_EXPORTS: Final[Mapping[Format, Callable[..., Iterator[str]]]] = {
    Format.JSONL: export_jsonl,
    Format.CSV: export_csv,
    Format.HTML: partial(export_html, stylesheet=stylesheet()),
}


def decisions(
    model: Model = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most this many.")] = 50,
    json: Json = False,
) -> None:
    """List decisions, newest first."""
    start, end = a_time(since, "--since"), a_time(until, "--until")
    _check_outcome(outcome)
    with opened(read_settings()) as ledger, ledger.connect() as connection:
        check_model(connection, model)
        found = told(connection, model=model, outcome=outcome, since=start, until=end, limit=limit)
    if json:
        say_json({"decisions": [to_builtins(each) for each in found]})
        return
    say_table(
        ("as of", "model", "outcome", "id", "headline", "verdict"),
        [(d.as_of[:10], d.model, d.outcome, d.id, d.headline, d.sentence) for d in found],
        wrapped=("headline", "verdict"),
    )


def changes(
    model: Annotated[
        str | None, typer.Option(help="Only this model's, and policies, which no model owns.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most this many.")] = 50,
    json: Json = False,
) -> None:
    """List everything that changed what serves or how it is judged, newest first."""
    with opened(read_settings()) as ledger, ledger.connect() as connection:
        check_model(connection, model)
        found = changed(connection, model=model, limit=limit)
    if json:
        say_json({"changes": [asdict(each) for each in found]})
        return
    say_table(
        ("position", "occurred", "recorded", "kind", "model", "by", "sentence", "headline"),
        [
            (c.position, moment(c.occurred_at), moment(c.recorded_at), c.kind, c.model or "",
             c.actor, c.sentence, c.headline)
            for c in found
        ],
        wrapped=("sentence", "headline"),
    )  # fmt: skip


def why(
    id: Annotated[str, typer.Argument(help="A decision's id, as `decisions` lists it.")],
    json: Json = False,
) -> None:
    """Say why one decision came out as it did, and what came of it."""
    with opened(read_settings()) as ledger, ledger.connect() as connection:
        told = decision(connection, id)
        steps = get_cycle(connection, told.cycle).state
    if json:
        say_json({**to_builtins(told), "steps": steps})
        return
    say_cycle(told)
    say(f"decided at position {told.position}")


def export(  # noqa: PLR0913, PLR0917 one an option
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.JSONL,
    output: Annotated[Path | None, typer.Option(help="A file; without it, stdout.")] = None,
    model: Model = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
    bundle: Annotated[
        Path | None, typer.Option(help="A new folder or .zip: the whole ledger, checkable offline.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="With --bundle: the verifier key; default: the signing key's.")
    ] = "",
    json: Json = False,
) -> None:
    """Export every change, or with `--bundle` the ledger. `--json` means `--format jsonl`.

    The ledger is only looked at: nothing is written into it, migrated or folded.
    """
    if bundle is not None:
        write_bundle(bundle, json, key)
        return
    write = _EXPORTS[Format.JSONL if json else format]
    start, end = a_time(since, "--since"), a_time(until, "--until")
    _check_outcome(outcome)
    with looked_at_read_models(read_settings()) as ledger:
        with ledger.connect() as connection:
            check_model(connection, model)
        pieces = write(ledger, model=model, outcome=outcome, since=start, until=end)
        if output is None:
            sys.stdout.writelines(pieces)
            return
        with (
            progress("exporting", unit="pieces") as advance,
            file_aside(output) as file,
        ):
            for done, piece in enumerate(pieces, start=1):
                file.write(piece.encode())
                advance(done)
    note(f"written to {output}")


def _check_outcome(outcome: str | None) -> None:
    try:
        check_outcome(outcome)
    except RequestInvalid as refusal:
        raise ArgumentInvalid(f"--{refusal.message}") from None
