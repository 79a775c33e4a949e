"""One request goes down through the rooms, and none of them is entered from a room below it."""

from __future__ import annotations

import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from tests.app.http.routes.running import (
    AMC,
    CLOUDEVENT,
    adopt,
    observation,
    predict,
    running,
    serve_champion,
)
from tests.repository import REPOSITORY

APP: Final = str(REPOSITORY / "app") + "/"
# (from, to): called although it stands above, and who handed it in.
HANDED_IN: Final = {
    ("ledger", "projections"): "the ledger is given its projection when it is opened",
}
Walk = list[tuple[str, str]]  # each call from one room into another, in order


def heights() -> dict[str, int]:
    """Room -> its place in the import contract, from 0 at the top."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each.get("id") == "rooms")
    return {
        room.strip(): height for height, layer in enumerate(layers) for room in layer.split("|")
    }


def rooms_on(frame: FrameType | None) -> Iterator[str]:
    """The rooms of the frame and of whoever called it, from the innermost."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(APP):
            yield Path(file.removeprefix(APP)).parts[0].removesuffix(".py")
        frame = frame.f_back


class Walking:
    """Notes how calls go from room to room, in every thread that was started since."""

    def __init__(self) -> None:
        self.walk: Walk | None = None

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if self.walk is None or event != "call" or not frame.f_code.co_filename.startswith(APP):
            return
        inner, *callers = rooms_on(frame)
        if not callers:  # a thread begins: the server's, one that it lends a route, the writer's
            self.walk.append(("", inner))
        # What `Repeating` does in the background belongs to no request.
        elif callers[0] != inner and callers[-1] != "background":
            self.walk.append((callers[0], inner))

    def of(self, ask: Callable[[], object]) -> Walk:
        """The walk of what is asked."""
        walk: Walk = []
        self.walk = walk
        ask()
        self.walk = None
        return walk


@contextmanager
def walking() -> Iterator[Walking]:
    made = Walking()
    threading.setprofile(made)
    yield made
    threading.setprofile(None)


@pytest.fixture
def service_and_walking(sqlite_settings: Settings) -> Iterator[tuple[TestClient, Walking]]:
    assert sys.getprofile() is None
    with walking() as made, running(sqlite_settings) as client:
        adopt(client)
        serve_champion(client)
        yield client, made


def post_event(client: TestClient) -> None:
    answer = client.post("/events", json=observation("car 1"), headers={"Content-Type": CLOUDEVENT})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("ask", "rooms"),
    [
        (
            lambda client: predict(client, AMC),
            ["http", "intake", "serving", "ledger", "projections"],
        ),
        (post_event, ["http", "intake", "ledger", "projections"]),
    ],
    ids=["a prediction", "an event"],
)
def test_no_room_is_entered_from_a_room_below_it(
    service_and_walking: tuple[TestClient, Walking],
    ask: Callable[[TestClient], object],
    rooms: list[str],
) -> None:
    client, walking = service_and_walking

    walk = walking.of(lambda: ask(client))

    place = heights()
    upward = {(above, room) for above, room in walk if above and place[room] <= place[above]}
    entered = list(dict.fromkeys(room for _, room in walk))
    assert upward == HANDED_IN.keys()
    assert [room for room in entered if room in rooms] == rooms
