"""`adopt`, `import`, `state`, `rollback`: what a model is, what it knows, who serves."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated, Any, Final

import orjson
import typer

from app.audit.change import happened_last
from app.audit.health import Health, current_health
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
    say_table,
)
from app.cli.uploading import Upload as CsvUpload
from app.cli.uploading import pieces
from app.clock import now
from app.cycle.promotions import roll_back
from app.intake.adoption import adopt_contract, adopt_policy
from app.intake.datasets import Datasets, Upload
from app.intake.documents import parse_document
from app.ledger.store import Ledger
from app.projections.decisions import list_decisions
from app.projections.models import list_models
from app.serving.champions import Champions
from app.settings import Settings
from app.training.registry_alias import follow_champion
from domain.errors import DocumentInvalid, UnknownModel, WhyledgerError

_ALSO: Final = {
    "labelled_predictions": "of them label a prediction",
    "corrections": "of them are corrections: their row was labelled otherwise before",
    "repeated_keys": "lines name a row that an earlier line of the file names; the last one holds",
}
_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


def adopt(
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="Contracts and policies, YAML or JSON."
        ),
    ],
    url: Url = "",
    json: Json = False,
) -> None:
    """Adopt contracts and policies. Adopting what is in force changes nothing."""
    # Every file is read and told apart before the first is adopted.
    documents = [(file, *_document(file)) for file in files]
    answers: list[dict[str, object]] = []
    if url:
        with Service(url) as service:
            for file, kind, content in documents:
                path = "/contracts" if kind == "contract" else "/policies"
                answer = service.send(path, content, "application/yaml")
                answers.append({"file": str(file), "kind": kind, **answer})
    else:
        with opened(read_settings(), make=True) as ledger:
            for file, kind, content in documents:
                answers.append({"file": str(file), "kind": kind, **_adopt(ledger, kind, content)})
    if json:
        say_json({"adopted": answers})
        return
    for answer in answers:
        say(
            f"{answer['kind']} {answer['name']} is in force (position {answer['position']}, "
            f"digest {str(answer['digest'])[:12]}…)"
        )


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
                note(f"{answer[name]} {words}")
    if answer["quarantined"] and not json:
        note(f"quarantine/{answer['quarantine_file']} in the state directory names each bad row:")
        for fault in answer["faults"]:
            note(f"  {fault['path']}: {fault['message']}")
    if not json:
        note(answer["next_cycle"])
    if not answer["accepted"] + answer["already_known"]:
        raise typer.Exit(Exit.UNDECIDED)


def state(
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    json: Json = False,
) -> None:
    """Say who serves, since when, how healthy, and what was decided last."""
    settings = read_settings()
    with opened(settings) as ledger:
        document = _state(ledger, settings, model)
    if json:
        say_json(document)
        return
    say_table(
        (
            "model",
            "health",
            "champion",
            "since",
            "cycles",
            "trainings",
            "promoted",
            "what happened last",
            "last verdict",
        ),
        [
            (
                one["model"],
                one["health"],
                one["champion"] or "nobody",
                (one["champion_since"] or "")[:16],
                one["cycles"],
                one["trainings"],
                one["promotions"],
                one["headline"] or "nothing yet",
                one["sentence"] or "nothing was decided yet",
            )
            for one in document["models"]
        ],
        wrapped=("what happened last", "last verdict"),
    )
    for one in document["models"]:
        if one["reasons"]:
            note(one["health_sentence"])
        for sentence in one["value"]:
            note(sentence)
        if one["set_aside"]:
            note(f"{one['model']}: cycles set aside, and not counted: {one['set_aside']}")
    note(f"ledger {document['ledger']['id']}: {document['ledger']['entries']} entries")


def rollback(
    model: Annotated[str, typer.Argument(help="The model.")],
    to: Annotated[str, typer.Option(help="An earlier champion, like car-price/6.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    url: Url = "",
    json: Json = False,
) -> None:
    """Let an earlier champion serve again. History stays."""
    if not reason.strip():
        raise CommandRefused("--reason is empty; say why, it is recorded.")
    if url:
        with Service(url) as service:
            answer = service.post(f"/models/{model}/rollbacks", {"to": to, "reason": reason})
    else:
        settings = read_settings()
        with opened(settings) as ledger:
            entry = roll_back(ledger, model, to=to, reason=reason, cause=typed())
            answer = {"model": model, "model_version": to, "position": entry.position}
            _follow(ledger, settings, model)
    if json:
        say_json(answer)
    else:
        say(f"{answer['model_version']} serves {model} again (position {answer['position']})")


def _document(file: Path) -> tuple[str, bytes]:
    """Whether it is a contract or a policy, by the keys only one of them has; and its bytes."""
    content = file.read_bytes()
    document = parse_document(content, name=str(file))
    if "contract" in document:
        return "contract", content
    if "clauses" in document:
        return "policy", content
    raise DocumentInvalid(
        f"{file} is neither a contract (no key `contract`) nor a policy (no key `clauses`). "
        "Add the one that it is."
    )


def _adopt(ledger: Ledger, kind: str, content: bytes) -> dict[str, object]:
    if kind == "contract":
        entry, contract, _ = adopt_contract(ledger, content, typed())
        name, digest = contract.model, contract.contract_digest
    else:
        entry, policy, _ = adopt_policy(ledger, content, typed())
        name, digest = policy.policy, policy.policy_digest
    return {"name": name, "digest": digest, "position": entry.position}


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
            ledger, settings.champion_poll_seconds, settings.clock_skew_seconds_max
        )
        champions.refresh()
        serving = champions.of(model)
        datasets = Datasets(ledger, settings)
        digest = hashlib.sha256()
        with datasets.new_file() as copy:
            for piece in pieces(rows, advance):
                digest.update(piece)
                copy.write(piece)
            advance(0, said="recording")
            upload = Upload(copy, digest.hexdigest())
            return asdict(datasets.take_in(serving, upload, cause=typed()))


def _state(ledger: Ledger, settings: Settings, only: str | None) -> dict[str, Any]:
    moment = now()
    champions = Champions(ledger, settings.champion_poll_seconds, settings.clock_skew_seconds_max)
    champions.refresh()  # whether a champion loads is part of how its model stands
    alarms = champions.alarms()
    with ledger.connect() as connection:
        models = []
        for view in list_models(connection):
            if only not in (None, view.model):
                continue
            health = current_health(
                connection,
                view,
                moment,
                alarm=alarms.get(view.model),
                clock_skew_seconds_max=settings.clock_skew_seconds_max,
            )
            decision = next(iter(list_decisions(connection, model=view.model, limit=1)), None)
            models.append(
                {
                    **{name: value for name, value in asdict(view).items() if name != "contract"},
                    **asdict(health.counts),
                    "title": orjson.loads(view.contract)["title"],
                    "health": health.state,
                    "health_sentence": health.sentence,
                    "reasons": health.reasons,
                    "value": _value(health),
                    "cycles": view.cycles_ended,
                    "headline": happened_last(connection, view.model),
                    "sentence": decision.sentence if decision else None,
                    "decision": decision.id if decision else None,
                }
            )
    if only is not None and not models:
        raise UnknownModel.named(only)
    return {
        "ledger": {"id": ledger.ledger_id(), "entries": ledger.size()},
        "models": models,
    }


def _value(health: Health) -> list[str]:
    """What who serves is worth so far, and all champions together; nothing before any was."""
    told = health.value
    if told.value is None:
        return []
    return [f"{health.model}: {told.reigns[-1].sentence}", f"{health.model}: {told.sentence}"]


def _follow(ledger: Ledger, settings: Settings, model: str) -> None:
    """Move the registry's alias; the rollback stands whether or not that works."""
    try:
        follow_champion(ledger, settings, model)
    except WhyledgerError as error:
        note(f"the registry's alias was not moved: {error.message}")
