"""Lists: a page at a time, with one word for where to go on and one way to say it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from fastapi import Request, Response
from pydantic import Field

from app.http.request_shapes import Sent, Whole

Item = TypeVar("Item")
_JSON: Final = "application/json"


class PageQuery(Sent):
    """Each list adds its `cursor`: what it is ordered by, of the last item seen."""

    limit: Annotated[Whole, Field(ge=1, le=5000, description="at most so many")] = 100


def page_of(
    request: Request,
    name: str,
    found: Sequence[Item],
    limit: int,
    cursor_of: Callable[[Item], object],
) -> Response:
    """The page `{name: found}` with its `Link`, each view written field by field as it stands.

    For lists whose views are their answers' model to the letter: to check a long page against that
    takes longer than everything else about it.
    """
    response = Response(msgspec.json.encode({name: found}), media_type=_JSON)
    link_next(request, response, found, limit, cursor_of)
    return response


def link_next(
    request: Request,
    response: Response,
    found: Sequence[Item],
    limit: int,
    cursor_of: Callable[[Item], object],
) -> None:
    """Lead on in `Link` (RFC 8288) when the page is full: the same query, from its last item on."""
    if len(found) < limit:
        return
    query = {**request.query_params, "cursor": cursor_of(found[-1]), "limit": limit}
    address = f"{quote(request.scope['path'])}?{urlencode(query)}"
    response.headers["Link"] = f'<{address}>; rel="next"'
