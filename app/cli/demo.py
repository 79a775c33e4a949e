"""The demo: twenty years of real cars through a running service, spoken to over HTTP only.

Adopts contracts and policy, uploads 1971-1975, bootstraps both models; then, for each year, posts
the cars for prediction, their true values as outcomes, and runs a cycle as of the year's end.
"""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.cli.demo_process import DemoFailed, free_port, replay, running_service, shown
from app.clock import monotonic_seconds, now

MODELS: Final = ("car-price", "car-sales")
BOOTSTRAP_YEARS: Final = range(1971, 1976)
YEARS: Final = range(1976, 1991)
_MARKS: Final = {"met": "✓", "unmet": "✗", "unknown": "?"}
_ROOT: Final = Path(__file__).parents[2]
_CYCLE_SECONDS: Final = 60  # longest wait for one cycle


def run_demo(
    *, state_dir: Path, port: int, serve: bool, console: Console, until: int = YEARS[-1]
) -> None:
    """Run the demo against a service of its own.

    Args:
        state_dir: a folder for this run's ledger and files; a new one is made inside it.
        port: where the service listens on 127.0.0.1; another one when it is taken.
        until: the last year that is told, 1975 (bootstrap alone) to 1990.
        serve: stay up at the end until Ctrl-C.
        console: where the story is told.

    Raises:
        DemoFailed: the service did not come up, or refused what the demo sent.
    """
    run_dir = state_dir / f"demo-{now()[:19].replace(':', '').replace('-', '')}"
    run_dir.mkdir(parents=True)
    began = monotonic_seconds()
    port = free_port(port, console)
    with (
        running_service(run_dir, port) as address,
        httpx.Client(base_url=address, timeout=90) as client,
    ):
        console.print(f"service up at {address}, ledger in {shown(run_dir)}")
        _tell(client, console, range(YEARS[0], until + 1))
        _summarise(client, console)
        answer = replay(run_dir)
        console.print(
            f"ledger: {answer['entries']} entries, root {answer['root']}\n"
            f"replay: projections emptied and rebuilt, {len(answer['digests'])} digests equal"
        )
        took = f"took {monotonic_seconds() - began:.0f} s"
        if serve:
            console.print(f"{took}; the page is at {address}/ until Ctrl-C")
            _stay()
        else:
            console.print(took)


def _tell(client: httpx.Client, console: Console, years: range) -> None:
    """Everything the demo does, a line a year and model."""
    rows = list(_cars())
    _adopt(client)
    console.print(_HEADINGS)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} cycles"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("1971-1975", total=len(MODELS) * (1 + len(years)))
        # The two models have nothing to do with each other: their cycles run side by side.
        with ThreadPoolExecutor(len(MODELS)) as together:
            for year in (BOOTSTRAP_YEARS[-1], *years):
                cars = [row for row in rows if _belongs(row, year)]
                progress.update(task, description=f"{cars[0]['year']} to {year}")
                cycles = together.map(partial(_year, client, year, cars), MODELS)
                for model, cycle in zip(MODELS, cycles, strict=True):
                    progress.console.print(_line(year, model, cycle))
                    progress.advance(task)


def _belongs(row: dict[str, str], year: int) -> bool:
    """Whether the row comes in with that year's: the first five come at once."""
    return int(row["year"]) == year or (
        year == BOOTSTRAP_YEARS[-1] and int(row["year"]) in BOOTSTRAP_YEARS
    )


def _year(
    client: httpx.Client, year: int, cars: list[dict[str, str]], model: str
) -> dict[str, Any]:
    """One year of one model: the cars, their true values, and the cycle as of the year's end."""
    if year in YEARS:
        _predict_and_label(client, model, cars)
    else:
        _upload(client, model, cars)
    return _cycle(client, model, year)


_HEADINGS: Final = (
    "clauses in order: feature drift, prediction drift, new samples, cool-down "
    "(✓ met, ✗ unmet, ? unknown)\n"
    f"{'year':4}  {'model':9}  {'rows':>4}  {'score':>6}  {'p':>8}  clauses  "
    f"{'outcome':34}  {'production':>10}  {'candidate':>9}"
)


