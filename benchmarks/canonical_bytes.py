"""Canonical bytes of entries like those a prediction writes: ours against `rfc8785` and `orjson`.

    python -m benchmarks.canonical_bytes

`orjson` with sorted keys is the floor, and is not RFC 8785; `rfc8785` is the plain way to be right.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import orjson
import rfc8785

from benchmarks.report import per_second, report
from domain.canonical import canonical_bytes

CARS = Path(__file__).parents[1] / "data" / "us_cars_1971_1990.csv"
NUMBERS = ("price", "hpwt", "mpd", "mpg", "space")
ENTRIES = 500


def main() -> None:
    """Print how many documents a second each of the three writes, and the ratio to `rfc8785`."""
    documents = [_entry(index, car) for index, car in enumerate(_cars()[:ENTRIES])]
    for document in documents:
        if canonical_bytes(document) != rfc8785.dumps(document):
            raise AssertionError(f"not the bytes of RFC 8785: {document}")
    rates = {
        "rfc8785": per_second(lambda: [rfc8785.dumps(d) for d in documents], units=ENTRIES),
        "domain.canonical": per_second(
            lambda: [canonical_bytes(d) for d in documents], units=ENTRIES
        ),
        "orjson, sorted keys": per_second(
            lambda: [orjson.dumps(d, option=orjson.OPT_SORT_KEYS) for d in documents],
            units=ENTRIES,
        ),
    }
    report(
        "canonical bytes of one prediction's entry",
        [
            {"writer": name, "documents/s": rate, "times rfc8785": rate / rates["rfc8785"]}
            for name, rate in rates.items()
        ],
    )


def _cars() -> list[dict[str, str]]:
    with CARS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _entry(index: int, car: dict[str, str]) -> dict[str, Any]:
    """An envelope with a car in it, of the size and kinds of values the ledger holds."""
    row: dict[str, Any] = {name: float(car[name]) for name in NUMBERS}
    row |= {"year": int(car["year"]), "region": car["region"], "air": int(car["air"])}
    return {
        "v": 1,
        "id": f"01890a5d-ac96-774b-bcce-{index:012x}",
        "stream": "predictions-car-price",
        "type": "prediction.made",
        "schema": 1,
        "occurred_at": f"{car['year']}-07-01T00:00:00.000000Z",
        "recorded_at": "2026-02-03T10:11:12.123456Z",
        "actor": "local:unauthenticated",
        "correlation_id": f"01890a5d-ac96-774b-aaaa-{index:012x}",
        "causation_id": None,
        "data": {
            "model": "car-price",
            "model_version": "car-price/7",
            "plan_sha256": "cbf344bd470f82ad8c2fa9d8c094a5a9a9dd91cbdbf937d55fbed2b6ba985950",
            "row": row,
            "prediction": float(car["price"]) * 1.01,
        },
    }


if __name__ == "__main__":
    main()
