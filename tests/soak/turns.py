"""All that happens to a model, turn after turn: asked, told, trained, rolled back, erased."""

from __future__ import annotations

import csv
import io
import itertools
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2

from app.cause import Cause
from app.intake.erasure import erase
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import LedgerBusy, TrainingFailed
from domain.events.events import Row
from tests.app.car_ledger import CarLedger, moved_to, year_end
from tests.app.http.routes.running import outcome
from tests.app.people import MARKER, key_of
from tests.forked import Forked
from tests.patience import until
from tests.soak.replicas import PAUSE_SECONDS, Replicas
from tests.soak.service import cars as observations
from tests.soak.service import send

ROWS = 12  # of a turn: half are predicted and then told, half are uploaded
UPLOADS = 2  # that half comes in
TURNS_OF_A_CYCLE = 12  # it takes longer than all else, as does an erasure
TURNS_OF_AN_ERASURE = 4
TURNS_OF_A_YEAR = 20
KNOWN_CARS = 200  # the cars that are observed again and again, so that a training stays small
OBSERVED_EVERY_SECONDS = 0.3  # so that the ledger of a thousand kills can still be read at the end
LAST_YEAR = 2024  # what lies ahead is looked at by no cycle
AGAIN_SECONDS = 2.0  # after which a cycle that has not ended is asked for again
PERSON_CAN_WAIT = 7  # what the one who erases ends with when it has to be asked again


@dataclass(slots=True)
class Said:
    """What was acknowledged so far, and what is being done now."""

    now: str = "nothing"
    failed: bool = False  # nothing will be done any more
    done: Counter[str] = field(default_factory=Counter)
    positions: dict[str, int] = field(default_factory=dict)  # event id -> position
    uploads: set[str] = field(default_factory=set)  # digests
    rolled_back: set[int] = field(default_factory=set)  # positions
    erased: list[tuple[str, str]] = field(default_factory=list)  # marker and key of a person's row
    eraser: Forked | None = None


