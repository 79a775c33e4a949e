"""The cars of the demo as a service takes them: documents, an upload, predictions, true values."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from app.cli.remote import Service
from app.cli.terminal import CommandRefused

MODELS: Final = ("car-price", "car-sales")
_ROOT: Final = Path(__file__).parents[2]

Car = dict[str, str]  # a row of the data set, as text


def cars() -> Iterator[Car]:
    """The rows of the shipped data set."""
    with (_ROOT / "data" / "us_cars_1971_1990.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def adopt(service: Service) -> None:
    """Bring in the policy and both contracts."""
    policy = _ROOT / "rules" / "policies" / "strict-and.yaml"
    service.send("/policies", policy.read_bytes(), "application/yaml")
    for model in MODELS:
        contract = _ROOT / "data" / "contracts" / f"{model}.yaml"
        service.send("/contracts", contract.read_bytes(), "application/yaml")


def upload(service: Service, model: str, rows: Sequence[Car]) -> None:
    """Send labelled cars as one CSV. Raises CommandRefused when one of them is not taken."""
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    content = ("\n".join(lines) + "\n").encode()
    answer = service.send(f"/models/{model}/datasets", content, "text/csv")
    if answer["accepted"] != len(rows):
        raise CommandRefused(f"{model}: {answer['accepted']} of {len(rows)} rows were accepted")


def predict_and_label(service: Service, model: str, rows: Sequence[Car]) -> None:
    """Post one year's cars for prediction, then their true values as outcomes."""
    contract = service.get(f"/models/{model}")["contract"]
    target = contract["target"]["name"]
    wanted = {item["name"]: item for item in (*contract["features"], *contract.get("columns", []))}
    asked = [{name: _typed(car[name], wanted[name]) for name in wanted} for car in rows]
    answer = service.post("/predictions", {"model": model, "rows": asked})
    outcomes = [
        {
            "specversion": "1.0",
            "id": f"{model}/{car['year']}/{car['car_id']}",
            "source": "/demo/us-cars",
            "type": "org.whyledger.outcome.v1",
            "data": {
                "model": model,
                "prediction_id": made["prediction_id"],
                "label": float(car[target]),
            },
        }
        for car, made in zip(rows, answer["predictions"], strict=True)
    ]
    service.send("/events", orjson.dumps(outcomes), "application/cloudevents-batch+json")


def _typed(text: str, column: dict[str, Any]) -> float | int | str:
    """A CSV cell as the contract's column wants it in JSON."""
    if column["type"] == "category":
        category: int | str = next(c for c in column["categories"] if str(c) == text)
        return category
    if column["type"] == "text":
        return text
    return int(text) if column["type"] == "integer" else float(text)
