"""What a route is given: the process it runs in, and who asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from app.cause import Cause
from app.process import Process
from domain.errors import NotReady


def process_of(request: Request) -> Process:
    """The process that serves this request. Raises NotReady while it starts."""
    process: Process | None = request.app.state.process
    if process is None:
        refusal: NotReady = request.app.state.starting.not_ready()
        raise refusal
    return process


def cause_of(request: Request) -> Cause:
    """Who asks, and the id that everything this request leads to has in common."""
    cause: Cause = request.state.cause
    return cause


# Coroutines, because FastAPI would send a plain function to a thread.
async def _process(request: Request) -> Process:
    return process_of(request)


async def _cause(request: Request) -> Cause:
    return cause_of(request)


Here = Annotated[Process, Depends(_process)]
RequestCause = Annotated[Cause, Depends(_cause)]
