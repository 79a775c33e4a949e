"""The first change that CONTRIBUTING proposes can be made, and does what the page says."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from domain.decisions import lifecycle
from domain.errors import RollbackRefused
from domain.events.events import CandidatePromoted, ContractAdopted
from tests.docs.markdown import blocks, read
from tests.repository import REPOSITORY

PAGE = read(".github/CONTRIBUTING.md")
TEST = "tests/domain/decisions/test_lifecycle.py"
CODE = "domain/decisions/lifecycle.py"
ADOPTED = ContractAdopted(model="car-price", contract={"model": "car-price"}, contract_digest="c1")
SERVES = CandidatePromoted(
    model="car-price",
    model_version="car-price/1",
    replaced=None,
    plan_sha256="p1",
    reference_sha256="r1",
    cycle="car-price-1",
    as_of="1976-01-01T00:00:00.000000Z",
    trained_until="1975-07-01T00:00:00.000001Z",
    registry_run="run1",
)


def changed(file: str, diff: str) -> str:
    """The file after the diff of the page. What it takes away stands there once."""
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] != "+")
    new = "".join(line[1:] for line in lines if line[0] != "-")
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_the_first_change_can_be_made_and_makes_its_test_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_test, of_code = blocks(PAGE, "diff")
    wanted = changed(TEST, of_test).split('saying="Earlier champions: none. ')[1].split('"')[0]
    (tmp_path / "lifecycle.py").write_text(changed(CODE, of_code))
    spec = spec_from_file_location("changed_lifecycle", tmp_path / "lifecycle.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where dataclasses look for their module
    spec.loader.exec_module(module)

    with pytest.raises(RollbackRefused, match=wanted):
        module.roll_back(
            module.fold([ADOPTED, SERVES]),
            module.RollBack(model="car-price", to="car-price/1", reason="-"),
        )


def test_the_page_shows_what_is_refused_today() -> None:
    with pytest.raises(RollbackRefused) as refusal:
        lifecycle.roll_back(
            lifecycle.fold([ADOPTED, SERVES]),
            lifecycle.RollBack(model="car-price", to="car-price/1", reason="-"),
        )

    assert f"error: {refusal.value}" in "".join(blocks(PAGE, "text")).splitlines()
