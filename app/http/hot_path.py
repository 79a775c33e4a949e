"""The hot path: the few requests that come by the thousand skip what they do not need.

FastAPI's routing, dependency solving and exit stacks cost more than a prediction. A route named
here stands in the router and in the OpenAPI document like any other; its endpoint is called
directly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.problems import refused
from app.http.request_identity import RequestIdentity
from domain.errors import WhyledgerError

Endpoint = Callable[[Request], Awaitable[Response]]


class HotPath:
    """Calls the endpoints in `endpoints` (method and path, both exact) and passes on the rest.

    Each must take nothing but the request; what it refuses becomes the same problem as elsewhere.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[tuple[str, str], Endpoint]) -> None:
        self._app = app
        self._endpoints = {
            key: RequestIdentity(_Called(endpoint)) for key, endpoint in endpoints.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        app = self._app
        if scope["type"] == "http":
            app = self._endpoints.get((scope["method"], scope["path"]), app)
        await app(scope, receive, send)


class _Called:
    """An endpoint as an application."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._endpoint(request)
        except WhyledgerError as error:
            response = await refused(request, error)
        await response(scope, receive, send)
