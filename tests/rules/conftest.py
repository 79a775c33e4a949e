from __future__ import annotations

import copy
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.engine import PolicyEngine
from rules.policy import Policy, parse_policy, policy_digest
from tests.patience import HANGS_SECONDS
from tests.repository import REPOSITORY

STRICT_AND = yaml.safe_load((REPOSITORY / "rules/policies/strict-and.yaml").read_text("utf-8"))

ALL_MET: dict[str, float | None] = {
    "feature_drift_score": 0.31,
    "prediction_drift_p": 1e-05,
    "new_samples": 50,
    "hours_since_last_retraining": 24.5,
}
RunPython = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def document() -> dict[str, Any]:
    """A copy of the shipped policy, to be broken at will."""
    return copy.deepcopy(STRICT_AND)


@pytest.fixture
def policy() -> Policy:
    return parse_policy(STRICT_AND)


@pytest.fixture
def engine(policy: Policy) -> Iterator[PolicyEngine]:
    with PolicyEngine(policy, policy_digest(STRICT_AND)) as engine:
        yield engine


@pytest.fixture
def run_python() -> RunPython:
    """Run a script in an interpreter of its own, which may crash or hang without harm."""

    def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
            capture_output=True,
            text=True,
            timeout=HANGS_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def decimal_comma(tmp_path: Path) -> dict[str, str]:
    """The environment in which the locale `comma` writes 0.9 as 0,9: one compiled by hand.

    glibc's LC_NUMERIC file: a magic number, six offsets, then the decimal point, the thousands
    separator and the grouping, the first two again as wide characters, and the character set.
    """
    header = struct.pack("<8I", 0x20031114, 6, 0x20, 0x22, 0x23, 0x24, 0x28, 0x2C)
    wide = struct.pack("<2I", ord(","), 0)
    (tmp_path / "comma").mkdir()
    (tmp_path / "comma/LC_NUMERIC").write_bytes(header + b",\0\0\0" + wide + b"UTF-8\0")
    return {"LOCPATH": str(tmp_path)}


@pytest.fixture(scope="session")
def guarded_memory(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which a read past a block's end crashes at once: see guard_malloc.c.

    It needs a C compiler, as durable-rules itself does.
    """
    library = tmp_path_factory.mktemp("guard") / "guard_malloc.so"
    source = Path(__file__).with_name("guard_malloc.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-fno-builtin", "-o", library, source], check=True
    )
    return {"LD_PRELOAD": str(library)}
