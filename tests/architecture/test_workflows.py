"""CI says a developer's words, trusts no moving tag, and holds no right it does not need."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repository import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.y*ml"))


def read(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in document["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_and_says_its_release(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = [step["uses"] for step in steps(read(path)) if "uses" in step]

    assert used
    for action in used:
        assert re.search(rf"{re.escape(action)} # v\d+\.\d+\.\d+$", text, flags=re.MULTILINE)
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_holds_no_right_by_default_and_its_jobs_only_name_what_they_need(
    path: Path,
) -> None:
    document = read(path)

    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert "write-all" not in str(job.get("permissions", {}))
        assert job["timeout-minutes"] <= 60


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_step_pastes_what_a_stranger_may_write_into_a_shell(path: Path) -> None:
    for step in steps(read(path)):
        assert not re.search(r"\$\{\{\s*(github\.event|inputs)\b", step.get("run", ""))


def test_ci_calls_the_same_word_as_a_developer() -> None:
    commands = [step["run"] for step in steps(read(WORKFLOWS[0])) if "run" in step]

    assert WORKFLOWS[0].name == "check.yml"
    assert [command.split()[:2] for command in commands] == [["make", "check"]]


def test_ci_checks_every_python_that_is_supported() -> None:
    (job,) = read(WORKFLOWS[0])["jobs"].values()
    (step,) = (step for step in job["steps"] if "run" in step)

    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    assert step["run"].endswith("PYTHON=python${{ matrix.python }}")


def test_the_hook_runs_what_the_makefile_calls_test() -> None:
    assert (REPOSITORY / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"