class Turns:
    """One turn after another, each until all of it is acknowledged.

    Args:
        replicas: who is asked.
        cars: the ledger as the test itself sees it; only looked at.
        said: where what was acknowledged is noted.
    """

    def __init__(self, replicas: Replicas, cars: CarLedger, said: Said) -> None:
        self._replicas = replicas
        self._cars = cars
        self._said = said
        self._chance = random.Random(11)
        self._earlier: str | None = None  # what served before the champion
        self.over = threading.Event()

    def run(self) -> None:
        """Until it is over; the turn that was begun is ended."""
        try:
            for number in itertools.count():
                if self.over.is_set():
                    return
                self._turn(number)
        except BaseException:
            self._said.failed = True
            raise

    def _turn(self, number: int) -> None:
        year = min(1976 + number // TURNS_OF_A_YEAR, LAST_YEAR)
        shipped = self._cars.rows([1976 + number % 15], most=ROWS)
        rows = [
            row | {"car_id": 1_000_000 + 100 * number + n, "owner": None}
            for n, row in enumerate(moved_to(year, shipped))
        ]
        asked, uploaded = rows[: ROWS // 2], rows[ROWS // 2 :]
        person = uploaded[0]
        person["owner"] = f"{MARKER}-{number}."
        self._predict(number, asked)
        for part in range(UPLOADS):
            self._upload(uploaded[part::UPLOADS])
        if number % TURNS_OF_A_CYCLE == 0:
            self._cycle(year_end(year))
        self._roll_back()
        if number % TURNS_OF_AN_ERASURE == 0:
            self._erase(str(person["owner"]), key_of(person))

    def _predict(self, number: int, rows: list[Row]) -> None:
        """Ask for them with a key, and then say what they cost."""
        self._said.now = "predictions"
        body = {"model": "car-price", "rows": [without_price(row) for row in rows]}
        key = {"Idempotency-Key": f"turn-{number}"}
        answer = self._ask("/predictions", 200, json=body, headers=key)
        made = answer.json()["predictions"]
        self._said.positions |= {one["prediction_id"]: one["position"] for one in made}
        self._said.done["predictions"] += len(made)
        self._said.now = "labels"
        events = [
            outcome(f"label {number} {n}", row["price"], prediction_id=one["prediction_id"])
            for n, (row, one) in enumerate(zip(rows, made, strict=True))
        ]
        answer = self._replicas.ask(lambda client: send(client, events), self._chance)
        assert answer.status_code == 201, answer.text
        self._said.positions |= {one["id"]: one["position"] for one in answer.json()["recorded"]}
        self._said.done["labels"] += len(events)

    def _upload(self, rows: list[Row]) -> None:
        self._said.now = "uploads"
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        kind = {"Content-Type": "text/csv"}
        path = "/models/car-price/datasets"
        answer = self._ask(path, 200, content=text.getvalue().encode(), headers=kind).json()
        assert answer["accepted"] + answer["already_known"] == len(rows), answer
        self._said.uploads.add(answer["dataset_sha256"])
        self._said.done["uploads"] += 1

    def _cycle(self, as_of: str) -> None:
        """Ask for one, and again whenever it has not ended after a while, until it has."""
        self._said.now = "cycles"
        before = self._champion()
        number = self._cars.view().cycles_started + 1
        body = {"as_of": as_of, "force": {"reason": "whatever happens"}}
        asked: list[float] = []

        def ended() -> bool:
            if self._ended(number):
                return True
            if not asked or time.monotonic() > asked[-1] + AGAIN_SECONDS:
                self._replicas.ask(
                    lambda client: client.post("/models/car-price/cycles", json=body), self._chance
                )
                asked.append(time.monotonic())
            return False

        until(ended, pause_seconds=PAUSE_SECONDS)
        self._said.done["cycles"] = self._cars.view().cycles_started
        self._said.done["of these given up"] += self._cars.cycle(number).conclusion == "failed"
        if self._champion() != before:
            self._said.done["promotions"] += 1
            self._earlier = before

    def _champion(self) -> str:
        champion = self._cars.view().champion
        assert champion is not None
        return champion

    def _ended(self, number: int) -> bool:
        started = self._cars.view().cycles_started
        return started >= number and self._cars.cycle(started).status == "ended"

    def _roll_back(self) -> None:
        """To the champion of before, if there was one."""
        if self._earlier is None:
            return
        self._said.now = "rollbacks"
        from_, to = self._champion(), self._earlier
        body = {"to": to, "reason": "it was better"}
        path = "/models/car-price/rollbacks"
        answer = self._replicas.ask(lambda client: client.post(path, json=body), self._chance)
        if answer.status_code == 409:  # it was recorded, and its answer was cut off
            assert self._champion() == to, answer.text
        else:
            assert answer.status_code == 201, answer.text
            self._said.rolled_back.add(answer.json()["position"])
        self._said.done["rollbacks"] += 1
        self._earlier = from_

    def _erase(self, marker: str, identity: str) -> None:
        self._said.now = "erasures"
        environment = os.environ | self._cars.settings.as_environment()
        code: int | None = None
        while code != 0:
            self._said.eraser = Forked(erase_one, (identity,), environment)
            code = self._said.eraser.wait()
            assert code in (0, -9, PERSON_CAN_WAIT), code
            self._said.done["of these taken up again"] += code == -9
        self._said.eraser = None
        self._said.erased.append((marker, identity))
        self._said.done["erasures"] += 1

    def _ask(self, path: str, status: int, **how: Any) -> httpx2.Response:
        answer = self._replicas.ask(lambda client: client.post(path, **how), self._chance)
        assert answer.status_code == status, answer.text
        return answer


def erase_one(identity: str) -> int:
    """A process of its own, as the command is; to be killed."""
    settings = Settings()
    ledger = open_ledger(settings)
    try:
        found = erase(
            ledger,
            settings,
            model="car-price",
            identity=identity,
            reason="the owner asked",
            legal_basis="GDPR Art. 17",
            cause=Cause.unauthenticated("asked"),
        )
    except (LedgerBusy, TrainingFailed):
        return PERSON_CAN_WAIT
    return PERSON_CAN_WAIT if found.left else 0


def observe(replicas: Replicas, said: Said, over: threading.Event) -> None:
    """Known cars, again and again, each batch until it is acknowledged."""
    chance = random.Random(12)
    number = 0
    while not over.wait(OBSERVED_EVERY_SECONDS):
        batch = observations(number, 5)
        for event in batch:
            event["data"]["row"] |= {"car_id": number % KNOWN_CARS, "year": 1950}
            number += 1
        answer = replicas.ask(lambda client, batch=batch: send(client, batch), chance)  # type: ignore[misc]
        assert answer.status_code == 201, answer.text
        said.positions |= {one["id"]: one["position"] for one in answer.json()["recorded"]}
        said.done["observations"] += len(batch)


def without_price(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "price"}
