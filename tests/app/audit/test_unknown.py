"""What does not exist is refused in the same words by every door."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli.main import app
from app.settings import Settings
from domain.errors import UnknownModel, UnknownThing, WhyledgerError
from tests.app.http.routes.running import adopt, running

NOBODY = "boat-price"
CYCLE = "car-price-99"
DECISION = "0198f0a0-0000-7000-8000-000000000000"


@pytest.fixture
def service(sqlite_template: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A service that knows one model, of which nothing was asked yet."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    with running(Settings(state_dir=tmp_path)) as client:
        adopt(client)
        yield client


def said(answer: Any) -> str:
    """What the service says of a refusal."""
    detail: str = answer.json()["detail"]
    return detail


def typed(state: Path, *arguments: str) -> str:
    """What the command, which must be refused, says of that."""
    refused = CliRunner().invoke(app, arguments, env={"WHYLEDGER_STATE_DIR": str(state)}).exception
    assert isinstance(refused, WhyledgerError), (arguments, refused)
    return refused.message


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "command",
    [
        ("state", "--model", NOBODY),
        ("decisions", "--model", NOBODY),
        ("export", "--model", NOBODY),
        ("import", NOBODY, __file__),
        ("rollback", NOBODY, "--to", "x", "--reason", "y"),
    ],
)
def test_an_unknown_model_is_refused_alike_by_every_command(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert typed(tmp_path, *command) == UnknownModel.named(NOBODY).message


def test_an_unknown_model_is_refused_alike_by_every_route(service: TestClient) -> None:
    csv = {"Content-Type": "text/csv"}
    refusals = {
        said(service.get(f"/models/{NOBODY}")),
        said(service.get(f"/models/{NOBODY}/health")),
        said(service.get(f"/models/{NOBODY}/cycles")),
        said(service.get(f"/?model={NOBODY}")),
        said(service.get(f"/audit/decisions?model={NOBODY}")),
        said(service.get(f"/audit/export?format=csv&model={NOBODY}")),
        said(service.post(f"/models/{NOBODY}/cycles", json={})),
        said(service.post(f"/models/{NOBODY}/datasets", content="a", headers=csv)),
        said(service.post(f"/models/{NOBODY}/rollbacks", json={"to": "x", "reason": "y"})),
        said(service.post("/predictions", json={"model": NOBODY, "row": {}})),
    }

    assert refusals == {UnknownModel.named(NOBODY).message}


@pytest.mark.parametrize("cycle", [CYCLE, "car-sales-1", "twelve"])
def test_a_cycle_that_is_none_of_the_models_is_refused_alike(
    service: TestClient, cycle: str
) -> None:
    assert said(service.get(f"/models/car-price/cycles/{cycle}")) == (
        UnknownThing.cycle(cycle).message
    )


@pytest.mark.parametrize("decision", [DECISION, "yesterdays"])
def test_an_unknown_decision_is_refused_alike_by_route_and_command(
    service: TestClient, tmp_path: Path, decision: str
) -> None:
    refusals = {said(service.get(f"/audit/decisions/{decision}")), typed(tmp_path, "why", decision)}

    assert refusals == {UnknownThing.decision(decision).message}


def test_an_entry_that_is_not_there_yet_is_refused_alike_with_and_without_receipt(
    service: TestClient,
) -> None:
    size = service.get("/ledger/signing").json()["size"]
    entry = f"/ledger/events/{size}"

    assert {said(service.get(entry)), said(service.get(f"{entry}?receipt=true"))} == {
        UnknownThing.entry(size, size).message
    }
