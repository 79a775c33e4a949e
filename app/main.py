"""The HTTP service: `create_app` is the one place where it is wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from app import VERSION
from app.http.documentation import document
from app.http.hot_path import HotPath
from app.http.problems import install_problems
from app.http.request_identity import RequestIdentity
from app.http.routes import (
    adoptions,
    audit,
    cycles,
    datasets,
    events,
    ledger,
    models,
    overview,
    predictions,
    readiness,
    rollbacks,
)
from app.process import Process
from app.settings import Settings
from app.starting import Starting
from app.web.pages import STATIC
from domain.errors import WhyledgerError

HOT: Final = {
    ("POST", "/predictions"): predictions.create_predictions,
    ("POST", "/events"): events.create_events,
}


class _Service(FastAPI):
    """FastAPI with the hot path around its own layers."""

    def build_middleware_stack(self) -> ASGIApp:
        """The hot path, then everything of FastAPI."""
        return HotPath(super().build_middleware_stack(), HOT)


def create_app(settings: Settings) -> FastAPI:
    """The application. It opens the ledger when it starts and closes it when it ends.

    Serve it in one process: the ledger has one writer a process, and cycles one watcher.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        def ready(process: Process) -> None:
            app.state.process = process

        starting = app.state.starting = Starting(settings, ready)
        try:
            await starting.begin()
        except WhyledgerError as error:
            app.state.failure = error
            raise
        try:
            yield
        finally:
            await starting.stop()
            if app.state.process is not None:
                await run_in_threadpool(app.state.process.close)

    app = _Service(
        title="Whyledger",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere; /openapi.json is ours
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # asked about per request
    )
    app.state.failure = None  # why it could not start
    app.state.process = None  # until it has started
    app.state.retry_after_seconds = settings.retry_after_seconds
    app.add_middleware(RequestIdentity)
    install_problems(app)
    for resource in (
        predictions,
        events,
        adoptions,
        datasets,
        cycles,
        rollbacks,
        models,
        audit,
        ledger,
        readiness,
        overview,
    ):
        app.include_router(resource.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    document(app)
    return app
