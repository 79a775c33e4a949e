"""What no import contract sees: banned calls, SQL out of place, and names that hide a subject."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository import REPOSITORY

SOURCES = [
    path.relative_to(REPOSITORY)
    for package in ("app", "rules", "domain")
    for path in sorted((REPOSITORY / package).rglob("*.py"))
]
SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|(CREATE|DROP|ALTER)\s+(TABLE|INDEX|TRIGGER)|PRAGMA\s+\w+|BEGIN\s+IMMEDIATE)\b",
    flags=re.DOTALL,
)
WRITES_SQL = tuple(Path("app", room) for room in ("database", "ledger", "projections", "proof"))
HIDES_ITS_SUBJECT = {"utils", "util", "helpers", "common", "misc", "manager", "service"}
EFFECTS = {"open", "print", "input", "exec", "eval", "__import__"}

CLOCK = "app/clock.py"
ELSEWHERE = ("domain/drift/measurement.py", "rules/policy.py", "app/promotion.py")

# The clock and chance, in every spelling that was thought of.
CLOCK_OR_CHANCE = [
    "from datetime import datetime\n\nmoment = datetime.now()",
    "import datetime\n\nmoment = datetime.datetime.now(datetime.UTC)",
    "import datetime as dt\n\nmoment = dt.datetime.utcnow()",
    "from datetime import date\n\nday = date.today()",
    "import time\n\nmoment = time.time()",
    "from time import time_ns\n\nmoment = time_ns()",
    "import uuid\n\nname = uuid.uuid4()",
    "from uuid import uuid1\n\nname = uuid1()",
    "import random\n\nchance = random.random()",
    "from random import shuffle",
    "import secrets",
    "import os\n\nsalt = os.urandom(32)",
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """What ruff says of each snippet if it stood in each file, under this project's settings."""
    tree = tmp_path_factory.mktemp("snippets")
    places = {}
    for number, source in enumerate(CLOCK_OR_CHANCE):
        project = tree / str(number)
        for file in (*ELSEWHERE, CLOCK):
            (project / file).parent.mkdir(parents=True, exist_ok=True)
            (project / file).write_text(source + "\n")
            places[str(project / file)] = (source, file)
        shutil.copy(REPOSITORY / "pyproject.toml", project)
    options = ["--no-cache", "--select", "TID251", "--output-format", "json"]
    finished = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *options, tree],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1, finished.stderr
    words = dict.fromkeys(places.values(), "")
    for finding in json.loads(finished.stdout):
        words[places[finding["filename"]]] += f"{finding['code']} {finding['message']}\n"
    return words


def read(path: Path) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


def strings_in(source: str) -> Iterator[str]:
    """Every string of `source` that is not a docstring."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield node.value


def calls_in(source: str) -> set[str]:
    """The plain names `source` calls."""
    return {
        node.func.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


@pytest.mark.parametrize("source", CLOCK_OR_CHANCE)
def test_the_clock_and_chance_are_refused_outside_the_clock(
    said: dict[tuple[str, str], str], source: str
) -> None:
    for file in ELSEWHERE:
        assert "Only app/clock.py" in said[source, file]


@pytest.mark.parametrize("source", CLOCK_OR_CHANCE)
def test_the_clock_itself_may_read_the_time_and_draw(
    said: dict[tuple[str, str], str], source: str
) -> None:
    assert said[source, CLOCK] == ""


def test_sql_stands_in_the_rooms_that_write_it_alone() -> None:
    found = {
        path: [text for text in strings_in(read(path)) if SQL.search(text)]
        for path in SOURCES
        if not any(path.is_relative_to(place) for place in WRITES_SQL)
    }
    assert {path: texts for path, texts in found.items() if texts} == {}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT position, leaf_hash FROM entries",
        "INSERT OR REPLACE INTO entries VALUES (1)",
        "UPDATE ledger_head SET size = 0",
        "DELETE FROM entries",
        "PRAGMA journal_mode = WAL",
        "BEGIN IMMEDIATE",
    ],
)
def test_sql_out_of_place_is_seen(statement: str) -> None:
    source = f'"""Reads."""\n\nQUERY = "{statement}"\nQUERY_TOO = f"{statement} {{QUERY}}"\n'
    assert len([text for text in strings_in(source) if SQL.search(text)]) == 2


def test_prose_that_mentions_sql_is_not_sql() -> None:
    prose = ["UPDATE and DELETE are refused by the database", "select a model from the list"]
    assert [text for text in prose if SQL.search(text)] == []


def test_the_domain_calls_nothing_that_has_an_effect() -> None:
    found = {path: calls_in(read(path)) & EFFECTS for path in SOURCES if path.parts[0] == "domain"}
    assert {path: calls for path, calls in found.items() if calls} == {}


def test_a_call_with_an_effect_is_seen() -> None:
    assert calls_in("def peek() -> str:\n    return open('state').read()") & EFFECTS == {"open"}


def test_a_files_name_says_what_is_inside() -> None:
    hiding = [path for path in SOURCES if not HIDES_ITS_SUBJECT.isdisjoint(path.stem.split("_"))]
    assert hiding == []


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_nothing_is_taken_from_the_front_of_a_list(source: Path) -> None:
    """Each time costs as much as the list is long: a checkpoint a second makes years of them."""
    tree = ast.parse((REPOSITORY / source).read_text(encoding="utf-8"))
    taken = [
        f"{source}:{call.lineno}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "pop"
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and call.args[0].value == 0
        and len(call.args) == 1
    ]
    assert taken == [], "use collections.deque and popleft()"
