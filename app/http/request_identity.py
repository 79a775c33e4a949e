"""What every request and answer carries: ids, safe headers, and a problem when we made a mistake.

Plain ASGI: it is the first layer of the edge, before the hot path and before FastAPI.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.cause import UNAUTHENTICATED, Cause
from app.clock import new_id
from app.database.storage import StorageFailed
from app.http.problems import problem_response, suspected

REQUEST_ID: Final = "X-Request-Id"
REQUEST_ID_PATTERN: Final = r"^[\x21-\x7e]{1,128}$"  # printable ASCII without blanks
_REQUEST_ID: Final = re.compile(REQUEST_ID_PATTERN)
_REQUEST_ID_NAME: Final = REQUEST_ID.lower().encode()
_DEFAULTS: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_LOG: Final = logging.getLogger("whyledger.http")


class RequestIdentity:
    """Gives each request a correlation id, echoes its `X-Request-Id`, and never ends in a trace.

    `request.state.cause` says who asks; its correlation id is ours (UUIDv7, the same for every
    event the request led to), its request id the client's, None without one. The answer's
    `X-Request-Id` is the client's, or else the correlation id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; every answer gets the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _given(scope["headers"])
        correlation_id = new_id()
        acceptable = given is None or _REQUEST_ID.match(given) is not None
        echoed = given if given is not None and acceptable else correlation_id
        scope.setdefault("state", {}).update(
            cause=Cause(UNAUTHENTICATED, correlation_id, request_id=given if acceptable else None)
        )
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _add_headers(message["headers"], echoed)
            await send(message)

        if not acceptable:
            refusal = problem_response(
                "request-invalid",
                "X-Request-Id is not 1 to 128 printable ASCII characters without blanks; "
                "send such a one, or none.",
                instance=scope["path"],
            )
            await refusal(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:
            later = StorageFailed.found(error) or suspected(scope, error)
            if later is not None and not begun:
                ours = None if isinstance(later, StorageFailed) else error  # it may be a mistake
                _LOG.error("request %s: %s", echoed, later, exc_info=ours)
                failure = problem_response(
                    later.code,
                    later.message,
                    instance=scope["path"],
                    retry_after_seconds=scope["app"].state.retry_after_seconds,
                )
                await failure(scope, receive, send_with_headers)
                return
            # Our mistake: the log gets the trace, the client gets none.
            _LOG.exception("request %s: %s %s failed", echoed, scope["method"], scope["path"])
            if begun:
                raise  # the answer is half out: cut the connection rather than pretend
            failure = problem_response(
                "error",
                f"an unexpected {type(error).__name__}; the service's log has the details under "
                f"{REQUEST_ID} {echoed}.",
                instance=scope["path"],
            )
            await failure(scope, receive, send_with_headers)


def _given(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The client's `X-Request-Id`; the first, if it sends several."""
    for name, value in headers:
        if name == _REQUEST_ID_NAME:
            return value.decode("latin-1")
    return None


def _add_headers(headers: list[tuple[bytes, bytes]], echoed: str) -> None:
    """Our headers, in place; a route that chose its own keeps them."""
    names = {name for name, _ in headers}
    headers.append((_REQUEST_ID_NAME, echoed.encode("latin-1")))
    headers.extend(default for default in _DEFAULTS if default[0] not in names)
