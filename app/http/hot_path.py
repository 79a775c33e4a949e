"""The hot path: the few requests that come by the thousand skip what they do not need.

FastAPI's routing, dependency solving and exit stacks cost more than a prediction. A route named
here stands in the router and in the OpenAPI document like any other; its endpoint is called
directly. It stands inside the edge, like FastAPI itself: identity, limits and metrics see it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.problems import refused
from domain.errors import WhyledgerError

Endpoint = Callable[[Request], Awaitable[Response]]


class HotPath:
    """Calls the endpoints in `endpoints` (method and path, both exact) and passes on the rest.

    Each must take nothing but the request; what it refuses becomes the same problem as elsewhere.
    A request with a query is passed on: the route itself refuses what it does not know.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[tuple[str, str], Endpoint]) -> None:
        self._app = app
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        endpoint = None
        if scope["type"] == "http" and not scope["query_string"]:
            endpoint = self._endpoints.get((scope["method"], scope["path"]))
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except WhyledgerError as error:
            response = await refused(request, error)
        await response(scope, receive, send)
