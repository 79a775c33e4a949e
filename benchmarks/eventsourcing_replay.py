"""Run by `benchmarks.replay` in an environment of its own: the peer's side, pyeventsourcing.

Reads payloads (one JSON object a line) from standard input, records them with its SQLite recorder
in the folder named, then prints how many stored events a second it reads back into domain events.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any


def main(folder: str) -> None:
    """Record what comes in, read it all back, print events a second."""
    # Found only in the peer's own environment, so untyped here.
    application: Any = importlib.import_module("eventsourcing.application")
    domain: Any = importlib.import_module("eventsourcing.domain")

    class Predictions(domain.Aggregate):  # type: ignore[misc]
        def __init__(self) -> None:
            self.count = 0

        @domain.event("Made")  # type: ignore[untyped-decorator]
        def made(self, data: dict[str, Any]) -> None:
            self.count += 1

    app = application.Application(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": f"{folder}/peer.db",
        }
    )
    predictions = Predictions()
    expected = 0
    for line in sys.stdin:
        predictions.made(json.loads(line))
        expected += 1
        if expected % 1000 == 0:
            app.save(predictions)
    app.save(predictions)
    began = time.perf_counter()
    found = app.repository.get(predictions.id)
    took = time.perf_counter() - began
    if found.count != expected:
        raise SystemExit(f"replayed {found.count} of {expected} events")
    print(expected / took)


if __name__ == "__main__":
    main(sys.argv[1])
