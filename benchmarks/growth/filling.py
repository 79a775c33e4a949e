"""Ledgers that are alike but for their size: a champion, the rows it predicted, labels, decisions.

The champion comes of a real cycle, and so does the first decision, which kept it. What follows is
appended in process, the same way as everything is, many events a transaction: predictions of rows
drawn from those it was trained on, so that no cycle finds drift, labels for seven rows in ten, and
for every hundredth row a decision, whose events are those of the first under the next number.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from msgspec.structs import replace

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import (
    cycle_stream,
    model_stream,
    observations_stream,
    predictions_stream,
)
from app.projections.champions import get_champion
from app.projections.models import get_model
from app.projections.opening import open_ledger
from app.serving.plan import load_plan
from app.settings import Settings
from benchmarks.cars import MODEL
from benchmarks.growth.extent import SIZE_MIN
from benchmarks.growth.processes import command
from benchmarks.growth.sold_cars import YEAR, Asked, Cars
from benchmarks.servers import ROOT
from domain.blocks.ids import source_event_id
from domain.events.cycle_events import CycleStarted
from domain.events.events import (
    Event,
    ObservationRecorded,
    OutcomeRecorded,
    PredictionMade,
)
from domain.times import format_time

POLICY: Final = ROOT / "rules" / "policies" / "strict-and.yaml"
_DECIDED: Final = datetime(YEAR, 12, 1, tzinfo=UTC)  # `as_of` of decision 0; a second each
_BEGUN: Final = datetime(YEAR, 1, 1, tzinfo=UTC)
_FIRST_ROWS: Final = SIZE_MIN // 2  # that the first decision judges
_ROWS_A_DECISION: Final = 100
_ROWS_AT_ONCE: Final = 1_000  # with their labels and decisions in one transaction


class Filling:
    """Fills one ledger after the other, each from where the last one stands."""

    def __init__(self) -> None:
        self.cars = Cars()
        self.rows = 0  # predicted by now
        self.decisions = 1  # the first trained the champion
        self._left: list[tuple[str, Event]] = []  # stream and event, by the first that kept it
        self._made: list[tuple[float, tuple[str, ...]]] = []  # of the shipped rows
        self._serves: tuple[str, str] = ("", "")  # model version and plan

    def begin(self, state_dir: Path) -> None:
        """Adopt contract and policy, train the champion, and let one cycle keep it."""
        settings = Settings(state_dir=state_dir)
        self._train(settings)
        with _opened(settings) as ledger:
            self._take_up(ledger)
            self._append(ledger, range(_FIRST_ROWS), labelled=False)
            before = ledger.size()
        told = kept(command(settings, *cycling(self.next_as_of())).answer)
        with _opened(settings) as ledger:
            self._left = [
                (entry.stream, cast("Event", entry.event))
                for entry in ledger.read(before - 1, 500)
                if entry.stream in (cycle_stream(told["cycle"]), model_stream(MODEL))
            ]
        self.decisions += 1

    def grow(self, state_dir: Path, rows: int, told: Callable[[int], None]) -> int:
        """Fill the ledger until so many rows are predicted; `told` hears how many are.

        Returns:
            The entries it then has.
        """
        with _opened(Settings(state_dir=state_dir)) as ledger:
            while self.rows < rows:
                end = min(self.rows + _ROWS_AT_ONCE, rows)
                self._append(ledger, range(self.rows, end), labelled=True)
                told(self.rows)
            return ledger.size()

    def next_as_of(self) -> str:
        """The time that the next cycle looks back from."""
        return self._as_of(self.decisions + 1)

    def _train(self, settings: Settings) -> None:
        # By the command line, so that no service has signed anything yet.
        with tempfile.TemporaryDirectory() as name:
            contract, rows = Path(name) / "contract.yaml", Path(name) / "rows.csv"
            contract.write_bytes(self.cars.document)
            rows.write_bytes(self.cars.as_csv(self.cars.training()))
            command(settings, "adopt", str(POLICY), str(contract), "--json")
            command(settings, "import", MODEL, str(rows), "--json")
        told = command(settings, *cycling(format_time(_BEGUN))).answer
        if told["conclusion"] != "promoted":
            raise RuntimeError(f"the first cycle made no champion: {told['sentence']}")

    def _take_up(self, ledger: Ledger) -> None:
        with ledger.connect() as connection:
            model = get_model(connection, MODEL)
            assert model is not None
            assert model.champion is not None  # the cycle has just promoted it
            champion = get_champion(connection, MODEL, model.champion)
        plan = load_plan(ledger.artefact(champion.plan_sha256), champion.plan_sha256)
        found = plan.predict_rows(self.cars.shipped)
        self._made = list(zip(found.native.tolist(), found.unknown_categories, strict=True))
        self._serves = (champion.model_version, champion.plan_sha256)

    def _append(self, ledger: Ledger, numbers: range, *, labelled: bool) -> None:
        predictions: list[NewEvent] = []
        labels: list[NewEvent] = []
        for number in numbers:
            asked = self.cars.drawn(number)
            made = self._predicted(number, asked)
            predictions.append(made)
            if labelled:
                labels += self._labels(number, asked, made)
        appends = [StreamAppend(predictions_stream(MODEL), tuple(predictions), None)]
        if labels:
            appends.append(StreamAppend(observations_stream(MODEL), tuple(labels), None))
        if self._left:
            due = numbers.stop // _ROWS_A_DECISION - numbers.start // _ROWS_A_DECISION
            appends += self._decided(due)
        ledger.append(appends, Cause.unauthenticated(new_id()))
        self.rows = numbers.stop

    def _predicted(self, number: int, asked: Asked) -> NewEvent:
        row = asked.row
        prediction, unknown = self._made[self.cars.like(number)]
        version, plan = self._serves
        event = PredictionMade(
            model=MODEL,
            model_version=version,
            plan_sha256=plan,
            identity=self.cars.guard.identity_of(row),
            row=row,
            prediction=prediction,
            unknown_categories=tuple(unknown),
            request_id=None,
        )
        return NewEvent(event=event, id=new_id(), occurred_at=self.cars.guard.event_time_of(row))

    def _labels(self, number: int, asked: Asked, made: NewEvent) -> Iterator[NewEvent]:
        """Six rows in ten get an outcome, one an observation, three nothing."""
        if number % 10 > 6:
            return
        identity = self.cars.guard.identity_of(asked.row)
        source, source_id = f"/sales/{YEAR}", str(number)
        event: Event = OutcomeRecorded(
            model=MODEL,
            source=source,
            source_id=source_id,
            prediction_id=made.id,
            identity=identity,
            label=asked.units,
            extensions={},
        )
        if number % 10 == 6:
            event = ObservationRecorded(
                model=MODEL,
                source=source,
                source_id=source_id,
                identity=identity,
                row=asked.row | {self.cars.target: asked.units},
                extensions={},
            )
        id = source_event_id(source, source_id)
        yield NewEvent(event=event, id=id, occurred_at=made.occurred_at)

    def _decided(self, decisions: int) -> list[StreamAppend]:
        """What the first decision left, under the next numbers."""
        streams: dict[str, list[NewEvent]] = {}
        for _ in range(decisions):
            self.decisions += 1
            cycle, as_of = f"{MODEL}-{self.decisions}", self._as_of(self.decisions)
            changed = {"cycle": cycle, "number": self.decisions, "as_of": as_of}
            for stream, event in self._left:
                own = stream if stream == model_stream(MODEL) else cycle_stream(cycle)
                new = NewEvent(event=_changed(event, changed), id=new_id(), occurred_at=as_of)
                streams.setdefault(own, []).append(new)
        return [StreamAppend(stream, tuple(new), None) for stream, new in streams.items()]

    def _as_of(self, number: int) -> str:
        return format_time(_DECIDED + timedelta(seconds=number))


def cycling(as_of: str) -> tuple[str, ...]:
    """The words of the command that runs a cycle."""
    return ("cycle", "--model", MODEL, "--as-of", as_of, "--timeout-minutes", "60", "--json")


def kept(told: dict[str, Any]) -> dict[str, Any]:
    """What a cycle says that kept its champion. Raises RuntimeError: it did not."""
    if told["conclusion"] != "kept":
        raise RuntimeError(f"{told['cycle']} was to keep its champion: {told['sentence']}")
    return told


def copied(state_dir: Path, to: Path) -> None:
    """Another ledger of the same entries, to grow on."""
    shutil.copytree(state_dir, to)


def _opened(settings: Settings) -> closing[Ledger]:
    return closing(open_ledger(settings))


def _changed(event: Event, values: dict[str, Any]) -> Event:
    """The event with those of the values that it has a field for."""
    names = {"cycle", "number", "as_of"} if isinstance(event, CycleStarted) else {"as_of"}
    mine = {name: values[name] for name in names if hasattr(event, name)}
    return replace(event, **mine) if mine else event
