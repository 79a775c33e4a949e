"""What every route starts with: the process it runs in, and the query it allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.process import Process
from domain.canonical import INTEGER_MAX
from domain.errors import Fault, NotReady, RequestInvalid
from domain.times import normalise_time

_ALLOWED: Final[dict[str, frozenset[str]]] = {}  # path of a GET -> the parameters it knows


def process_of(request: Request) -> Process:
    """The process that serves this request. Raises NotReady while it starts."""
    process: Process | None = request.app.state.process
    if process is None:
        refusal: NotReady = request.app.state.starting.not_ready()
        raise refusal
    return process


async def known_query_only(request: Request) -> None:
    """Refuse a query parameter the route does not know, so that a misspelt filter is no filter.

    Raises:
        RequestInvalid: naming each one and those the route knows.
    """
    if not request.query_params:
        return
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    allowed = _ALLOWED.get(route.path)
    if allowed is None:
        allowed = _ALLOWED[route.path] = frozenset(_query_names(route.dependant))
    _refuse_unknown(request, allowed)


def refuse_query(request: Request) -> None:
    """Refuse every query parameter, for a route that knows none; without one it costs nothing.

    Raises:
        RequestInvalid: naming each one.
    """
    if request.scope["query_string"]:
        _refuse_unknown(request, frozenset())


def time_or_none(text: str | None) -> str | None:
    """A time from a query, in our one form. Raises RequestInvalid when it is none."""
    return None if text is None else normalise_time(text)


def plain_or_none(text: str | None) -> str | None:
    """A name from a query, None when it cannot be one: no database is asked for NUL."""
    return None if text is None else text.replace("\0", "�")


def _refuse_unknown(request: Request, allowed: frozenset[str]) -> None:
    known = ", ".join(sorted(allowed)) or "none"
    faults = [
        Fault(f"/query/{name[:100]}", f"is not known here; known: {known}")
        for name in request.query_params
        if name not in allowed
    ]
    if faults:
        raise RequestInvalid(f"query parameter {faults[0].path[7:]!r} {faults[0].message}.", faults)


def _query_names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _query_names(dependency)


Here = Annotated[Process, Depends(process_of)]
After = Annotated[
    int, Query(ge=-1, le=INTEGER_MAX, description="entries with a position greater than this")
]
Limit = Annotated[int, Query(ge=1, le=5000, description="at most so many")]
