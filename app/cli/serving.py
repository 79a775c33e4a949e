"""Listening for `whyledger serve`: the port is had before anything is said or opened."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

import uvicorn

from app.cli.terminal import CommandRefused
from app.http.connections import Server, configured
from app.http.open_files import connections_that_fit
from app.main import create_app
from app.settings import Settings
from domain.errors import WhyledgerError

_BACKLOG: Final = 2048  # connections that wait to be accepted
_ENDED: Final = b"the service did not end in its time; it is ended, and what it answered is kept\n"
_LOG: Final = logging.getLogger("whyledger.serving")


def serve(settings: Settings, listening: Callable[[int], None]) -> None:
    """Serve until told to stop: one process, loopback only (`Settings` refuses any other host).

    Args:
        settings: where to listen, and on which ledger.
        listening: called once requests are answered, with the port.

    Raises:
        CommandRefused: nothing can listen there; the ledger was not opened.
        StorageFailed: this process may not open files enough; nor was it then.
        WhyledgerError: the service could not start, at once or after it had begun to answer.
    """
    address = (settings.host, settings.port)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        taken = socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise CommandRefused(
            f"port {settings.port} of {settings.host} cannot be listened on: {error.strerror}. "
            "End what holds it, or take another with --port or WHYLEDGER_PORT."
        ) from error
    # Our own words beside uvicorn's: a start that takes long says what it is at.
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("whyledger").setLevel(logging.INFO)
    _LOG.info("the ledger in %s is opened", settings.state_dir)
    most, narrowed = connections_that_fit(settings.connections_max)
    if narrowed:
        _LOG.warning("%s", narrowed)
        settings = settings.model_copy(update={"connections_max": most})
    app = create_app(settings)
    config = configured(app, settings)
    # What refuses the start is said in one line at the end; uvicorn would show where it was raised.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: (
            not isinstance(app.state.failure, WhyledgerError)
            or "Traceback" not in record.getMessage()
        )
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_end)
    with taken:
        try:
            _Server(
                config, listening, lambda: app.state.failure is not None, settings.shutdown_seconds
            ).run(sockets=[taken])
        except KeyboardInterrupt:
            return  # Ctrl-C is how it is ended
        except SystemExit:
            # uvicorn could not start: its exit code means something else here.
            raise _reason(app.state.failure) from None
    if app.state.failure is not None:
        raise _reason(app.state.failure)


def _is_no_end(record: logging.LogRecord) -> bool:
    """Whether it is something else than the trace of a request that ends with the service.

    uvicorn says in one line how many it ended.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _end_now(number: int) -> None:
    with suppress(OSError):  # whoever reads the log may be what hangs
        os.set_blocking(sys.stderr.fileno(), False)
        os.write(sys.stderr.fileno(), _ENDED)
    os._exit(128 + number)  # as a shell says it of a process that the signal ended


def _reason(failure: BaseException | None) -> WhyledgerError:
    if isinstance(failure, WhyledgerError):
        return failure
    return CommandRefused(
        "the service could not start; the log above says why. Mend that, and start it again."
    )


class _Server(Server):
    """The server, which tells when it listens, and ends when what it serves has failed.

    Told to end, it ends within `shutdown_seconds`, whoever is connected and whatever hangs: what
    was acknowledged is committed, so there is nothing that a sudden end could lose.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listening: Callable[[int], None],
        failed: Callable[[], bool],
        shutdown_seconds: float,
    ) -> None:
        super().__init__(config)
        self._shutdown_seconds = shutdown_seconds
        self._listening = listening
        self._failed = failed

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end."""
        if not self.should_exit:
            end = threading.Timer(self._shutdown_seconds, _end_now, [sig])
            end.daemon = True
            end.start()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._listening(sockets[0].getsockname()[1] if sockets else self.config.port)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; asked ten times a second."""
        return await super().on_tick(counter) or self._failed()