def _line(year: int, model: str, cycle: dict[str, Any]) -> str:
    """One line of the story: what the window showed, what was decided, both errors (rmse_log)."""
    steps = cycle["steps"]
    drift = steps.get("cycle.drift-measured", {})
    report = drift.get("report") or {}
    decided = steps.get("cycle.decided", {})
    clauses = decided.get("verdict", {}).get("clauses", [])
    marks = "".join(_MARKS[clause["verdict"]] for clause in clauses)
    p_values = {p["against"]: p["ks_p_value"] for p in report.get("predictions", [])}
    compared = steps.get("cycle.candidate-compared", {})
    champion, candidate = compared.get("champion") or {}, compared.get("candidate") or {}
    rows = steps.get("cycle.window-guarded", {}).get("rows", 0)
    outcome = decided.get("outcome", "-")
    if cycle["conclusion"] != "kept":
        outcome = f"{outcome} -> {cycle['conclusion']}"
    figures = (
        _number(report.get("feature_drift_score"), ".2f", 6),
        _number(p_values.get("training-target"), ".2g", 8),
    )
    errors = (
        _number(champion.get("rmse", drift.get("champion_rmse")), ".4f", 10),
        _number(candidate.get("rmse"), ".4f", 9),
    )
    return (
        f"{year:4}  {model:9}  {rows:4}  {figures[0]}  {figures[1]}  {marks:7}  {outcome:34}  "
        f"{errors[0]}  {errors[1]}"
    )


def _number(value: float | None, form: str, width: int) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"


def _cars() -> Iterator[dict[str, str]]:
    """The rows of the shipped data set, as text."""
    with (_ROOT / "data" / "us_cars_1971_1990.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def _adopt(client: httpx.Client) -> None:
    policy = _ROOT / "rules" / "policies" / "strict-and.yaml"
    _send(client, "/policies", policy.read_bytes(), "application/yaml")
    for model in MODELS:
        contract = _ROOT / "data" / "contracts" / f"{model}.yaml"
        _send(client, "/contracts", contract.read_bytes(), "application/yaml")


def _upload(client: httpx.Client, model: str, rows: list[dict[str, str]]) -> None:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    content = ("\n".join(lines) + "\n").encode()
    answer = _send(client, f"/models/{model}/datasets", content, "text/csv")
    if answer["accepted"] != len(rows):
        raise DemoFailed(f"{model}: {answer['accepted']} of {len(rows)} rows were accepted")


def _predict_and_label(client: httpx.Client, model: str, cars: list[dict[str, str]]) -> None:
    """Post one year's cars for prediction, then their true values as outcomes."""
    contract = _get(client, f"/models/{model}")["contract"]
    target = contract["target"]["name"]
    wanted = {item["name"]: item for item in (*contract["features"], *contract.get("columns", []))}
    rows = [{name: _typed(car[name], wanted[name]) for name in wanted} for car in cars]
    answer = _post(client, "/predictions", {"model": model, "rows": rows})
    outcomes = [
        {
            "specversion": "1.0",
            "id": f"{model}/{car['year']}/{car['car_id']}",
            "source": "/demo/us-cars",
            "type": "org.whyledger.outcome.v1",
            "data": {
                "model": model,
                "prediction_id": made["prediction_id"],
                "label": float(car[target]),
            },
        }
        for car, made in zip(cars, answer["predictions"], strict=True)
    ]
    _send(client, "/events", orjson.dumps(outcomes), "application/cloudevents-batch+json")


def _typed(text: str, column: dict[str, Any]) -> float | int | str:
    """A CSV cell as the contract's column wants it in JSON."""
    if column["type"] == "category":
        category: int | str = next(c for c in column["categories"] if str(c) == text)
        return category
    if column["type"] == "text":
        return text
    return int(text) if column["type"] == "integer" else float(text)


def _cycle(client: httpx.Client, model: str, year: int) -> dict[str, Any]:
    """Run a cycle as of the year's end, and wait for it."""
    answer = _post(
        client,
        f"/models/{model}/cycles",
        {"as_of": f"{year + 1}-01-01T00:00:00Z"},
        {"Prefer": f"wait={_CYCLE_SECONDS}"},
    )
    if answer["status"] != "ended":
        raise DemoFailed(f"cycle {answer['cycle']} did not end within {_CYCLE_SECONDS} s")
    return answer


def _summarise(client: httpx.Client, console: Console) -> None:
    table = Table("model", "champion", "cycles", "promoted", "rejected", "kept", "health")
    for model in MODELS:
        cycles = _get(client, f"/models/{model}/cycles?limit=100")["cycles"]
        ends = [cycle["conclusion"] for cycle in cycles]
        health = _get(client, f"/models/{model}/health")
        counts = [str(ends.count(end)) for end in ("promoted", "rejected", "kept")]
        table.add_row(model, health["champion"], str(len(ends)), *counts, health["state"])
    console.print(table)


def _stay() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        return


def _post(
    client: httpx.Client, path: str, body: object, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    return _send(client, path, orjson.dumps(body), "application/json", headers)


def _send(
    client: httpx.Client,
    path: str,
    content: bytes,
    media_type: str,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    answer = client.post(
        path, content=content, headers={"Content-Type": media_type, **(headers or {})}
    )
    return _body(answer)


def _get(client: httpx.Client, path: str) -> dict[str, Any]:
    return _body(client.get(path))


def _body(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise DemoFailed(f"{answer.request.method} {answer.request.url.path}: {answer.text[:500]}")
    body: dict[str, Any] = answer.json()
    return body
