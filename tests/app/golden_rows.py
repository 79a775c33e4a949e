"""The golden story of rows: alone and in batches, of every kind, about people and not."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi.testclient import TestClient

from app.cause import Cause
from app.intake.erasure import erase
from app.ledger.store import Ledger
from app.settings import Settings
from tests.app.car_ledger import document
from tests.app.http.routes.running import (
    AMC,
    CAR_PRICE,
    adopt,
    observation,
    outcome,
    plan_bytes,
    predict,
    process_behind,
    promote,
    running,
    send,
)
from tests.app.people import MARKER, owned

KEY: Final = "year=1976|car_id=129"  # of `AMC`
_FILE: Final = "year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region{more},price\n"


def rows_together(_: Ledger, settings: Settings) -> None:
    """Everything comes in twice, the second time about people; one of them asks to be forgotten."""
    personal = json.dumps(document("data", "contracts", "car-price.yaml") | owned()).encode()
    with running(settings) as client:
        for number, contract, of in ((1, CAR_PRICE, {}), (2, personal, {"owner": MARKER})):
            adopt(client, contract)
            process = process_behind(client)
            promote(process.ledger, number, plan_bytes(0.25, contract))
            process.champions.refresh()
            _comes_in(client, str(number), of)
        erase(
            process.ledger,
            settings,
            model="car-price",
            identity=KEY,
            reason="the owner asked",
            legal_basis="GDPR Art. 17",
            cause=Cause.unauthenticated("asked"),
        )
        _comes_in_again(client)


def _comes_in(client: TestClient, run: str, of: dict[str, Any]) -> None:
    """Rows alone and in batches: predicted (once under a key, and repeated), labelled, observed."""
    person, others = AMC | of, [AMC | {"car_id": car} for car in (7, 8)]
    alone = predict(client, person)["predictions"]
    under_key = {"Idempotency-Key": f"batch-{run}"}
    batch = predict(client, others[0], person, others[1], **under_key)["predictions"]
    repeated = predict(client, others[0], person, others[1], **under_key)["predictions"]
    assert [each["prediction_id"] for each in repeated] == [e["prediction_id"] for e in batch]
    labels = [
        outcome(f"{run} of {at}", 4.5 + at, prediction_id=each["prediction_id"])
        for at, each in enumerate((*alone, *batch))
    ]
    corrected = [
        outcome(f"{run} again of {car}", 5.5, identity={"year": 1976, "car_id": car})
        for car in (7, 129, 8)
    ]
    seen = [observation(f"{run} {at}", **row) for at, row in enumerate((person, *others, person))]
    traced = seen[2] | {"id": f"{run} traced", "traceparent": "00-ab-cd-01"}
    for sent in (labels[0], labels[1:], corrected, seen[0], [*seen[1:3], traced, seen[3]]):
        answer = send(client, sent)
        assert answer.status_code == 201, answer.text
    heads = _FILE.format(more="".join(f",{name}" for name in of))
    for cars in ((129,), (129, 9)):
        lines = []
        for car in cars:
            cells = "".join(f",{value if car == AMC['car_id'] else ''}" for value in of.values())
            lines.append(
                f"1976,{car},AMGREM71,0.528997,1.888146,1.697,1.1502,0,US{cells},{5 + len(cars)}.25"
            )
        answer = client.post(
            "/models/car-price/datasets",
            content=heads + "\n".join(lines),
            headers={"Content-Type": "text/csv"},
        )
        assert answer.json()["accepted"] == len(cars), answer.text


def _comes_in_again(client: TestClient) -> None:
    """After the erasure: the row of a person who comes back, alone and among others."""
    back = AMC | {"owner": None}
    predict(client, back)
    predict(client, AMC | {"car_id": 7}, back)
