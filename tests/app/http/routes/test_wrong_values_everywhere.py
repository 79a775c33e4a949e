"""Any column of any table may hold what it cannot: no answer is a bare 500, and no command crashes.

Put there past the guards, as a hand with the file or the tables' owner may; what the guards refuse
is tried elsewhere. A seed draws some of them; `--soak` goes through all.
"""

from __future__ import annotations

import random
from typing import Final

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from app.cli.main import app
from app.ledger.store import Ledger
from app.projections.keeping import POSITIONS
from app.projections.runner import READ_MODELS
from app.settings import Settings
from domain.errors import WhyledgerError
from tests.app.http.routes.running import (
    AMC,
    adopt,
    observation,
    outcome,
    predict,
    process_behind,
    running,
    send,
    serve_champion,
)
from tests.app.http.routes.test_models import record_cycle
from tests.app.proof.forger import TRUTH, drop_guards, stored_as
from tests.told import ToldOnce, retold

SEED: Final = 20_261_127
DRAWN: Final = 8  # of each database, in the short form
VALUES: Final = (
    "'garbage'",
    "7",
    "-1",
    "9e99",
    "x'00ff'",
    "'{}'",
    "'[1]'",
    "'9999-99-99T99:99:99Z'",
    "9223372036854775807",
    "NULL",
)
TABLES: Final = (*TRUTH, POSITIONS, *(each.table for each in READ_MODELS))
COMMANDS: Final = (["state"], ["decisions"], ["changes"], ["verify"], ["repair", "--plan"])
Case = tuple[Table, str, str]
CASES: Final[list[Case]] = [
    (table, column.name, value) for table in TABLES for column in table.columns for value in VALUES
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    long = metafunc.config.getoption("--soak", default=False)
    drawn = CASES if long else random.Random(SEED).sample(CASES, DRAWN)
    names = [f"{table.name}-{column}-{value}" for table, column, value in drawn]
    metafunc.parametrize("case", drawn, ids=names)


def told(_: Ledger, settings: Settings) -> str:
    """Something in every table; the id of a decision."""
    with running(settings) as client:
        adopt(client)
        serve_champion(client)
        predict(client, AMC)
        for event in (observation("1"), outcome("2", 4.9, identity="129")):
            send(client, event)
        send(client, observation("3", hpwt="fast"))
        process_behind(client).refusals.flush()
        decision = record_cycle(client, 1)
        assert client.get("/ledger/checkpoint?new=true").status_code == 200
        return decision


def spoil(ledger: Ledger, table: Table, column: str, value: str) -> bool:
    """Put the value into the last row; whether the database takes it."""
    row = "ctid" if ledger.engine.dialect.name == "postgresql" else "rowid"
    name = stored_as(ledger, table)
    last = f"(SELECT {row} FROM {name} ORDER BY {row} DESC LIMIT 1)"
    statement = f'UPDATE {name} SET "{column}" = {value} WHERE {row} = {last}'
    try:
        with ledger.engine.begin() as connection:
            drop_guards(connection)
            connection.execute(text(statement.replace(":", r"\:")))
    except DBAPIError:
        return False
    return True


def routes(client: TestClient, decision: str) -> list[str]:
    """Every GET there is, with what its path needs."""
    given = {
        "model": "car-price",
        "cycle": "car-price-1",
        "decision": decision,
        "level": "0",
        "index": "0",
        "position": "3",
        "sha256": "0" * 64,
    }
    asks = {
        "/audit/export": ["?format=csv", "?format=jsonl", "?format=html"],
        "/ledger/proofs/inclusion": ["?position=3"],
        "/ledger/proofs/consistency": ["?from=2"],
        "/ledger/checkpoint": ["", "?new=true"],
        "/ledger/events/{position}": ["", "?receipt=true"],
    }
    paths = client.get("/openapi.json").json()["paths"]
    return [
        path.format(**given) + query
        for path, way in paths.items()
        if "get" in way
        for query in asks.get(path, [""])
    ]


def test_every_door_and_command_says_what_is_wrong_in_plain_words(
    settings: Settings, told_once: ToldOnce, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = told_once(told, settings)
    retold(story, settings)
    with running(settings) as client:
        if not spoil(process_behind(client).ledger, *case):
            return  # the type of the column keeps it out
        for _ in range(2):
            for route in routes(client, story.gives):
                answer = client.get(route)
                said = f"{route}: {answer.status_code} {answer.text[:300]}"
                assert answer.status_code < 500 or answer.status_code == 503, said
                assert "Traceback" not in answer.text, said
            sent = send(client, observation("4", car_id=130))
            assert sent.status_code in (201, 409, 503), sent.text
        assert client.get("/readyz").status_code in (200, 503)
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", settings.ledger_url)
    monkeypatch.setenv("WHYLEDGER_STATE_DIR", str(settings.state_dir))
    for command in COMMANDS:
        result = CliRunner().invoke(app, command)
        error = result.exception
        assert error is None or isinstance(error, SystemExit | WhyledgerError), (command, error)
