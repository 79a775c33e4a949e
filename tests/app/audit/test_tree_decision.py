"""A decision by a tree: its clauses and its nodes are told in the same words by every door."""

from __future__ import annotations

import html
import json
import re

from app.audit.cycle import cycle_told
from app.audit.decision import decisions
from app.cli.job_summary import summary
from domain.canonical import digest
from domain.events.events import PolicyAdopted
from tests.app.car_ledger import CarLedger, document
from tests.app.cli.command_line import whyledger
from tests.app.http.routes.running import running
from tests.plausible import TIME, an

ANY_EVIDENCE = document("rules", "policies", "any-evidence.yaml")
NEEDED = (
    "new samples and cool-down and ((feature drift and prediction drift p) or "
    "(error increase and error increase p) or residual evidence)"
)


def test_a_decision_by_a_tree_is_told_with_its_nodes_by_every_door(cars: CarLedger) -> None:
    sha256 = digest(ANY_EVIDENCE)
    said = {"policy": "any-evidence", "policy_digest": sha256}
    adopted = an(PolicyAdopted, **said, document=ANY_EVIDENCE)
    cars.append("policy-any-evidence", [(adopted, TIME)])
    cars.answers(cars.rows([1976], most=20))
    cars.runs("1977-01-01T00:00:00.000000Z", **said)
    with cars.ledger.connect() as connection:
        [told, _] = decisions(connection)
    cars.ledger.close()

    assert told.outcome == "keep: rules not met"
    assert "and neither " in told.sentence
    root, either, drift, error = told.nodes
    assert (root.node, root.verdict, root.joins) == ("when", "unmet", NEEDED)
    assert (either.operator, drift.of[0], error.of[0]) == ("any", "feature_drift", "error_increase")

    state = cars.settings.state_dir
    lines = whyledger(state, "why", told.id).stdout.splitlines()
    for node in told.nodes:
        assert f"{node.symbol}\t{node.node}\t{node.verdict}\t{node.joins}" in lines
    report = whyledger(state, "export", "--format", "html").stdout
    assert f"<td>{root.symbol} {root.verdict}</td><td>{NEEDED}</td>" in report
    with running(cars.settings) as service:
        answer = service.get(f"/audit/decisions/{told.id}").json()
        page = service.get("/?model=car-price").text
        steps = service.get(f"/models/car-price/cycles/{told.cycle}").json()["steps"]
    assert [each["joins"] for each in answer["nodes"]] == [node.joins for node in told.nodes]
    assert f"needed: {NEEDED}" in html.unescape(page)
    assert "and all must be" not in page
    shown = re.sub(r"\\(.)", r"\1", summary(cycle_told(steps)))
    assert f"| {root.node} | {root.symbol} {root.verdict} | {NEEDED} |" in html.unescape(shown)
    assert json.loads(whyledger(state, "why", told.id, "--json").stdout)["nodes"] == answer["nodes"]
