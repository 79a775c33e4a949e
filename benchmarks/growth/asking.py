"""One client: a connection that stays open, one request after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Final

WAIT_SECONDS: Final = 1200.0
_LOOK_SECONDS: Final = 0.1
JSON: Final = "application/json"


@contextmanager
def client(port: int) -> Iterator[Client]:
    """A client of whoever listens there, connected."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)) as connection:
        connection.connect()
        yield Client(connection)


class Client:
    """Asks over one connection."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def get(self, path: str) -> bytes:
        """What stands there. Raises RuntimeError: the answer is not 2xx."""
        return self._answer("GET", path, None, {})

    def post(self, path: str, content: bytes, kind: str = JSON) -> bytes:
        """What is answered to that. Raises RuntimeError: the answer is not 2xx."""
        return self._answer("POST", path, content, {"Content-Type": kind})

    def wait_until_folded(self) -> None:
        """Until our service has nothing to derive any more: what runs then has both cores.

        Raises RuntimeError: that does not come.
        """
        ends = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < ends:
            ready = json.loads(self.get("/readyz"))
            if ready["rows"] == ready["size"]:
                return
            time.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"rows were not folded within {WAIT_SECONDS:g} s")

    def _answer(self, how: str, path: str, content: bytes | None, head: dict[str, str]) -> bytes:
        self._connection.request(how, path, content, head)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status // 100 != 2:
            raise RuntimeError(f"{how} {path} gave {answer.status}: {body[:500]!r}")
        return body
