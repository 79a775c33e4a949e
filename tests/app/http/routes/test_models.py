"""The models, their health, rollbacks, decisions and exports, over HTTP."""

from __future__ import annotations

import csv
import io
import json

import pytest
from fastapi.testclient import TestClient
from msgspec.structs import replace

from app.projections.models import get_model
from domain.events.cycle_events import CycleStarted, Decided, HealthReported, Outcome
from domain.events.verdicts import ClauseVerdict, verdict_sentence
from tests.app.http.routes.running import (
    AMC,
    CAR_PRICE,
    adopt,
    events_of,
    pages,
    predict,
    process_behind,
    serve_champion,
)
from tests.ledger_events import put
from tests.plausible import VERDICT, an

DAY = "1977-01-01T00:00:00.000000Z"
CLAUSE = ClauseVerdict(
    clause="cool_down",
    fact="hours_since_last_retraining",
    label="cool-down",
    operator=">",
    threshold=24.0,
    unit="h",
    observed=20.8,
    verdict="unmet",
    margin=-3.2,
    note="",
)


def record_cycle(
    client: TestClient, number: int, outcome: Outcome = "keep: rules not met", as_of: str = DAY
) -> str:
    """A kept cycle as the worker would leave it; the decision's id."""
    ledger = process_behind(client).ledger
    with ledger.connect() as connection:
        model = get_model(connection, "car-price")
    assert model is not None
    cycle = f"car-price-{number}"
    facts = {CLAUSE.fact: CLAUSE.observed}
    verdict = replace(VERDICT, facts=facts, clauses=(CLAUSE,), retrain=False)
    sentence = verdict_sentence(outcome, (CLAUSE,))
    events = (
        an(
            CycleStarted,
            cycle=cycle,
            model="car-price",
            number=number,
            as_of=as_of,
            contract_digest=model.contract_digest,
            champion=model.champion,
        ),
        an(Decided, outcome=outcome, verdict=verdict, sentence=sentence),
        an(HealthReported, conclusion="kept", champion=model.champion, mean_shift=0.1),
    )
    recorded = put(ledger, f"cycle-{cycle}", *events, expected=-1, occurred_at=as_of)
    return recorded[1].id


def test_a_model_says_who_serves_since_when_and_under_which_contract(service: TestClient) -> None:
    model = service.get("/models/car-price").json()
    assert (model["champion"], model["answers"]) == ("car-price/1", "car-price/1")
    assert model["policy"] == "strict-and"
    assert model["contract"]["target"]["name"] == "price"
    (listed,) = service.get("/models").json()["models"]
    assert listed == {name: value for name, value in model.items() if name != "contract"}


def test_a_rollback_serves_at_once_and_keeps_its_reason(service: TestClient) -> None:
    serve_champion(service, 2, intercept=0.5)
    assert predict(service, AMC)["model_version"] == "car-price/2"
    answer = service.post(
        "/models/car-price/rollbacks", json={"to": "car-price/1", "reason": "complaints"}
    )
    assert answer.status_code == 201
    assert answer.json()["replaced"] == "car-price/2"
    assert predict(service, AMC)["model_version"] == "car-price/1"
    assert events_of(service, "model.champion-rolled-back")[0]["reason"] == "complaints"


@pytest.mark.parametrize(
    ("body", "status", "saying"),
    [
        ({"to": "car-price/1", "reason": "x"}, 409, "it serves already"),
        ({"to": "car-price/9", "reason": "x"}, 409, "never was champion"),
        ({"to": "car-price/1"}, 422, "/reason: is missing"),
        ({"to": "car-price/1", "reason": " "}, 422, "/reason"),
        ({"to": 1, "reason": "x"}, 422, "/to"),
        ({"to": "car-price/1", "reason": "x", "actor": "me"}, 422, "/actor: is not a known field"),
    ],
)
def test_a_wrong_rollback_is_refused(
    lone_service: TestClient, body: dict[str, object], status: int, saying: str
) -> None:
    answer = lone_service.post("/models/car-price/rollbacks", json=body)
    assert answer.status_code == status
    assert saying in answer.json()["detail"]


def test_health_is_stale_when_nothing_was_evaluated_in_time_and_never_green_without_champion(
    service: TestClient,
) -> None:
    record_cycle(service, 1)
    health = service.get("/models/car-price/health").json()
    assert (health["state"], health["reasons"]) == ("healthy", [])
    assert health["last_cycle"] == "car-price-1"
    assert health["last_report"]["mean_shift"] == 0.1
    assert health["days_since_evaluation"] < 1
    predict(service, AMC)  # of 1976: its label is long overdue
    late = service.get("/models/car-price/health").json()
    assert late["state"] == "stale"
    assert (late["overdue_predictions"], late["overdue_unlabelled"]) == (1, 1)
    assert late["counted_until"] == service.get("/readyz").json()["size"] - 1
    assert "have no label" in late["reasons"][0]


