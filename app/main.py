"""The HTTP service: `create_app` is the one place where it is wired together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from app.hot_path import HotPath
from app.problems import install_problems
from app.process import Process
from app.request_identity import RequestIdentity
from app.routes import (
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
from app.routes.documentation import document
from app.settings import Settings
from app.web.pages import STATIC

VERSION: Final = "0.1.0"
HOT: Final = {
    ("POST", "/predictions"): predictions.create_predictions,
    ("POST", "/events"): events.create_events,
}
_LOG: Final = logging.getLogger("whyledger")


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
        process = await run_in_threadpool(Process.start, settings)
        app.state.process = process
        try:
            yield
        finally:
            await run_in_threadpool(process.close)

    app = _Service(
        title="Whyledger",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere; /openapi.json is ours
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # asked about per request
    )
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


def serve(settings: Settings) -> None:
    """Serve until told to stop: one process, loopback only (`Settings` refuses any other host)."""
    _LOG.info(
        "listening on loopback only (%s:%s): there are no keys yet", settings.host, settings.port
    )
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody stands before us on loopback, and every request would pay
    )
