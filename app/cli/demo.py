"""The demo: twenty years of real cars through a running service, spoken to over HTTP only.

Adopts contracts and policy, uploads 1971-1975, bootstraps both models; then, for each year, posts
the cars for prediction, their true values as outcomes, and runs a cycle as of the year's end.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.cli.demo_cars import MODELS, Car, adopt, cars, predict_and_label, upload
from app.cli.demo_process import command_on, free_port, replay, running_service, shown
from app.cli.remote import Service
from app.cli.terminal import CommandRefused, note
from app.clock import monotonic_seconds, now

BOOTSTRAP_YEARS: Final = range(1971, 1976)
YEARS: Final = range(1976, 1991)
_MARKS: Final = {"met": "✓", "unmet": "✗", "unknown": "?"}
_CYCLE_SECONDS: Final = 1800  # longest wait for one cycle; it takes two to four
_SERVING_SECONDS: Final = 60  # longest wait until who was promoted answers; it takes half of one
_LOOK_SECONDS: Final = 0.1  # between looks at a running cycle


@dataclass(frozen=True, slots=True)
class Year:
    """One year of one model: what the window showed, what was decided, what both errors were.

    Errors are RMSE on the model's training scale (the logarithm of the target); None where nothing
    was measured or trained.
    """

    year: int
    model: str
    cycle: str
    rows: int  # labelled cars in the window
    clauses: tuple[dict[str, str], ...]  # clause and verdict, in the policy's order
    feature_drift_score: float | None  # dimensionless, the largest PSI
    prediction_p_value: float | None  # of the predictions against the training target
    outcome: str
    conclusion: str
    sentence: str
    production_rmse: float | None
    candidate_rmse: float | None
    champion: str | None  # who serves afterwards

    def line(self) -> str:
        """The year under `_HEADINGS`."""
        marks = "".join(_MARKS[clause["verdict"]] for clause in self.clauses)
        ended = "" if self.conclusion == "kept" else f" -> {self.conclusion}"
        return (
            f"{self.year:4}  {self.model:9}  {self.rows:4}  "
            f"{_number(self.feature_drift_score, '.2f', 6)}  "
            f"{_number(self.prediction_p_value, '.2g', 8)}  {marks:7}  {self.outcome + ended:34}  "
            f"{_number(self.production_rmse, '.4f', 10)}  {_number(self.candidate_rmse, '.4f', 9)}"
        )


@dataclass(frozen=True, slots=True)
class ModelAtEnd:
    """How one model stands at the end: who serves, how its cycles ended, how healthy it is."""

    model: str
    champion: str | None
    cycles: int
    promoted: int
    rejected: int
    kept: int
    health: str


@dataclass(frozen=True, slots=True)
class Story:
    """The whole demo as data: what `--json` writes."""

    address: str  # of the service, as long as it is up
    state_dir: str
    years: tuple[Year, ...]
    models: tuple[ModelAtEnd, ...]
    entries: int
    root: str  # hex, of the tree over all entries
    replay: str  # the sentence of `whyledger replay`; where one digest differs there is no story
    seconds: float
    go_on_with: tuple[str, ...]  # commands, to be typed where the demo was started

    def ending(self) -> str:
        """What a person at a terminal reads below the tables."""
        commands = "\n".join(f"  {command}" for command in self.go_on_with)
        return f"replay: {self.replay}\ngo on with:\n{commands}\ntook {self.seconds:.0f} s"


@contextmanager
def demo(*, state_dir: Path, port: int, until: int, console: Console) -> Iterator[Story]:
    """Tell the story to `console`; inside the block its service is up.

    Args:
        state_dir: a folder for this run's ledger and files; a new one is made inside it.
        port: where the service listens on 127.0.0.1; another one when it is taken.
        until: the last year that is told, 1975 (bootstrap alone) to 1990.
        console: where the story is told.

    Raises:
        CommandRefused: the service did not come up, or a row was not taken.
        ServiceRefused: the service refused what the demo sent.
    """
    run_dir = state_dir / f"demo-{now()[:19].replace(':', '').replace('-', '')}"
    run_dir.mkdir(mode=0o700, parents=True)
    began = monotonic_seconds()
    port = free_port(port)
    try:
        with running_service(run_dir, port) as address, Service(address) as service:
            console.print(f"service up at {address}, ledger in {shown(run_dir)}")
            years = _tell(service, console, range(YEARS[0], until + 1))
            at_end = tuple(_at_end(service, model, years) for model in MODELS)
            console.print(_table(at_end))
            replayed = replay(run_dir)
            story = Story(
                address=address,
                state_dir=shown(run_dir),
                years=years,
                models=at_end,
                entries=replayed["entries"],
                root=replayed["root"],
                replay=replayed["sentence"],
                seconds=round(monotonic_seconds() - began, 1),
                go_on_with=(
                    command_on(run_dir, "decisions"),
                    command_on(run_dir, "why", _last_decision(service)),
                    command_on(run_dir, "verify"),
                    command_on(run_dir, "serve", "--port", str(port)),
                ),
            )
            console.print(story.ending(), markup=False)
            yield story
    except SystemExit:
        note(f"ended early; its ledger and its log stay in {shown(run_dir)}")
        raise


def stay(address: str, console: Console) -> None:
    """Leave the page up until Ctrl-C or SIGTERM, which is how it is ended."""
    console.print(f"the page is at {address}/ until Ctrl-C")
    with suppress(SystemExit):
        signal.pause()


def _tell(service: Service, console: Console, years: range) -> tuple[Year, ...]:
    """Everything the demo does, a line a year and model."""
    rows = list(cars())
    adopt(service)
    console.print(_HEADINGS)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} cycles"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    told: list[Year] = []
    # The two models have nothing to do with each other: their cycles run side by side.
    together = ThreadPoolExecutor(len(MODELS))
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("1971-1975", total=len(MODELS) * (1 + len(years)))
            for year in (BOOTSTRAP_YEARS[-1], *years):
                found = [row for row in rows if _belongs(row, year)]
                progress.update(task, description=f"{found[0]['year']} to {year}")
                for one in together.map(partial(_year, service, year, found), MODELS):
                    progress.console.print(one.line())
                    progress.advance(task)
                    told.append(one)
    finally:
        # Nobody waits for a request of a demo that has ended: the service ends, and it with it.
        together.shutdown(wait=False, cancel_futures=True)
    return tuple(told)


def _belongs(row: Car, year: int) -> bool:
    """Whether the row comes in with that year's: the first five come at once."""
    return int(row["year"]) == year or (
        year == BOOTSTRAP_YEARS[-1] and int(row["year"]) in BOOTSTRAP_YEARS
    )


