"""The HTTP service: `create_app` is the one place where it is wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import CapacityLimiter, Semaphore
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from app import VERSION
from app.http.admission import Admission
from app.http.documentation import document_of
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
    ledger_rows,
    models,
    overview,
    predictions,
    readiness,
    rollbacks,
)
from app.http.starting import Starting
from app.process import Process
from app.settings import Settings
from app.web.pages import STATIC

Layer = Callable[[ASGIApp], ASGIApp]

# What every request passes once before anything answers it, outermost first. Keys, limits and
# metrics take their place here, behind the identity that they need.
EDGE: Final[tuple[Layer, ...]] = (RequestIdentity, Admission)
HOT: Final = {
    ("POST", "/predictions"): predictions.create_predictions,
    ("POST", "/events"): events.create_events,
}


class _Service(FastAPI):
    """FastAPI behind the edge, with the hot path beside its own layers."""

    def __init__(self, edge: Sequence[Layer], **how: Any) -> None:
        super().__init__(**how)
        self._edge = edge

    def build_middleware_stack(self) -> ASGIApp:
        """The edge, then the hot path, then everything of FastAPI."""
        stack = super().build_middleware_stack()
        # Its outermost layer answers a mistake with a bare 500; the identity has the better answer.
        assert isinstance(stack, ServerErrorMiddleware)  # noqa: S101 as FastAPI builds it
        app: ASGIApp = HotPath(stack.app, HOT)
        for layer in reversed(self._edge):
            app = layer(app)
        return app

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = document_of(self)
        return self.openapi_schema


def create_app(settings: Settings, edge: Sequence[Layer] = EDGE) -> FastAPI:
    """The application. It opens the ledger when it starts and closes it when it ends.

    Serve it in one process: the ledger has one writer a process, and cycles one watcher. Nothing
    answers, hot or not, static files included, before the request has passed every layer of `edge`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        def ready(process: Process) -> None:
            app.state.process = process

        def failed(error: BaseException) -> None:
            app.state.failure = error

        starting = app.state.starting = Starting(settings, ready, failed)
        try:
            await starting.begin()
        except Exception as error:
            failed(error)
            raise
        try:
            yield
        finally:
            await starting.stop()
            if app.state.process is not None:
                await run_in_threadpool(app.state.process.close)

    app = _Service(
        edge,
        title="Whyledger",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere; /openapi.json is ours
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # asked about per request
    )
    app.state.failure = None  # why it could not start; whoever serves it ends then
    app.state.process = None  # until it has started
    app.state.retry_after_seconds = settings.retry_after_seconds
    app.state.working = CapacityLimiter(1)  # on large bodies; see `bodies.alone`
    app.state.refusing = CapacityLimiter(1)  # see `bodies.wait_as_refused`
    app.state.uploads = Semaphore(datasets.UPLOADS_AT_ONCE)
    app.state.taking_in = CapacityLimiter(datasets.UPLOADS_AT_ONCE)  # see `datasets.create_dataset`
    app.state.host_names = settings.names_of_host
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
        ledger_rows,
        readiness,
        overview,
    ):
        app.include_router(resource.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
