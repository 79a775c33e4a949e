"""Servers to ask over loopback, each a process of its own: ours, and the peers it is compared with.

Run as a program (`python -m benchmarks.servers fastapi|raw PORT`) it is one of the two echoes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.settings import Settings

READY_SECONDS = 90.0
ROOT = Path(__file__).parents[1]


@contextmanager
def process(
    command: list[str],
    port: int,
    ready: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """The port of a server started with `command`, once it answers GET `ready`; ended at the end.

    Its process id stands beside its log.

    Raises:
        RuntimeError: it did not answer in time.
    """
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    log.with_suffix(".pid").write_text(str(server.pid))
    try:
        deadline = time.monotonic() + READY_SECONDS
        with httpx.Client() as asking:  # one: to make a client burns more than to ask
            while True:
                try:
                    if asking.get(f"http://127.0.0.1:{port}{ready}").status_code < 500:
                        break
                except httpx.HTTPError:
                    pass
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[:4]} does not answer: {log.read_text()[-2000:]}")
                time.sleep(0.01)
        yield port
    finally:
        for stop in (15, 9):
            try:
                os.killpg(server.pid, stop)  # its workers too
                server.wait(timeout=15)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


@contextmanager
def service(state_dir: Path, **chosen: Any) -> Iterator[int]:
    """Our own service on the ledger in `state_dir`, a fresh one if there is none.

    `chosen` are settings that differ from their defaults.
    """
    settings = Settings(state_dir=state_dir, port=free_port(), **chosen)
    command = [sys.executable, "-m", "app.cli.main", "serve", "--port", str(settings.port)]
    environment = settings.as_environment()
    with process(command, settings.port, "/readyz", state_dir / "service.log", environment) as port:
        yield port


@contextmanager
def echo(kind: str, directory: Path) -> Iterator[int]:
    """An echo that does nothing: `fastapi` with pydantic models, or `raw` uvicorn.

    `GET /` is FastAPI's empty route.
    """
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.servers", kind, str(port)]
    with process(command, port, "/", directory / f"{kind}.log") as found:
        yield found


@contextmanager
def mlflow_model(pipeline: Any, categories: Sequence[str], directory: Path) -> Iterator[int]:
    """`mlflow models serve` on the very pipeline our plan was made from.

    JSON has no `object` columns, and the pipeline was fitted on such `categories`: one more step
    before it turns them back, which costs MLflow some hundredths of its time.
    """
    import mlflow.sklearn  # noqa: PLC0415 - heavy
    import pandas as pd  # noqa: PLC0415
    from sklearn.pipeline import Pipeline  # noqa: PLC0415
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    as_objects = FunctionTransformer(
        pd.DataFrame.astype, kw_args={"dtype": dict.fromkeys(categories, object)}
    )
    saved = directory / "pipeline"
    mlflow.sklearn.save_model(
        Pipeline([("as objects", as_objects), ("fitted", pipeline)]),
        str(saved),
        pip_requirements=["mlflow"],
        serialization_format="cloudpickle",
    )
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(saved)]
    command += ["--port", str(port), "--env-manager", "local"]
    paths = os.pathsep.join((str(ROOT), str(Path(sys.executable).parent)))
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{paths}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }
    with process(command, port, "/ping", directory / "mlflow.log", environment) as found:
        yield found


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _echo(kind: str, port: int) -> None:
    import uvicorn  # noqa: PLC0415 - only the program itself needs it
    from fastapi import FastAPI  # noqa: PLC0415
    from pydantic import BaseModel  # noqa: PLC0415

    class Asked(BaseModel):
        model: str
        row: dict[str, float | int | str | None]

    app = FastAPI()

    @app.get("/")
    async def empty() -> None:
        return None

    async def answer(asked: Asked) -> Asked:
        return asked

    answer.__annotations__ = {"asked": Asked, "return": Asked}
    app.post("/predictions")(answer)

    async def raw(_scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    chosen: Any = {"fastapi": app, "raw": raw}[kind]
    uvicorn.run(chosen, port=port, access_log=False, log_level="warning", lifespan="off")


if __name__ == "__main__":
    _echo(sys.argv[1], int(sys.argv[2]))