def _year(service: Service, year: int, rows: list[Car], model: str) -> Year:
    """One year of one model: the cars, their true values, and the cycle as of the year's end."""
    if year in YEARS:
        predict_and_label(service, model, rows)
    else:
        upload(service, model, rows)
    cycle = _cycle(service, model, f"{year + 1}-01-01T00:00:00Z")
    steps = cycle["steps"]
    drift = steps.get("cycle.drift-measured", {})
    report = drift.get("report") or {}
    p_values = {each["against"]: each["ks_p_value"] for each in report.get("predictions", [])}
    compared = steps.get("cycle.candidate-compared", {})
    champion, candidate = compared.get("champion") or {}, compared.get("candidate") or {}
    clauses = steps.get("cycle.decided", {}).get("verdict", {}).get("clauses", [])
    return Year(
        year=year,
        model=model,
        cycle=cycle["cycle"],
        rows=steps.get("cycle.window-guarded", {}).get("rows", 0),
        clauses=tuple({name: each[name] for name in ("clause", "verdict")} for each in clauses),
        feature_drift_score=report.get("feature_drift_score"),
        prediction_p_value=p_values.get("training-target"),
        outcome=cycle["outcome"] or "-",
        conclusion=cycle["conclusion"],
        sentence=cycle["sentence"],
        production_rmse=champion.get("rmse", drift.get("champion_rmse")),
        candidate_rmse=candidate.get("rmse"),
        champion=_champion(service, model),
    )


def _cycle(service: Service, model: str, as_of: str) -> dict[str, Any]:
    """Run a cycle, and look at it until it has ended.

    No request waits for it, so a service that is told to end has none to wait for.
    """
    url = service.post(f"/models/{model}/cycles", {"as_of": as_of})["url"]
    deadline = monotonic_seconds() + _CYCLE_SECONDS
    while monotonic_seconds() < deadline:
        cycle = service.get(url)
        if cycle["status"] == "ended":
            return cycle
        time.sleep(_LOOK_SECONDS)
    raise CommandRefused(f"{url} did not end within {_CYCLE_SECONDS} s; see its log in logs/")


def _champion(service: Service, model: str) -> str | None:
    """Who serves, once it answers: the next year's cars are for nobody else."""
    deadline = monotonic_seconds() + _SERVING_SECONDS
    while monotonic_seconds() < deadline:
        found = service.get(f"/models/{model}")
        champion: str | None = found["champion"]
        if found["answers"] == champion:
            return champion
        time.sleep(_LOOK_SECONDS)
    raise CommandRefused(
        f"{champion} was promoted and does not answer after {_SERVING_SECONDS} s: "
        f"{found['alarm'] or found['answers']}"
    )


def _at_end(service: Service, model: str, years: tuple[Year, ...]) -> ModelAtEnd:
    health = service.get(f"/models/{model}/health")
    ends = Counter(each.conclusion for each in years if each.model == model)
    return ModelAtEnd(
        model=model,
        champion=health["champion"],
        cycles=ends.total(),
        promoted=ends["promoted"],
        rejected=ends["rejected"],
        kept=ends["kept"],
        health=health["state"],
    )


def _last_decision(service: Service) -> str:
    """The id of what was decided last."""
    decisions = service.get(f"/audit/decisions?model={MODELS[-1]}&limit=100")["decisions"]
    last: str = max(decisions, key=lambda each: each["position"])["id"]
    return last


def _table(at_end: tuple[ModelAtEnd, ...]) -> Table:
    table = Table("model", "champion", "cycles", "promoted", "rejected", "kept", "health")
    for each in at_end:
        ends = (str(count) for count in (each.cycles, each.promoted, each.rejected, each.kept))
        table.add_row(each.model, each.champion or "-", *ends, each.health)
    return table


_HEADINGS: Final = (
    "clauses in order: feature drift, prediction drift, new samples, cool-down "
    "(✓ met, ✗ unmet, ? unknown)\n"
    f"{'year':4}  {'model':9}  {'rows':>4}  {'score':>6}  {'p':>8}  clauses  "
    f"{'outcome':34}  {'production':>10}  {'candidate':>9}"
)


def _number(value: float | None, form: str, width: int) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"
