"""The real service in a process of its own, and clients that do not give up."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from app.settings import Settings
from tests.app.http.routes.running import CAR_PRICE, CLOUDEVENTS, observation
from tests.patience import HANGS_SECONDS
from tests.repository import REPOSITORY

PROGRAM = """
from app.http.connections import Server, configured
from app.main import create_app
from app.settings import Settings

class Listening(Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("listening", self.servers[0].sockets[0].getsockname()[1], flush=True)

settings = Settings()
Listening(configured(create_app(settings), settings, port=0, log_level="critical")).run()
"""
NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # over plain http no certificate need be read
Answer = tuple[int, Any]  # status and body


class Service:
    """One process that serves. Use as a context manager, which kills it at the end."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, **settings.as_environment(), **(environment or {})},
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        word, port = self.process.stdout.readline().split()
        assert word == "listening"
        self.address = f"http://127.0.0.1:{port}"

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """kill -9, whatever it does."""
        self.process.kill()
        self.process.wait(HANGS_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def client(self) -> httpx2.Client:
        """A client of this process alone."""
        return httpx2.Client(base_url=self.address, timeout=HANGS_SECONDS, verify=NOBODY)

    def adopt(self) -> None:
        """Let it know what a car is."""
        with self.client() as client:
            answer = client.post(
                "/contracts", content=CAR_PRICE, headers={"Content-Type": "application/yaml"}
            )
            assert answer.status_code in (200, 201), answer.text


def cars(first: int, count: int) -> list[dict[str, Any]]:
    """Observations of `count` cars, each with an id of its own."""
    return [observation(f"car {id}", car_id=id) for id in range(first, first + count)]


def send(client: httpx2.Client, events: Sequence[dict[str, Any]]) -> httpx2.Response:
    return client.post("/events", json=list(events), headers={"Content-Type": CLOUDEVENTS})
