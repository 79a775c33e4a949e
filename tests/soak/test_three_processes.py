"""Three services on one PostgreSQL, one killed at random: one order, and whoever reads sees all."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import pytest

from app.ledger.store import Ledger
from app.settings import Settings
from domain.events.events import ObservationRecorded
from domain.events.expansion import expanded
from tests.patience import HANGS_SECONDS
from tests.soak.progress import counted
from tests.soak.service import Service, cars, send
from tests.soak.watching import Watch

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

KILLS_SHORT = 1
KILLS_LONG = 12
CLIENTS = 4
BATCH = 5
PAUSE_SECONDS = 0.02  # between two batches of one client


class Three:
    """Three services; a killed one is replaced."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.services = [Service(settings) for _ in range(3)]

    def kill_one(self, chance: random.Random) -> None:
        """kill -9 one of them, and start another in its place a moment later."""
        which = chance.randrange(3)
        self.services[which].kill()
        time.sleep(chance.uniform(0, 0.5))
        self.services[which] = Service(self._settings)

    def close(self) -> None:
        for service in self.services:
            service.kill()


@pytest.fixture
def three(ledger: Ledger, settings: Settings) -> Iterator[Three]:
    made = Three(settings)
    made.services[0].adopt()
    yield made
    made.close()


class Sender(threading.Thread):
    """Sends cars, to one service or another, the same ones again until they are acknowledged."""

    def __init__(self, three: Three, first: int) -> None:
        super().__init__()
        self._three = three
        self._next = first
        self.ended = threading.Event()
        self.acknowledged: dict[str, int] = {}  # event id -> position
        self.retries = 0

    def run(self) -> None:
        chance = random.Random(self._next)
        while not self.ended.wait(PAUSE_SECONDS):
            batch = cars(self._next, BATCH)
            self._next += BATCH
            deadline = time.monotonic() + HANGS_SECONDS
            while time.monotonic() < deadline:
                with (
                    suppress(httpx2.TransportError),
                    chance.choice(self._three.services).client() as client,
                ):
                    answer = send(client, batch)
                    if answer.status_code == 201:
                        for each in answer.json()["recorded"]:
                            self.acknowledged[each["id"]] = each["position"]
                        break
                self.retries += 1
                time.sleep(0.05)
            else:
                raise TimeoutError("nobody took the cars")


class Subscriber(threading.Thread):
    """Reads by position, from any of the three, and keeps what it was given."""

    def __init__(self, three: Three) -> None:
        super().__init__()
        self._three = three
        self.ended = threading.Event()
        self.seen: list[tuple[str, str]] = []  # position and row as a cursor, event id

    def run(self) -> None:
        chance = random.Random(3)
        while True:
            last_look = self.ended.is_set()
            page = self._page(chance.choice(self._three.services))
            self.seen += page or ()
            if page is not None and not page:
                if last_look:
                    return
                time.sleep(0.01)

    def _page(self, service: Service) -> list[tuple[str, str]] | None:
        """The next events; None when that service does not answer."""
        after = self.seen[-1][0] if self.seen else "-1"
        with suppress(httpx2.TransportError), service.client() as client:
            answer = client.get("/events", params={"cursor": after, "limit": 100})
            if answer.status_code == 200:
                return [(event["sequence"], event["id"]) for event in answer.json()]
        return None


def test_order_stays_dense_and_a_subscriber_sees_every_event_once(
    three: Three, ledger: Ledger, soaking: bool, kills_asked: int | None
) -> None:
    chance = random.Random(7)
    subscriber = Subscriber(three)
    senders = [Sender(three, 1_000_000 * (number + 1)) for number in range(CLIENTS)]
    for thread in (subscriber, *senders):
        thread.start()
    for _ in counted(kills_asked or (KILLS_LONG if soaking else KILLS_SHORT), "kills"):
        time.sleep(chance.uniform(0.5, 1.5))
        three.kill_one(chance)
    time.sleep(0.5)
    for sender in senders:
        sender.ended.set()
    for sender in senders:
        sender.join(HANGS_SECONDS)
        assert not sender.is_alive()
    subscriber.ended.set()
    subscriber.join(HANGS_SECONDS)
    assert not subscriber.is_alive()

    watch = Watch(ledger)
    watch.look()
    for sender in senders:
        assert sender.acknowledged
        watch.assert_kept(sender.acknowledged)
    cursors = [cursor for cursor, _ in subscriber.seen]
    assert len(set(cursors)) == len(cursors)
    seen = [(int(cursor.partition(".")[0]), id) for cursor, id in subscriber.seen]
    assert list(dict.fromkeys(position for position, _ in seen)) == list(range(watch.size))
    assert {id: position for position, id in seen} == watch.positions
    recorded = [
        row.event.source_id
        for row in expanded(ledger.read(-1, watch.size))
        if isinstance(row.event, ObservationRecorded)
    ]
    assert len(set(recorded)) == len(recorded)  # sent again is not recorded again
