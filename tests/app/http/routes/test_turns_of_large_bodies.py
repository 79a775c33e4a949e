"""A large body, or one that takes long, waits for its turn, and the others have theirs between."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import AbstractAsyncContextManager, suppress
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from anyio import CapacityLimiter
from fastapi import Request
from fastapi.testclient import TestClient

from app.http.bodies import INLINE_BYTES_MAX, alone, parsed, read_body, wait_as_refused
from app.http.routes.datasets import UPLOADS_AT_ONCE
from domain.errors import WhyledgerError
from tests.app.http.routes.running import AMC

JSON = "application/json"
ONE = {"model": "car-price", "row": AMC}
LARGE = b" " * INLINE_BYTES_MAX
HEADER = "year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price\n"


def turns_taken(monkeypatch: pytest.MonkeyPatch, where: str) -> list[Request]:
    """The requests that take a turn there, from now on."""
    taken: list[Request] = []

    def watched(request: Request) -> AbstractAsyncContextManager[object]:
        taken.append(request)
        return alone(request)

    monkeypatch.setattr(where, watched)
    return taken


@pytest.mark.parametrize(("row", "status", "turns"), [({}, 422, 1), (AMC, 200, 0)])
def test_many_rows_in_a_short_body_wait_for_their_turn_where_they_are_refused(
    lone_service: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    row: dict[str, object],
    status: int,
    turns: int,
) -> None:
    taken = turns_taken(monkeypatch, "app.http.routes.predictions.alone")
    short = orjson.dumps({"model": "car-price", "rows": [row] * 60})
    assert len(short) <= INLINE_BYTES_MAX
    answer = lone_service.post("/predictions", content=short, headers={"Content-Type": JSON})
    assert answer.status_code == status, answer.text[:300]
    assert len(taken) == turns


@pytest.mark.parametrize(
    ("body", "status", "turns"),
    [
        (orjson.dumps(ONE).ljust(2_000), 200, 0),
        (orjson.dumps(ONE).replace(b"US", b"\\u0055S").ljust(2_000), 200, 0),
        (orjson.dumps(ONE).replace(b"US", b"\\u003aS").ljust(2_000), 200, 1),
        (b"[" + b"NaN," * 2_000 + b"1]", 422, 1),
        (b"[NaN]", 422, 0),
        (b'"\xff"'.ljust(2_000), 422, 1),
    ],
)
def test_a_body_of_some_length_that_must_be_read_with_care_takes_a_turn(
    monkeypatch: pytest.MonkeyPatch,
    lone_service: TestClient,
    body: bytes,
    status: int,
    turns: int,
) -> None:
    """The careful reader takes ten times as long, and most of what it reads is refused."""
    taken = turns_taken(monkeypatch, "app.http.bodies.alone")
    answer = lone_service.post("/predictions", content=body, headers={"Content-Type": JSON})
    assert answer.status_code == status, answer.text[:300]
    assert len(taken) == turns


def pause_after(
    monkeypatch: pytest.MonkeyPatch,
    body: bytes,
    *,
    took: float,
    bytes_max: int = 10**6,
    encoding: bytes = b"identity",
) -> tuple[float, int]:
    """Seconds until the next large body has its turn, and how many have theirs until then."""
    clock = chain((0.0,), repeat(took))
    monkeypatch.setattr("app.http.bodies.monotonic_seconds", lambda: next(clock))
    working, refusing = CapacityLimiter(1), CapacityLimiter(1)
    sent = {"type": "http.request", "body": body, "more_body": False}
    waits: list[float] = []

    async def receive() -> dict[str, Any]:
        return sent

    async def read() -> int:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", lambda seconds, *_: waits.append(seconds))
        app = SimpleNamespace(state=SimpleNamespace(working=working, refusing=refusing))
        headers = [(b"content-encoding", encoding)]
        request = Request({"type": "http", "headers": headers, "app": app}, receive)
        with suppress(WhyledgerError):
            await parsed(request, await read_body(request, bytes_max))
        return working.borrowed_tokens + refusing.borrowed_tokens

    taken = asyncio.run(read())
    (seconds,) = waits
    return seconds, taken


def test_after_a_large_body_the_others_have_as_long_for_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pause_after(monkeypatch, b"[1]" + LARGE, took=3600.0) == (3600.0, 1)


def test_after_one_that_is_refused_they_have_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given work that took as long, three times that; a document that took long, a moment more."""
    body = b"[NaN]" + LARGE
    assert pause_after(monkeypatch, body, took=0.01)[0] == pytest.approx(0.03)
    assert pause_after(monkeypatch, body, took=1.0)[0] == pytest.approx(1.05)


@pytest.mark.parametrize("size", [1_001, 900_000])
def test_one_that_is_too_large_waits_too_however_it_comes(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """To receive it is work, which nobody sees who only looks at what is done with it; but no good
    one waits behind it."""
    assert pause_after(monkeypatch, b" " * size, took=0.0, bytes_max=1_000) == (0.05, 1)


@pytest.mark.parametrize(
    "body", [gzip.compress(b"\n" * 10**6), gzip.compress(b"[1]")[:-1], b"none"], ids=len
)
def test_one_that_unpacks_to_nothing_good_waits_too(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """A bomb, one that ends before its end, and one that is none."""
    assert pause_after(monkeypatch, body, took=0.0, encoding=b"gzip") == (0.05, 1)


def test_no_more_than_a_few_wait_to_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given many who leave without an answer, nothing of theirs is kept for long."""
    refusing = CapacityLimiter(1)
    app = SimpleNamespace(state=SimpleNamespace(refusing=refusing))

    async def refuse() -> int:
        request = Request({"type": "http", "headers": [], "app": app})
        waiting = [asyncio.create_task(wait_as_refused(request)) for _ in range(200)]
        await asyncio.sleep(0.01)
        left = sum(not each.done() for each in waiting)
        for each in waiting:
            each.cancel()
        return left

    assert asyncio.run(refuse()) == 64


@pytest.mark.parametrize(("header", "status", "waits"), [("a,b\n", 422, 1), (HEADER, 200, 0)])
def test_a_file_that_is_refused_as_a_whole_is_answered_a_moment_later(
    lone_service: TestClient, monkeypatch: pytest.MonkeyPatch, header: str, status: int, waits: int
) -> None:
    waited: list[Request] = []

    async def wait(request: Request) -> None:
        assert lone_service.app.state.uploads.value == UPLOADS_AT_ONCE, "no place is held meanwhile"  # type: ignore[attr-defined]
        waited.append(request)

    monkeypatch.setattr("app.http.routes.datasets.wait_as_refused", wait)
    answer = lone_service.post(
        "/models/car-price/datasets", content=header, headers={"Content-Type": "text/csv"}
    )
    assert (answer.status_code, len(waited)) == (status, waits)
