"""Requests generated from the whole document: none ends in a 5xx, no answer is undeclared.

Schemathesis makes them: valid ones and ones that break a single rule of the document.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, openapi
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation

from tests.app.http.routes.running import process_behind
from tests.app.many_rows import observations, put_many

CASES_MIN = 2_500
# Of each operation, valid ones and invalid ones, at most: on SQLite; on PostgreSQL so much fewer.
EXAMPLES = {True: 1500, False: 54}
FEWER = 9
KNOWN = {"model": "car-price", "position": 3, "row": 1, "level": 0, "index": 0}
CHECKED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


def ask(
    client: TestClient,
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    examples: int,
    answered: Counter[int],
) -> None:
    """Ask for that many generated cases of an operation, and hold each answer to the document."""
    checks: Any = CHECKS.get_by_names(CHECKED)

    @settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def one(case: Case[Any], known: bool) -> None:
        if known:  # else hardly any would be of a model that is there
            case.path_parameters |= {n: v for n, v in KNOWN.items() if n in case.path_parameters}
        request = case.as_transport_kwargs(base_url=str(client.base_url))
        request.pop("cookies", None)
        if isinstance(request.get("data"), bytes | str):
            request["content"] = request.pop("data")
        answer = client.request(**request)
        answered[answer.status_code] += 1
        case.validate_response(answer, checks=checks)

    one()


@pytest.mark.usefixtures("forked_workers")
def test_no_generated_request_is_answered_with_a_5xx_or_with_what_is_not_declared(
    service: TestClient, soaking: bool
) -> None:
    load_all_checks()
    ledger = process_behind(service).ledger
    fewer = 1 if ledger.engine.dialect.name == "sqlite" else FEWER
    many = put_many(ledger, observations(1, 2))
    assert many.position == KNOWN["position"]
    document = openapi.from_dict(service.get("/openapi.json").json())
    answered: dict[str, Counter[int]] = {}
    for found in document.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        answered[operation.label] = Counter()
        for mode in GenerationMode:
            try:
                ask(service, operation, mode, EXAMPLES[soaking] // fewer, answered[operation.label])
            except Unsatisfiable:  # what has no parameter cannot be asked for wrongly
                assert mode is GenerationMode.NEGATIVE
    statuses = sum(answered.values(), Counter())
    assert statuses.total() >= CASES_MIN // fewer
    assert set(statuses) > {200, 404, 422} | ({201} if fewer == 1 else set())
