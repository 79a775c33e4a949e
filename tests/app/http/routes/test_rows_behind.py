"""Rows are folded behind the answers: by a process beside it, or for a while not at all."""

from __future__ import annotations

from typing import Any

from app.ledger.store import Ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from tests.app.http.routes.running import (
    AMC,
    adopt,
    outcome,
    predict,
    process_behind,
    running,
    send,
    serve_champion,
)
from tests.app.http.routes.test_datasets import GOOD, HEADER, upload
from tests.patience import until

OTHER = {**AMC, "car_id": 7}


def named(row: dict[str, Any]) -> dict[str, Any]:
    return {"identity": {name: row[name] for name in ("year", "car_id")}}


def test_with_a_process_that_folds_everybody_sees_what_he_just_sent(settings: Settings) -> None:
    """As a service runs: predictions, and at once their labels, an upload and a correction."""
    with running(settings.model_copy(update={"rows_folded_beside": True})) as client:
        adopt(client)
        serve_champion(client)
        for number in range(3):
            predict(client, AMC, OTHER)
            labels = [
                outcome(f"{number}-{row['car_id']}", 5.5, **named(row)) for row in (AMC, OTHER)
            ]
            assert send(client, labels).status_code == 201
        assert upload(client, HEADER, GOOD).json()["accepted"] == 1
        corrected = upload(client, HEADER, GOOD.replace("4.935802", "4.5")).json()
        assert (corrected["accepted"], corrected["corrections"]) == (1, 1)

        def all_folded() -> bool:
            ready = client.get("/readyz").json()
            return bool(ready["rows"] == ready["size"])

        until(all_folded)
        assert rebuild(process_behind(client).ledger).differing == ()


def test_while_rows_cannot_be_folded_a_label_by_identity_waits_and_one_by_id_does_not(
    settings: Settings,
) -> None:
    with running(settings.model_copy(update={"busy_timeout_seconds": 0.3})) as client:
        adopt(client)
        serve_champion(client)
        made = predict(client, AMC, OTHER)["predictions"]
        ledger: Ledger = process_behind(client).ledger
        with ledger.rows.writing():
            by_identity = send(client, outcome("1", 5.5, **named(AMC)))
            by_id = send(client, outcome("2", 5.5, prediction_id=made[1]["prediction_id"]))
        assert (by_identity.status_code, by_id.status_code) == (503, 201)
        assert int(by_identity.headers["Retry-After"]) > 0
        assert by_identity.json()["detail"].endswith("Try again.")
        assert send(client, outcome("1", 5.5, **named(AMC))).status_code == 201
