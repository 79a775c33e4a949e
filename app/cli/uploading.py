"""Send a file to a running service, and wait for what became of it, however long that takes."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from typing import IO, Any, Final

from app.cli.remote import Service, ServiceRefused
from app.cli.terminal import Advance, ServiceUnreachable
from domain.errors import WhyledgerError

PIECE_BYTES: Final = 65_536
_LOOK_SECONDS: Final = 1.0  # between looks how far the service has come


def pieces(rows: IO[bytes], advance: Advance) -> Iterator[bytes]:
    """The file in pieces, never whole in memory."""
    done = 0
    while piece := rows.read(PIECE_BYTES):
        yield piece
        done += len(piece)
        advance(done)


class Upload:
    """One file on its way.

    Args:
        service: where to.
        path: the resource it is posted to; `path`/<SHA-256> says afterwards what became of it.
    """

    def __init__(self, service: Service, path: str, look_seconds: float = _LOOK_SECONDS) -> None:
        self._service = service
        self._path = path
        self._look_seconds = look_seconds
        self._sent = threading.Event()
        self._sha256 = hashlib.sha256()
        self._answer: dict[str, Any] | None = None
        self._refusal: WhyledgerError | None = None

    def run(self, rows: IO[bytes], media_type: str, advance: Advance) -> dict[str, Any]:
        """The service's answer. `advance` is told the bytes sent, then the lines that were read.

        Should the connection break once all is sent, the service goes on; so do we, by asking it.

        Raises:
            ServiceRefused, ServiceUnreachable: as the service's answer.
        """
        sender = threading.Thread(
            target=self._send, args=(rows, media_type, advance), name="upload", daemon=True
        )
        sender.start()
        while sender.is_alive():
            sender.join(self._look_seconds)
            if self._sent.is_set() and sender.is_alive():
                self._tell(advance)
        if self._refusal is not None:
            if not self._sent.is_set() or not isinstance(self._refusal, ServiceUnreachable):
                raise self._refusal
            return self._wait(advance, self._refusal)
        assert self._answer is not None  # noqa: S101 - the sender left one or the other
        return self._answer

    def _send(self, rows: IO[bytes], media_type: str, advance: Advance) -> None:
        try:
            self._answer = self._service.upload(self._path, self._hashed(rows, advance), media_type)
        except WhyledgerError as refusal:
            self._refusal = refusal

    def _hashed(self, rows: IO[bytes], advance: Advance) -> Iterator[bytes]:
        for piece in pieces(rows, advance):
            self._sha256.update(piece)
            yield piece
        self._sent.set()

    def _look(self) -> dict[str, Any]:
        return self._service.get(f"{self._path}/{self._sha256.hexdigest()}")

    def _tell(self, advance: Advance) -> None:
        """How far the service has come; that it cannot say is no failure of the upload."""
        try:
            advance(0, said=f"{self._look()['lines']} lines read and recorded")
        except (ServiceRefused, ServiceUnreachable):
            advance(0, said="recording")

    def _wait(self, advance: Advance, broken: WhyledgerError) -> dict[str, Any]:
        """What became of the file, once the service that has it all is done with it."""
        while True:
            try:
                found = self._look()
            except (ServiceRefused, ServiceUnreachable):
                raise broken from None
            if found["finished"]:
                return found
            advance(0, said=f"{found['lines']} lines read and recorded")
            time.sleep(self._look_seconds)
