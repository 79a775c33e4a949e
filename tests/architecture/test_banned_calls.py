"""What no import contract sees: banned calls, SQL out of place, and names that hide a subject."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
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


def ruff(source: str, file: str) -> str:
    """What ruff says of `source` if it stood in `file`, under this project's settings."""
    options = ["--select", "TID251", "--output-format", "concise", "--stdin-filename", file, "-"]
    finished = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", *options],
        cwd=REPOSITORY,
        input=source + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode in (0, 1), finished.stderr
    return finished.stdout


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
def test_the_clock_and_chance_are_refused_outside_the_clock(source: str) -> None:
    for file in ("domain/drift/measurement.py", "rules/policy.py", "app/promotion.py"):
        assert "Only app/clock.py" in ruff(source, file)


@pytest.mark.parametrize("source", CLOCK_OR_CHANCE)
def test_the_clock_itself_may_read_the_time_and_draw(source: str) -> None:
    assert "TID251" not in ruff(source, "app/clock.py")


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_sql_stands_in_the_rooms_that_write_it_alone(path: Path) -> None:
    if any(path.is_relative_to(place) for place in WRITES_SQL):
        return
    source = (REPOSITORY / path).read_text(encoding="utf-8")
    assert [text for text in strings_in(source) if SQL.search(text)] == []


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


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[0] == "domain"], ids=str)
def test_the_domain_calls_nothing_that_has_an_effect(path: Path) -> None:
    assert calls_in((REPOSITORY / path).read_text(encoding="utf-8")) & EFFECTS == set()


def test_a_call_with_an_effect_is_seen() -> None:
    assert calls_in("def peek() -> str:\n    return open('state').read()") & EFFECTS == {"open"}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_files_name_says_what_is_inside(path: Path) -> None:
    assert HIDES_ITS_SUBJECT.isdisjoint(path.stem.split("_"))
