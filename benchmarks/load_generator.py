"""Our own load: so many connections over loopback, each asking again as soon as it is answered.

Runs in a process of its own, so that measuring does not share the interpreter with what is
measured; `load` starts one and gives back what it counted. HTTP/1.1 with `Content-Length` answers.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import cast

import uvloop

CONNECTIONS_MAX = 256  # the generator is for loopback, not for attacks
SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the generator saw."""

    answers: int
    failed: int  # answers that were not 2xx
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def load(
    port: int,
    path: str,
    bodies: Sequence[object],
    *,
    connections: int,
    seconds: float,
    warm_seconds: float = 0.5,
) -> Load:
    """POST the JSON `bodies` in turn to 127.0.0.1:`port`; counts after `warm_seconds`.

    Raises:
        RuntimeError: some answer was not 2xx, or a connection was cut.
    """
    asked = {
        "port": port,
        "path": path,
        "bodies": list(bodies),
        "connections": min(connections, CONNECTIONS_MAX),
        "seconds": min(seconds, SECONDS_MAX),
        "warm_seconds": warm_seconds,
    }
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.load_generator"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX + 60,
    )
    if finished.returncode:
        raise RuntimeError(f"the load generator failed: {finished.stderr[-2000:]}")
    found = Load(**json.loads(finished.stdout))
    if found.failed:
        raise RuntimeError(f"{found.failed} of {found.answers} answers of {path} were not 2xx")
    return found


class _Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, requests: Sequence[bytes], first: int, seen: _Seen) -> None:
        self._requests = requests
        self._next = first
        self._seen = seen
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head_end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:head_end].lower()
            at = head.index(b"content-length:") + 15
            end = head.find(b"\r", at)
            length = int(head[at : end if end >= 0 else None])
            if len(self._buffer) < head_end + 4 + length:
                return
            self._buffer = self._buffer[head_end + 4 + length :]
            self._seen.answer(time.perf_counter() - self._sent_at, head[9:10] == b"2")
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen.lost += 1

    def _ask(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1


class _Seen:
    def __init__(self) -> None:
        self.counting = False
        self.latencies: list[float] = []
        self.failed = 0
        self.lost = 0

    def answer(self, seconds: float, fine: bool) -> None:
        if self.counting:
            self.latencies.append(seconds)
            self.failed += not fine


async def _generate(asked: dict[str, object]) -> Load:
    port, connections = int(str(asked["port"])), int(str(asked["connections"]))
    bodies = asked["bodies"]
    assert isinstance(bodies, list)
    requests = [_request(port, str(asked["path"]), body) for body in bodies]
    seen = _Seen()
    loop = asyncio.get_running_loop()
    transports = [
        (
            await loop.create_connection(
                lambda number=number: _Connection(  # type: ignore[misc]
                    requests, number * len(requests) // connections, seen
                ),
                "127.0.0.1",
                port,
            )
        )[0]
        for number in range(connections)
    ]
    await asyncio.sleep(float(str(asked["warm_seconds"])))
    seen.counting, began = True, time.perf_counter()
    await asyncio.sleep(float(str(asked["seconds"])))
    seen.counting = False
    took = time.perf_counter() - began
    if seen.lost or len(seen.latencies) < 2:
        raise RuntimeError(f"{seen.lost} connections cut, {len(seen.latencies)} answers")
    for transport in transports:
        transport.abort()
    cuts = quantiles(seen.latencies, n=100)
    return Load(len(seen.latencies), seen.failed, took, cuts[49] * 1000, cuts[98] * 1000)


def _request(port: int, path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


if __name__ == "__main__":
    found = uvloop.run(_generate(json.load(sys.stdin)))
    print(json.dumps({name: getattr(found, name) for name in Load.__slots__}))
