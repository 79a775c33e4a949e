"""The route every resource is made of: it takes what it declares and nothing else.

What a route declares is what FastAPI documents, so `/openapi.json` and the code cannot differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import APIRoute

from app.http.bodies import JSON, content_type, parse_json, read_body
from app.http.dependencies import process_of
from app.http.request_shapes import NoQuery
from domain.errors import RequestInvalid
from domain.faults import Fault, pointer, summary

SHAPED_BYTES_MAX: Final = 16 * 1024  # of a body that is one declared shape: a few short fields
FIELDS_MAX: Final = 50  # of such a body; each that is unknown would be a fault of its own


class StrictRoute(APIRoute):
    """Refuses query parameters and body fields that the endpoint does not declare.

    A query is one parameter, a `Sent` in `Annotated[…, Query()]`; without one the route takes no
    query at all. A declared body is read bounded, by its content type, and strictly as JSON; one
    with a default may be left out.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **how: Any) -> None:
        query = get_dependant(path=path, call=endpoint).query_params
        refusing = (_named_once,) if query else (_no_query,)
        how["dependencies"] = [*(how.get("dependencies") or ()), *map(Depends, refusing)]
        super().__init__(path, endpoint, **how)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given a body that was read and judged before."""
        answer = super().get_route_handler()
        if self.body_field is None:
            return answer
        required = self.body_field.field_info.is_required()

        async def read_and_answer(request: Request) -> Response:
            content_type(request, JSON)  # of an empty body, too: a form can send none of ours
            most = min(process_of(request).settings.body_bytes_max, SHAPED_BYTES_MAX)
            body = await read_body(request, most)
            value = parse_json(body) if body or required else None
            if isinstance(value, dict) and len(value) > FIELDS_MAX:
                raise RequestInvalid(
                    f"the body has {len(value)} fields; no shape of this route has more than "
                    f"{FIELDS_MAX}."
                )
            return await answer(_Read(request, body, value))

        return read_and_answer


class _Read(Request):
    """A request whose body was read: FastAPI asks it for the bytes, then for the JSON value."""

    def __init__(self, request: Request, body: bytes, value: object) -> None:
        super().__init__(request.scope, request.receive)
        self._bytes = body
        self._value = value

    async def body(self) -> bytes:
        return self._bytes

    async def json(self) -> Any:
        return self._value


async def _named_once(request: Request) -> None:
    """A dependency of every route that declares a query. Raises RequestInvalid for a name twice."""
    counted = Counter(name for name, _ in request.query_params.multi_items())
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        faults = [Fault(pointer("query", name), "stands twice; send it once") for name in twice]
        raise RequestInvalid(f"{summary(faults)}.", faults)


async def _no_query(_: Annotated[NoQuery, Query()]) -> None:
    """A dependency of every route that declares no query."""
