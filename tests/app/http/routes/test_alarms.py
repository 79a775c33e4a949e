"""What is wrong beside the requests stands in /readyz, in words, and goes when it is over."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import event

from app.settings import Settings
from tests.app.http.routes.running import adopt, observation, process_behind, running, send
from tests.patience import until


def alarms(client: TestClient) -> dict[str, str]:
    said: dict[str, str] = client.get("/readyz").json()["alarms"]
    return said


def test_an_anchor_that_keeps_no_copy_is_an_alarm_until_it_keeps_one(
    settings: Settings, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.notes"
    kept.mkdir()  # where the file should stand
    anchored = settings.model_copy(update={"anchor_file": str(kept)})
    with running(anchored) as client:
        note = client.get("/ledger/checkpoint", params={"new": True}).text
        until(lambda: "anchors" in alarms(client))
        assert f"file {kept} failed " in alarms(client)["anchors"]
        assert f"last with {kept} cannot be used: Is a directory" in alarms(client)["anchors"]
        assert client.get("/readyz").status_code == 200

        kept.rmdir()
        until(lambda: alarms(client) == {})
        assert note in kept.read_text()


def test_a_ledger_that_takes_no_write_is_an_alarm_until_it_takes_one(
    sqlite_settings: Settings,
) -> None:
    silent = sqlite_settings.model_copy(update={"checkpoint_seconds": 3600.0})
    with running(silent) as client:
        adopt(client)
        fills_its_disk = _Disk(client)
        sent: Any = [observation(str(number), car_id=number) for number in range(1000)]
        refused = send(client, sent)
        assert (refused.status_code, "Make room on its disk" in refused.text) == (503, True)
        assert alarms(client) == {"writing": refused.json()["detail"]}

        fills_its_disk.has_room = True
        assert send(client, sent).status_code == 201
        assert alarms(client) == {}


class _Disk:
    """SQLite's file may not grow beyond what it holds now, until there is room."""

    def __init__(self, client: TestClient) -> None:
        self.has_room = False
        engine = process_behind(client).ledger.engine
        with engine.connect() as connection:
            self._pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        event.listen(engine, "checkout", self._bounded)

    def _bounded(self, raw: sqlite3.Connection, *_: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {10**6 if self.has_room else self._pages}")