def test_decisions_are_listed_filtered_and_paged_by_position(service: TestClient) -> None:
    outcomes: tuple[Outcome, ...] = (
        "keep: rules not met",
        "keep: no drift",
        "keep: rules not met",
    )
    ids = [
        record_cycle(service, number, outcome, f"{1976 + number}-01-01T00:00:00.000000Z")
        for number, outcome in enumerate(outcomes, start=1)
    ]

    def listed(query: str) -> list[str]:
        answer = service.get(f"/audit/decisions?{query}")
        assert answer.status_code == 200, answer.text
        return [decision["id"] for decision in answer.json()["decisions"]]

    assert listed("") == ids
    assert listed("model=car-price&outcome=keep: no drift") == ids[1:2]
    assert listed("from=1978-01-01T00:00:00Z&to=1979-01-01T00:00:00Z") == ids[1:2]
    adopt(service, CAR_PRICE.replace(b"model: car-price", b"model: car-sales", 1))
    assert listed("model=car-sales") == []
    paged = pages(service, "/audit/decisions?limit=2")
    assert [[each["id"] for each in page["decisions"]] for page in paged] == [ids[:2], ids[2:]]
    filtered = pages(service, "/audit/decisions?outcome=keep: rules not met&limit=1")
    assert [[each["id"] for each in page["decisions"]] for page in filtered] == [
        ids[:1],
        ids[2:],
        [],
    ]


def test_cycles_are_paged_from_the_newest_and_models_by_name(lone_service: TestClient) -> None:
    for number in (1, 2, 3):
        record_cycle(lone_service, number)
    cycles = pages(lone_service, "/models/car-price/cycles?limit=2")
    assert [[each["number"] for each in page["cycles"]] for page in cycles] == [[3, 2], [1]]
    for name in (b"car-sales", b"boat-price"):
        adopt(lone_service, CAR_PRICE.replace(b"model: car-price", b"model: " + name, 1))
    models = pages(lone_service, "/models?limit=2")
    assert [[each["model"] for each in page["models"]] for page in models] == [
        ["boat-price", "car-price"],
        ["car-sales"],
    ]


def test_a_decision_tells_everything_it_stood_on(service: TestClient) -> None:
    id = record_cycle(service, 1)
    decision = service.get(f"/audit/decisions/{id}").json()
    assert decision["sentence"] == "KEEP: cool-down 20.8 h (needs > 24 h)"
    assert decision["decision"]["verdict"]["clauses"][0]["margin"] == -3.2
    cycle = service.get("/models/car-price/cycles/car-price-1").json()
    assert cycle["sentence"] == decision["sentence"]
    assert (cycle["status"], cycle["conclusion"]) == ("ended", "kept")
    (listed,) = service.get("/models/car-price/cycles").json()["cycles"]
    assert listed == cycle


@pytest.mark.parametrize(
    "path",
    [
        "/audit/decisions/0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21",
        "/audit/decisions/nobody",
        "/audit/decisions/%00",
        "/models/car-price/cycles/car-price-9",
        "/models/car-price/cycles/car-sales-1",
        "/models/car-price/cycles/%00",
        "/models/nobody",
        "/models/nobody/health",
        "/models/nobody/cycles",
        "/nowhere",
        "/models/%00",
    ],
)
def test_what_does_not_exist_is_404(lone_service: TestClient, path: str) -> None:
    answer = lone_service.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_export_comes_as_json_lines_csv_and_a_report(service: TestClient) -> None:
    id = record_cycle(service, 1)
    lines = service.get("/audit/export?format=jsonl")
    assert lines.headers["content-type"].startswith("application/jsonl")
    assert [json.loads(line)["kind"] for line in lines.text.splitlines()] == [
        "contract adopted",
        "promoted",
        "decided",
        "reign",
        "value",
    ]
    table = service.get("/audit/export?format=csv&model=car-price")
    assert table.headers["content-type"].startswith("text/csv")
    *_, row, reign, value = csv.DictReader(io.StringIO(table.text))
    assert (reign["kind"], value["kind"]) == ("reign", "value")
    assert (row["id"], row["kind"]) == (id, "decided")
    report = service.get("/audit/export?format=html")
    assert report.headers["content-type"].startswith("text/html")
    assert "KEEP: cool-down 20.8 h (needs &gt; 24 h)" in report.text
    assert "default-src 'none'" in report.headers["content-security-policy"]
    assert service.get("/audit/export?format=pdf").status_code == 422


def test_the_page_is_served_with_a_strict_policy_and_nothing_from_elsewhere(
    service: TestClient,
) -> None:
    record_cycle(service, 1)
    page = service.get("/")
    assert page.status_code == 200
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script" not in page.text
    assert "KEEP: cool-down 20.8 h (needs &gt; 24 h)" in page.text
    assert "style=" not in page.text
    assert service.get("/?model=nobody").status_code == 404
