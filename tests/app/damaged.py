"""A ledger with everything in it, and what a hand with the database may edit in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import orjson
from sqlalchemy import select

from app.ledger.store import Ledger
from app.ledger.tables import ARTEFACTS, BLOCKS, PAYLOADS
from app.settings import Settings
from domain.canonical import canonical_bytes
from tests.app.car_ledger import document
from tests.app.http.routes.running import (
    AMC,
    adopt,
    observation,
    plan_bytes,
    predict,
    process_behind,
    promote,
    running,
    send,
)
from tests.app.many_rows import observations, put_many
from tests.app.people import owned
from tests.app.proof.forger import change
from tests.app.web.car_story import MODEL, car_story, record
from tests.ledger_events import put, refused

CONTRACT: Final = json.dumps(document("data", "contracts", "car-price.yaml") | owned()).encode()
FORGED: Final = "forged by hand"
SIZE: Final = 300  # a full tile and a right edge
OWNED: Final = AMC | {"owner": "Ada"}
CAR: Final = OWNED | {"car_id": 4, "price": 5.0}
CSV: Final = f"{','.join(CAR)}\n{','.join(map(str, CAR.values()))}\n"
POLICY: Final = document("rules", "policies", "strict-and.yaml") | {"version": 2}
KEY: Final = "year=1976|car_id=129"


def everything(ledger: Ledger, settings: Settings) -> dict[str, str]:
    """Cycles, champions, rows about people, an upload: what a path may name, by its parameter."""
    ledger.close()
    with running(settings) as client:
        ledger = process_behind(client).ledger
        record(ledger, car_story(1977))
        adopt(client, CONTRACT)
        promote(ledger, 4, plan_bytes(0.25, CONTRACT))
        promote(ledger, 5, plan_bytes(0.5, CONTRACT))
        process_behind(client).champions.refresh()
        predict(client, OWNED)
        assert send(client, observation("1", owner="Ada")).status_code == 201
        sent = client.post(
            f"/models/{MODEL}/datasets", content=CSV, headers={"Content-Type": "text/csv"}
        )
        assert sent.json()["accepted"] == 1, sent.text
        many = put_many(ledger, observations(1, 2))
        rest = SIZE - ledger.size()
        put(ledger, f"observations-{MODEL}", *[refused(n + 1, MODEL) for n in range(rest)])
        decisions = client.get("/audit/decisions").json()["decisions"]
        return {
            "model": MODEL,
            "cycle": f"{MODEL}-2",
            "decision": decisions[-1]["id"],
            "sha256": sent.json()["dataset_sha256"],
            "position": str(many.position),
        }


def edit_entries(ledger: Ledger) -> None:
    """Who acted, and every word of the data, in every entry."""
    contents = []
    for content in ledger.stored_bytes(0, SIZE - 1):
        envelope = orjson.loads(content)
        envelope["actor"] = FORGED
        if "data" in envelope:
            envelope["data"] = reworded(envelope["data"])
        contents.append(canonical_bytes(envelope))
    write(ledger, "entries", {f"position = {at}": each for at, each in enumerate(contents)})


def edit_payloads(ledger: Ledger) -> None:
    with ledger.snapshot() as connection:
        rows = connection.execute(select(PAYLOADS.c.position, PAYLOADS.c.bytes)).all()
        many = connection.execute(select(BLOCKS.c.position, BLOCKS.c.bytes)).all()
    said = {f"position = {row.position}": reworded(orjson.loads(row.bytes)) for row in rows}
    write(ledger, "payloads", {where: canonical_bytes(each) for where, each in said.items()})
    lines = {f"position = {row.position}": bytes(row.bytes) for row in many}
    forged = {at: each.replace(b'["', f'["{FORGED} '.encode()) for at, each in lines.items()}
    write(ledger, "blocks", forged)


def edit_artefacts(ledger: Ledger) -> None:
    with ledger.snapshot() as connection:
        rows = connection.execute(select(ARTEFACTS.c.sha256, ARTEFACTS.c.bytes)).all()
    write(ledger, "artefacts", {f"sha256 = '{row.sha256}'": row.bytes + b" " for row in rows})


def edit_tiles(ledger: Ledger) -> None:
    write(ledger, "tiles", {"number = 0": bytes(256 * 32)})


def write(ledger: Ledger, table: str, contents: dict[str, bytes]) -> None:
    """Other bytes in the rows that these conditions name."""
    statements = [
        f"UPDATE {table} SET bytes = :content_{number:03} WHERE {where}"
        for number, where in enumerate(contents)
    ]
    values = {f"content_{number:03}": each for number, each in enumerate(contents.values())}
    change(ledger, *statements, **values)


def reworded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reworded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [reworded(each) for each in value]
    return f"{value} {FORGED}" if isinstance(value, str) else value


EDITS: Final[dict[str, Callable[[Ledger], None]]] = {
    "entries": edit_entries,
    "payloads": edit_payloads,
    "artefacts": edit_artefacts,
    "tiles": edit_tiles,
}
