"""`import`: labelled rows go in, and what became of each is said."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from app.cli.opening import Url, opened, read_settings, typed
from app.cli.remote import Service
from app.cli.terminal import (
    Advance,
    CommandRefused,
    Exit,
    Json,
    code_of,
    note,
    progress,
    say,
    say_json,
)
from app.cli.uploading import Upload as CsvUpload
from app.cli.uploading import pieces
from app.cycle.next_cycle import next_cycle
from app.intake.datasets import Datasets, Upload
from app.projections.putting_right import raised
from app.serving.champions import Champions
from app.settings import Settings
from domain.errors import DocumentInvalid, WhyledgerError

_ALSO: Final = {
    "labelled_predictions": "rows that label a prediction",
    "corrections": "rows that are corrections, labelled otherwise before",
    "repeated_keys": "rows that several lines of the file name, of which the last holds",
}
_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


def import_rows(
    model: Annotated[str, typer.Argument(help="The model whose labelled rows they are.")],
    file: _File,
    url: Url = "",
    json: Json = False,
) -> None:
    """Import a CSV of labelled rows. Bad rows go to quarantine, with line and reason.

    20: no row of the file is recorded, by this or by an earlier import.
    """
    try:
        answer = _import(model, file, url)
    except WhyledgerError as error:
        # A header that does not fit is a matter of the file; 4 is for contracts and policies.
        if code_of(error) != DocumentInvalid.code:
            raise
        raise CommandRefused(error.message, error.faults) from None
    if json:
        say_json(answer)
    else:
        say(
            f"{answer['accepted']} rows accepted, {answer['already_known']} already known, "
            f"{answer['quarantined']} quarantined"
        )
        for name, words in _ALSO.items():
            if answer[name]:
                note(f"{words}: {answer[name]}")
    if answer["quarantined"] and not json:
        note(f"quarantine/{answer['quarantine_file']} in the state directory names each bad row:")
        for fault in answer["faults"]:
            note(f"  {fault['path']}: {fault['message']}")
    if not json:
        note(answer["next_cycle"])
    if not answer["accepted"] + answer["already_known"]:
        raise typer.Exit(Exit.UNDECIDED)


def _import(model: str, file: Path, url: str) -> dict[str, Any]:
    size = file.stat().st_size
    with progress(f"importing {file.name}", size, unit="bytes") as advance, file.open("rb") as rows:
        if not url:
            return _take_in(read_settings(), model, rows, advance)
        with Service(url) as service:
            upload = CsvUpload(service, f"/models/{model}/datasets")
            return upload.run(rows, "text/csv", advance)


def _take_in(settings: Settings, model: str, rows: IO[bytes], advance: Advance) -> dict[str, Any]:
    with opened(settings) as ledger:
        champions = Champions(
            ledger, settings.champion_poll_seconds, settings.clock_skew_seconds_max, raised
        )
        champions.refresh()
        serving = champions.of(model)
        says = partial(next_cycle, ledger, skew_seconds=settings.clock_skew_seconds_max)
        datasets = Datasets(ledger, settings, says)
        digest = hashlib.sha256()
        with datasets.new_file() as copy:
            for piece in pieces(rows, advance):
                digest.update(piece)
                copy.write(piece)
            advance(0, said="recording")
            upload = Upload(copy, digest.hexdigest())
            return asdict(datasets.take_in(serving, upload, cause=typed()))
