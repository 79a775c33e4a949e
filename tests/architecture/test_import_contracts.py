"""The layers are checked, and each check is itself tried against a deliberate violation."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.repository import REPOSITORY

PACKAGES = ("app", "rules", "domain", "migrations")
SETTINGS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
CONTRACTS = {contract["id"]: contract for contract in SETTINGS["importlinter"]["contracts"]}

# contract, the file the violation is added to, the violation
VIOLATIONS = [
    ("layers", "domain/errors.py", "import rules"),
    ("layers", "domain/errors.py", "import app"),
    ("layers", "rules/__init__.py", "import app"),
    ("rooms", "app/ledger/store.py", "from app.projections.runner import apply"),
    ("rooms", "app/database/engine.py", "import app.ledger.tables"),
    ("rooms", "app/web/pages.py", "import app.reports.export"),
    ("rooms", "app/reports/export.py", "import app.web.pages"),
    ("rooms", "app/audit/cycle.py", "import app.web.svg"),
    ("rooms", "app/clock.py", "import app.settings"),
    ("rooms", "app/intake/datasets.py", "def late() -> None:\n    import app.cycle.run"),
    ("rooms-of-domain", "domain/times.py", "from domain.contract.contract import DriftWindow"),
    ("rooms-of-domain", "domain/events/events.py", "import domain.decisions.cycle"),
    ("rooms-of-domain", "domain/contract/rows.py", "import domain.drift.bins"),
    ("rooms-of-domain", "domain/tree/merkle.py", "import domain.canonical"),
    ("acyclic", "app/ledger/tables.py", "import app.ledger.commit"),
    ("acyclic", "domain/events/findings.py", "import domain.events.cycle_events"),
    ("migrations", "migrations/env.py", "from app.settings import Settings"),
    ("migrations", "migrations/rights_0007.py", "import domain.canonical"),
    ("migrations", "migrations/versions/0007_read_models_apart.py", "import app.ledger.tables"),
    ("unknown-migrations", "app/database/roles.py", "from migrations.rights_0007 import OWNER"),
    (
        "unknown-migrations",
        "app/database/migrating.py",
        "def late() -> None:\n    import migrations",
    ),
    ("pure-domain", "domain/errors.py", "import time"),
    ("pure-domain", "domain/errors.py", "from pathlib import Path"),
    ("pure-domain", "domain/errors.py", "def late() -> None:\n    import random"),
    ("pure-domain", "domain/errors.py", "from fastapi import HTTPException"),
    ("rule-engine", "rules/policy.py", "from durable.lang import ruleset"),
    ("rule-engine", "app/cli/main.py", "import durable.engine"),
    ("training", "app/cli/main.py", "import pandas"),
    ("training", "app/cycle/run.py", "def late() -> None:\n    import mlflow"),
    ("training", "rules/plain.py", "from sklearn.linear_model import Ridge"),
    ("serving-path", "app/main.py", "import scipy.stats"),
    ("serving-path", "app/http/routes/__init__.py", "def late() -> None:\n    import pandas"),
    ("serving-path", "app/serving/__init__.py", "import app.training"),
    ("sql", "app/main.py", "from sqlalchemy import text"),
    ("sql", "app/http/routes/__init__.py", "import sqlite3"),
    ("sql", "rules/policy.py", "import psycopg"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The source tree and its settings, in a place where it may be spoilt."""
    return copied_to(tmp_path)


def copied_to(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            REPOSITORY / package,
            folder / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return folder


def spoilt(folder: Path, contract: str) -> Path:
    """A copy of the tree with every violation of this contract at the end of its file."""
    copied_to(folder)
    for broken, file, violation in VIOLATIONS:
        if broken == contract:
            with (folder / file).open("a", encoding="utf-8") as source:
                source.write(f"{violation}\n")
    return folder


def line_of(contract: str, file: str, violation: str) -> int:
    """Where the import of this violation stands in its file of the spoilt tree."""
    lines = len((REPOSITORY / file).read_text(encoding="utf-8").splitlines())
    for broken, other, text in VIOLATIONS:
        if (broken, other) == (contract, file):
            lines += text.count("\n") + 1
            if text == violation:
                return lines
    raise AssertionError(f"{violation!r} is none of the violations")


def lint_imports(tree: Path, *contracts: str) -> tuple[int, str]:
    """Exit status and words of `lint-imports` over `tree`, for all contracts or the named ones."""
    chosen = [word for contract in contracts for word in ("--contract", contract)]
    finished = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", *chosen],
        cwd=tree,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    status, words = lint_imports(tree)

    assert status == 0, words
    assert f"{len(CONTRACTS)} kept, 0 broken" in words


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What is said of each contract when every violation of it stands in the tree at once."""
    return {
        contract: lint_imports(spoilt(tmp_path_factory.mktemp("tree"), contract), contract)
        for contract in CONTRACTS
    }


@pytest.mark.parametrize(("contract", "file", "violation"), VIOLATIONS)
def test_a_contract_names_itself_and_what_breaks_it(
    broken: dict[str, tuple[int, str]], contract: str, file: str, violation: str
) -> None:
    status, words = broken[contract]

    assert status == 1, words
    assert f"{CONTRACTS[contract]['name']} BROKEN" in words
    importer = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if contract == "acyclic":  # it names folders and their files, and no lines
        folder, _, name = importer.rpartition(".")
        said = words.partition(f"No cycles are allowed in {folder}.\n")[2].partition("No cycles")[0]
        assert f"- .{name} -> ." in said, words
        return
    line = line_of(contract, file, violation)
    assert re.search(rf"\b{importer} -> [\w.]+ \(.*\bl\.{line}\b", words), words


def test_the_serving_path_may_not_reach_scipy_through_a_third_module(tree: Path) -> None:
    (tree / "app" / "detour.py").write_text("def late() -> None:\n    import scipy\n")
    (tree / "app" / "serving" / "shortcut.py").write_text("import app.detour\n")

    status, words = lint_imports(tree, "serving-path")

    assert status == 1, words
    assert "app.serving.shortcut -> app.detour" in words


@pytest.mark.parametrize(("package", "contract"), [("app", "rooms"), ("domain", "rooms-of-domain")])
def test_a_room_that_the_contract_does_not_place_is_refused(
    tree: Path, package: str, contract: str
) -> None:
    (tree / package / "attic").mkdir()
    (tree / package / "attic" / "__init__.py").touch()

    status, words = lint_imports(tree, contract)

    assert status == 1, words
    assert f"{package}.attic" in words


def test_every_contract_is_tried_against_a_violation() -> None:
    assert {contract for contract, _, _ in VIOLATIONS} == set(CONTRACTS)


def test_a_running_service_has_loaded_nothing_of_training_statistics_or_the_rule_engine() -> None:
    unwanted = {
        name for name in CONTRACTS["serving-path"]["forbidden_modules"] if name != "app.training"
    }
    program = f"import sys, app.main; print(sorted({unwanted!r} & set(sys.modules)))"

    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert finished.stdout.strip() == "[]"
