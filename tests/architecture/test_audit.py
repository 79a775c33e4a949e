"""`make audit` never takes silence for an audit: a database that cannot be asked is an error."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.repository import REPOSITORY

AUDIT = REPOSITORY / "requirements" / "audit.sh"


def audited(tmp_path: Path, out: str, words: str, code: int) -> subprocess.CompletedProcess[str]:
    """What is said where pip-audit gives this: its database is not there on every machine."""
    program = tmp_path / "pip-audit"
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{tmp_path}/asked'\n"
        f"cat <<'E'\n{out}\nE\ncat >&2 <<'E'\n{words}\nE\nexit {code}\n"
    )
    program.chmod(0o755)
    return subprocess.run([AUDIT, program], capture_output=True, text=True, check=False)


def test_without_a_known_vulnerability_it_says_so_of_every_lock(tmp_path: Path) -> None:
    finished = audited(tmp_path, "", "No known vulnerabilities found", 0)

    assert (finished.returncode, finished.stderr) == (0, "")
    assert "no known vulnerability in what requirements/ pins" in finished.stdout
    asked = (tmp_path / "asked").read_text().splitlines()
    assert {"requirements/dev.txt", "requirements/audit.txt", "--require-hashes"} <= set(asked)
    assert asked[:2] == ["--vulnerability-service", "osv"]


def test_each_known_vulnerability_is_listed(tmp_path: Path) -> None:
    table = "Name Version ID  Fix\n---- ------- --- ---\nsome 1.0     X-1 1.1"
    finished = audited(tmp_path, table, "Found 1 known vulnerability in 1 package", 1)

    assert finished.returncode == 1
    assert table in finished.stdout
    assert "Found 1 known vulnerability in 1 package" in finished.stdout
    assert "make lock" in finished.stdout


@pytest.mark.parametrize("code", [0, 1, 127])
def test_a_database_that_cannot_be_asked_is_no_audit_whatever_the_exit_code(
    tmp_path: Path, code: int
) -> None:
    finished = audited(tmp_path, "", "Traceback:\nConnectionError: Failed to resolve", code)

    assert finished.returncode == 2
    assert finished.stdout.strip() == ""
    assert "NOTHING WAS AUDITED" in finished.stderr
    assert "ConnectionError: Failed to resolve" in finished.stderr
