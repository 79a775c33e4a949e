"""A running service, spoken to over HTTP: what the commands do with `--url`."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import orjson

from app.cli.terminal import ServiceUnreachable
from domain.errors import WhyledgerError
from domain.faults import Fault

_SECONDS: Final = 90.0  # longer than a request may wait for a cycle
_PROBLEM: Final = "urn:whyledger:problem:"


def client_of(url: str, seconds: float) -> httpx.Client:
    """A client of `url` with that patience; the system's certificates are read for https alone."""
    encrypted = url.startswith("https://")
    trusting = True if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # that trusts nobody
    return httpx.Client(base_url=url, timeout=seconds, verify=trusting)


class ServiceRefused(WhyledgerError):
    """The service answered with a problem; `problem` is its code."""

    code = "service-refused"

    def __init__(self, problem: str, message: str, faults: list[Fault], body: Any) -> None:
        super().__init__(message, faults)
        self.problem = problem
        self.body: dict[str, Any] = body


class Service:
    """One service. Use as a context manager.

    Args:
        url: its address, like http://127.0.0.1:8000.
        seconds: how long an answer may take, but for an upload's.
    """

    def __init__(self, url: str, *, seconds: float = _SECONDS) -> None:
        if not url.startswith(("http://", "https://")):
            raise ServiceUnreachable(
                f"{url!r} is no service URL. Write it like http://127.0.0.1:8000."
            )
        self._url = url.rstrip("/")
        self._client = client_of(self._url, seconds)
        self._patient = httpx.Timeout(seconds, read=None)

    def __enter__(self) -> Service:
        """The service, ready to be asked."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str) -> dict[str, Any]:
        """What stands at `path`. Raises ServiceRefused, ServiceUnreachable."""
        return self._ask("GET", path, None, {})

    def post(
        self, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The answer to `body` sent as JSON. Raises ServiceRefused, ServiceUnreachable."""
        return self.send(path, orjson.dumps(body), "application/json", headers)

    def send(
        self,
        path: str,
        content: bytes | Iterator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer to `content`. Raises ServiceRefused, ServiceUnreachable."""
        return self._ask("POST", path, content, {"Content-Type": media_type, **(headers or {})})

    def upload(self, path: str, content: Iterator[bytes], media_type: str) -> dict[str, Any]:
        """The answer to `content`, however long the service works on it once it has it all."""
        return self._ask("POST", path, content, {"Content-Type": media_type}, patient=True)

    def _ask(
        self,
        method: str,
        path: str,
        content: bytes | Iterator[bytes] | None,
        headers: Mapping[str, str],
        *,
        patient: bool = False,
    ) -> dict[str, Any]:
        timeout = self._patient if patient else self._client.timeout
        try:
            answer = self._client.request(
                method, path, content=content, headers=headers, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise ServiceUnreachable(
                f"the service at {self._url} cannot be reached: {error}. "
                "Start it with `whyledger serve`, or correct the URL."
            ) from error
        try:
            body = answer.json()
        except ValueError:
            body = {}
        if answer.is_error or not isinstance(body, dict):
            raise _refused(answer, body if isinstance(body, dict) else {})
        return body


def _refused(answer: httpx.Response, body: dict[str, Any]) -> ServiceRefused:
    problem = str(body.get("type", "")).removeprefix(_PROBLEM)
    asked = f"{answer.request.method} {answer.request.url.path}"
    detail = body.get("detail") or f"{asked} was answered with {answer.status_code}."
    faults = [
        Fault(str(fault.get("path", "")), str(fault.get("message", "")), fault.get("value"))
        for fault in body.get("faults", [])
    ]
    return ServiceRefused(problem, str(detail), faults, body)
