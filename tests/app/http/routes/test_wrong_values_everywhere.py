"""Any column of any table may hold what it cannot: no answer is a bare 500, and no command crashes.

Put there past the guards, as a hand with the file or the tables' owner may; what the guards refuse
is tried elsewhere. What is refused from then on has an alarm in `/readyz`. A seed draws some of
them; `--soak` goes through all.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Table, TextClause, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from app.cli.main import app
from app.ledger.store import Ledger
from app.ledger.tree import TILE_HASHES
from app.projections.opening import open_ledger
from app.projections.positions import POSITIONS
from app.projections.read_model import tables_of
from app.projections.rows import ROWS
from app.projections.runner import READ_MODELS
from app.settings import Settings
from domain.errors import WhyledgerError
from tests import ledger_events
from tests.app.behind_the_service import writing_to
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
from tests.app.many_rows import observations, put_many
from tests.app.proof.forger import TRUTH, drop_guards, stored_as
from tests.ledger_events import policy_adopted, put
from tests.patience import until
from tests.soak.tables import Say
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
TABLES: Final = (*TRUTH, POSITIONS, *tables_of(READ_MODELS))
COMMANDS: Final = (["state"], ["decisions"], ["changes"], ["verify"], ["repair", "--plan"])
MANY: Final = 2 + TILE_HASHES  # where the entry of many rows stands
CSV: Final = (
    b"year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price\n"
    b"1971,129,AMGREM71,0.528997,1.888146,1.697,1.1502,0,US,4.935802\n1\n"
)
Case = tuple[Table, str, str]
CASES: Final[list[Case]] = [
    (table, column.name, value) for table in TABLES for column in table.columns for value in VALUES
]
FOUND: Final[list[Case]] = [(TRUTH[0], "position", "9223372036854775807")]  # by the long form
SHORT: Final = [*dict.fromkeys((*random.Random(SEED).sample(CASES, DRAWN), *FOUND))]
# Of all cases, the share that a database takes at least: the types and checks of PostgreSQL refuse
# more than SQLite's, where most columns take anything.
TAKEN_MIN: Final = {"sqlite": 0.85, "postgresql": 0.65}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    long = metafunc.config.getoption("--soak", default=False)
    drawn = CASES if long else SHORT
    names = [f"{table.name}-{column}-{value}" for table, column, value in drawn]
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", drawn, ids=names)


def told(ledger: Ledger, settings: Settings) -> list[str]:
    """Something in every table; every GET there is then, to be asked again and again."""
    put(ledger, "policy-strict-and", policy_adopted())
    # Data that stands apart, and as many entries as fill a tile.
    rows = (ledger_events.observation(f"car={n}") for n in range(TILE_HASHES))
    put(ledger, "observations-cars", *rows, personal=True)
    assert put_many(ledger, observations(1, 2)).position == MANY
    with running(settings) as client:
        adopt(client)
        serve_champion(client)
        predict(client, AMC)
        for event in (observation("1"), outcome("2", 4.9, identity="129")):
            send(client, event)
        send(client, observation("3", hpwt="fast"))
        process_behind(client).refusals.flush()
        decision = record_cycle(client, 1)
        csv = {"Content-Type": "text/csv"}
        sent = client.post("/models/car-price/datasets", content=CSV, headers=csv)
        assert sent.status_code == 200, sent.text
        assert client.get("/ledger/checkpoint?new=true").status_code == 200
        return routes(client, decision)


def spoiling(ledger: Ledger, table: Table, column: str, value: str) -> TextClause:
    """The statement that puts the value into the last row."""
    row = "ctid" if ledger.engine.dialect.name == "postgresql" else "rowid"
    if row == "rowid" and not table.dialect_options["sqlite"]["with_rowid"]:
        row = ", ".join(f'"{each.name}"' for each in table.primary_key.columns)
    name = stored_as(ledger, table)
    last = f"(SELECT {row} FROM {name} ORDER BY {row} DESC LIMIT 1)"
    statement = f'UPDATE {name} SET "{column}" = {value} WHERE ({row}) = {last}'
    return text(statement.replace(":", r"\:"))


@contextmanager
def changing(ledger: Ledger, table: Table) -> Iterator[Connection]:
    """A transaction in which the table takes whatever its columns do."""
    if table in ROWS.tables:
        with writing_to(ledger, table) as connection:
            yield connection
    else:
        with ledger.engine.connect() as connection:
            drop_guards(connection)
            yield connection
            connection.commit()


def spoil(ledger: Ledger, case: Case) -> bool:
    """Put the value of `case` where it says; whether the database takes it."""
    try:
        with changing(ledger, case[0]) as connection:
            changed = connection.execute(spoiling(ledger, *case)).rowcount
    except DBAPIError:
        return False
    assert changed == 1, case
    return True


def taken(ledger: Ledger) -> list[Case]:
    """Those of all cases that the database takes; none of them stays."""
    found = []
    for table in (ROWS.table, TRUTH[0]):  # two transactions: SQLite has a file for each
        apart = table in ROWS.tables
        cases = [case for case in CASES if (case[0] in ROWS.tables) is apart]
        with changing(ledger, table) as connection:
            for case in cases:
                tried = connection.begin_nested()
                with suppress(DBAPIError):
                    changed = connection.execute(spoiling(ledger, *case))
                    found += [case] * changed.rowcount
                tried.rollback()
            connection.rollback()
    return found


def alarmed(client: TestClient) -> bool:
    """Whether who looks after the service is told that something is wrong."""
    answer = client.get("/readyz")
    return answer.status_code == 503 or bool(answer.json()["alarms"])


def routes(client: TestClient, decision: str) -> list[str]:
    """Every GET there is, with what its path needs."""
    given = {
        "model": "car-price",
        "cycle": "car-price-1",
        "decision": decision,
        "level": "0",
        "index": "0",
        "position": str(MANY),
        "row": "1",
        "sha256": hashlib.sha256(CSV).hexdigest(),
    }
    asks = {
        "/audit/export": ["?format=csv", "?format=jsonl", "?format=html"],
        "/ledger/proofs/inclusion": ["?position=3"],
        "/ledger/proofs/consistency": ["?from=2"],
        "/ledger/checkpoint": ["", "?new=true"],
        "/ledger/events/{position}": ["", "?receipt=true"],
        "/ledger/events/{position}/rows/{row}": ["?receipt=true"],
    }
    paths = client.get("/openapi.json").json()["paths"]
    return [
        path.format(**given) + query
        for path, way in paths.items()
        if "get" in way
        for query in asks.get(path, [""])
    ]


def served(client: TestClient, routes: list[str]) -> bool:
    """Whether each of them, and an observation, is answered again."""
    sent = send(client, observation("4", car_id=130))
    return sent.status_code != 503 and all(client.get(each).status_code != 503 for each in routes)


def test_every_door_and_command_says_what_is_wrong_in_plain_words(
    settings: Settings, told_once: ToldOnce, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = told_once(told, settings)
    retold(story, settings)
    with running(settings) as client:
        if not spoil(process_behind(client).ledger, case):
            return  # the column's type keeps it out; how many those are, is counted below
        for _ in range(2):
            refused = []
            for route in story.gives:
                answer = client.get(route)
                said = f"{route}: {answer.status_code} {answer.text[:300]}"
                assert answer.status_code < 500 or answer.status_code == 503, said
                assert "Traceback" not in answer.text, said
                refused += [route] if answer.status_code == 503 else []
            sent = send(client, observation("4", car_id=130))
            assert sent.status_code in (201, 409, 503), sent.text
        assert client.get("/readyz").status_code in (200, 503)
        # Whatever is refused for good has an alarm; what is put right by itself is answered again.
        until(lambda: alarmed(client) or served(client, refused), pause_seconds=0.2)
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", settings.ledger_url)
    monkeypatch.setenv("WHYLEDGER_STATE_DIR", str(settings.state_dir))
    for command in COMMANDS:
        result = CliRunner().invoke(app, command)
        error = result.exception
        assert error is None or isinstance(error, SystemExit | WhyledgerError), (command, error)


def test_the_databases_take_most_of_what_is_put_there_and_some_in_every_table(
    settings: Settings, told_once: ToldOnce, say: Say
) -> None:
    """Else the test above would be green without anything wrong having been met."""
    retold(told_once(told, settings), settings)
    with closing(open_ledger(settings)) as ledger:
        found, dialect = taken(ledger), ledger.engine.dialect.name
    drawn = sum(case in found for case in SHORT)
    counted = f"{dialect} takes {len(found)} of {len(CASES)}, and of {DRAWN} drawn {drawn}"
    say(counted)
    assert {table.name for table, _, _ in found} == {table.name for table in TABLES}
    assert len(found) >= TAKEN_MIN[dialect] * len(CASES), counted
    assert drawn >= DRAWN / 4, counted
