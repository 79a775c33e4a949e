"""What is installed is pinned by hash, and names no registry and no machine."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.repository import REPOSITORY

REQUIREMENTS = REPOSITORY / "requirements"
LOCKS = ("build", "runtime", "dev", "audit")
PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)(\[[a-z,]+\])?==(?P<version>[^ ]+)"
    r"(?P<marker> ;[^\\\n]+)? \\\n(?P<hashes>(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+)",
    flags=re.MULTILINE,
)


def lock(name: str) -> str:
    return (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")


def pins(name: str) -> set[tuple[str, str]]:
    """Each (package, version) the lock `name` pins."""
    return {(pin["name"], pin["version"]) for pin in PIN.finditer(lock(name))}


def wanted(name: str) -> set[str]:
    """The packages requirements/`name`.in asks for by itself."""
    lines = (REQUIREMENTS / f"{name}.in").read_text(encoding="utf-8").splitlines()
    words = [re.match(r"[A-Za-z0-9-]+", line) for line in lines if line[:3] not in ("-r ", "-c ")]
    return {word[0].lower() for word in words if word}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_by_hash(name: str) -> None:
    meaningful = [line for line in lock(name).splitlines() if re.match(r"[^ #]", line)]
    assert len(meaningful) == len(list(PIN.finditer(lock(name)))) > 0


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_asked_for_is_in_its_lock(name: str) -> None:
    assert wanted(name) <= {package for package, _ in pins(name)}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_registry_and_no_path(name: str) -> None:
    assert re.findall(r"://|--(?:extra-)?index|--find-links|(?<!sha256)[ =]/", lock(name)) == []


@pytest.mark.parametrize("part", ["build", "runtime"])
def test_what_is_tested_is_what_is_shipped(part: str) -> None:
    assert pins(part) <= pins("dev")


def test_the_build_backend_is_the_one_that_is_pinned() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    setuptools = dict(pins("build"))["setuptools"]
    assert project["build-system"]["requires"] == [f"setuptools=={setuptools}"]


def test_the_rule_engine_is_the_release_whose_behaviour_was_observed() -> None:
    assert ("durable-rules", "2.0.28") in pins("runtime")


def test_a_python_that_was_named_and_is_none_is_refused_and_no_other_taken(tmp_path: Path) -> None:
    finished = subprocess.run(
        [REQUIREMENTS / "install.sh", tmp_path / "venv"],
        env=os.environ | {"PYTHON": "python9.9"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 1
    assert "PYTHON=python9.9 is no Python 3.11 or 3.12 that runs here" in finished.stderr
    assert not (tmp_path / "venv").exists()
