"""Layers to put at the edge: they refuse, count, know who asks, or ask in another way."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import replace

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.problems import problem_response


class RefuseEverybody:
    """A layer for which nobody is anybody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = problem_response("unauthenticated", "send a key.", instance=scope["path"])
        await answer(scope, receive, send)


class CountEverybody:
    """A layer that counts in `entered` how often each method and path enters it."""

    def __init__(self, entered: Counter[tuple[str, str]], app: ASGIApp) -> None:
        self._entered = entered
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._entered[scope["method"], scope["path"]] += 1
        await self._app(scope, receive, send)


class NameEverybody:
    """A layer that knows who asks, as one that reads keys will."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            state = scope["state"]
            state["cause"] = replace(state["cause"], actor="key:ada")
        await self._app(scope, receive, send)


class NoRoom:
    """A layer for which the disk is full, whatever is asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/why/quarantine")


class AskWithBytes:
    """A layer that puts `query`, bytes that need be no text, in the place of the one asked."""

    def __init__(self, query: bytes, app: ASGIApp) -> None:
        self._query = query
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "query_string": self._query}, receive, send)


class NoteAnswers:
    """A layer that notes in `noted` each method, path and status, and what a browser said of it."""

    def __init__(self, noted: list[tuple[str, str, int, str]], app: ASGIApp) -> None:
        self._noted = noted
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                site = dict(scope["headers"]).get(b"sec-fetch-site", b"").decode()
                self._noted.append((scope["method"], scope["path"], message["status"], site))
            await send(message)

        await self._app(scope, receive, noting)
