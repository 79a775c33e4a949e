"""`adopt`, `state`, `rollback`: what a model is, who serves, and how it stands."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.audit.change import NOTHING_DECIDED, happened_last
from app.audit.damage_words import damage_words
from app.audit.decision import decisions
from app.audit.health import Health, current_health
from app.audit.model import model_told
from app.audit.setting_aside import not_counted
from app.audit.templates import moment
from app.cli.opening import Url, opened, read_settings, typed
from app.cli.remote import Service
from app.cli.terminal import CommandRefused, Exit, Json, note, say, say_error, say_json, say_table
from app.clock import now
from app.cycle.promotions import roll_back
from app.intake.adoption import adopt_contract, adopt_policy
from app.intake.documents import parse_document
from app.ledger.store import Ledger
from app.projections.models import list_models
from app.projections.putting_right import raised
from app.serving.champions import Champions
from app.settings import Settings
from app.training.registry_alias import follow_champion
from domain.errors import DocumentInvalid, LedgerDamaged, UnknownModel, WhyledgerError

_POLICY_FORMATS: Final = "whyledger.policy/"
_POLICY_KEYS: Final = frozenset({"clauses", "when"})  # of format 1, of format 2


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


def state(
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    json: Json = False,
) -> None:
    """Say who serves, since when, how healthy, and what was decided last. Exit 3: damage."""
    settings = read_settings()
    with opened(settings) as ledger:
        document = _state(ledger, settings, model)
        damage, accepted = damage_words(ledger)
    if json:
        say_json({**document, "damage": damage, "damage_accepted": accepted})
    else:
        _say_state(document)
        if accepted:
            note(f"damage: {accepted}")
    if damage:
        say_error(LedgerDamaged(damage))
        raise typer.Exit(Exit.INTEGRITY)


def _say_state(document: dict[str, Any]) -> None:
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
                moment(one["champion_since"]) if one["champion_since"] else "",
                one["cycles"],
                one["trainings"],
                one["promotions"],
                one["headline"] or NOTHING_DECIDED,
                ". ".join(
                    filter(None, (one["sentence"] or NOTHING_DECIDED, one["decision_set_aside"]))
                ),
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
            note(f"{one['model']}: {not_counted(one['set_aside'])}")
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
    """Whether it is a contract or a policy, by what only one of them has; and its bytes."""
    content = file.read_bytes()
    document = parse_document(content, name=str(file))
    if "contract" in document:
        return "contract", content
    # A contract has a key `policy` too, which names the one that decides for it.
    named = str(document.get("policy", "")).startswith(_POLICY_FORMATS)
    if named or not _POLICY_KEYS.isdisjoint(document):
        return "policy", content
    raise DocumentInvalid(
        f"{file} is neither a contract (no key `contract`) nor a policy (no key `clauses`, and no "
        "key `when` as in format 2). Add the one that it is."
    )


def _adopt(ledger: Ledger, kind: str, content: bytes) -> dict[str, object]:
    if kind == "contract":
        entry, contract, _ = adopt_contract(ledger, content, typed())
        name, digest = contract.model, contract.contract_digest
    else:
        entry, policy, _ = adopt_policy(ledger, content, typed())
        name, digest = policy.policy, policy.policy_digest
    return {"name": name, "digest": digest, "position": entry.position}


def _state(ledger: Ledger, settings: Settings, only: str | None) -> dict[str, Any]:
    moment = now()
    champions = Champions(
        ledger, settings.champion_poll_seconds, settings.clock_skew_seconds_max, raised
    )
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
            told = model_told(view, health.counts)
            decision = next(iter(decisions(connection, model=view.model, limit=1)), None)
            models.append(
                {
                    **{name: value for name, value in asdict(told).items() if name != "contract"},
                    "health": health.state,
                    "health_sentence": health.sentence,
                    "reasons": health.reasons,
                    "value": _value(health),
                    "headline": happened_last(connection, view.model),
                    "sentence": decision.sentence if decision else None,
                    "decision": decision.id if decision else None,
                    "decision_set_aside": decision.set_aside if decision else "",
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
