"""The program of `make sbom`, run as the Makefile runs it: a CycloneDX document of what is locked.

What `cyclonedx-py` reads from the lock before it stands here in its shape: that tool has an
environment of its own, which `make sbom` fetches. So has the schema that is checked at its end.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from requirements.bill import LOCK
from tests.repository import REPOSITORY

LOCKED: Final = [
    (found["name"], found["version"], re.findall(r"--hash=sha256:([0-9a-f]{64})", found[0]))
    for found in re.finditer(
        r"^(?P<name>[a-z0-9-]+)(\[[a-z,]+\])?==(?P<version>[^ \n]+).*\n(    .*\n)+",
        LOCK.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
]


def as_read() -> dict[str, Any]:
    """What the lock says, as `cyclonedx-py requirements` writes it."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"bom-ref": "root-component", "name": "whyledger", "type": "application"}
        },
        "components": [
            {
                "bom-ref": f"requirements-L{number}",
                "description": f"requirements line {number}: {name}=={version}",
                "externalReferences": [
                    {
                        "type": "distribution",
                        "url": f"https://pypi.org/simple/{name}/",
                        "hashes": [{"alg": "SHA-256", "content": each} for each in hashes],
                    }
                ],
                "name": name,
                "purl": f"pkg:pypi/{name}@{version}",
                "type": "library",
                "version": version,
            }
            for number, (name, version, hashes) in enumerate(LOCKED)
        ],
    }


def made(pinned: object, into: Path) -> subprocess.CompletedProcess[bytes]:
    with into.open("wb") as bill:
        return subprocess.run(
            [sys.executable, "-m", "requirements.bill"],
            cwd=REPOSITORY,
            input=json.dumps(pinned).encode(),
            stdout=bill,
            stderr=subprocess.PIPE,
            check=False,
        )


def test_the_bill_is_a_cyclonedx_document_that_names_every_locked_package(tmp_path: Path) -> None:
    done = made(as_read(), tmp_path / "sbom.json")
    assert done.returncode == 0, done.stderr
    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "whyledger"
    assert len(LOCKED) > 100
    assert [(each["name"], each["version"]) for each in bill["components"]] == [
        (name, version) for name, version, _ in LOCKED
    ]
    for component, (_, _, hashes) in zip(bill["components"], LOCKED, strict=True):
        (files,) = component["externalReferences"]
        assert [each["content"] for each in files["hashes"]] == hashes
        assert hashes
    references = {each["bom-ref"] for each in bill["components"]} | {"root-component"}
    assert {each["ref"] for each in bill["dependencies"]} == references
    assert {ref for each in bill["dependencies"] for ref in each["dependsOn"]} <= references
    assert "pypi.org/simple" not in json.dumps(bill), "no registry is named"


def test_a_lock_that_is_not_installed_gives_no_bill(tmp_path: Path) -> None:
    pinned = as_read()
    changed = next(each for each in pinned["components"] if each["name"] == "sqlalchemy")
    changed["version"] = "0.0.1"
    done = made(pinned, tmp_path / "sbom.json")
    assert done.returncode != 0
    assert b"sqlalchemy: 0.0.1 is pinned and" in done.stderr
    assert (tmp_path / "sbom.json").read_bytes() == b""


def test_make_sbom_runs_this_program() -> None:
    recipe = (REPOSITORY / "Makefile").read_text(encoding="utf-8").partition("\nsbom:")[2]
    assert "-m requirements.bill < build/pinned.json > build/sbom.json" in recipe
    assert "cyclonedx-py requirements requirements/runtime.txt" in recipe
    assert "--spec-version 1.6" in recipe
