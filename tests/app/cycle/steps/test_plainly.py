"""What a cycle says of its window, its errors and its evidence is what plain Python makes of the
same entries: every row an object, everything in memory, each sum in its order."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.decisions.cycle import Cycle
from domain.events.cycle_events import CandidateTrained
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade, Row
from domain.residuals.error_increase import LABELLED_ROWS_MIN
from domain.residuals.frozen import from_document
from domain.times import days_between
from tests.app.car_ledger import CarLedger, bootstrapped, document, moved_to, year_end
from tests.told import Story, ToldOnce, retold

LABELS_WITHIN_DAYS = 250  # the labels of half a year's cars are due at its end


@dataclass(frozen=True)
class Answered:
    position: int
    identity: str
    time: str
    prediction: float
    row: Mapping[str, Any]


@dataclass
class Plain:
    """Everything that was told of the champion's rows, as of the start of a cycle."""

    as_of: str
    answered: list[Answered] = field(default_factory=list)
    labels: dict[str, list[tuple[str, float]]] = field(default_factory=dict)  # time, label

    @property
    def in_force(self) -> dict[str, float]:
        last = {name: given[-1] for name, given in self.labels.items()}
        return {name: label for name, (time, label) in last.items() if time < self.as_of}

    def latest(self) -> list[Answered]:
        """One a row, by position."""
        inside = [each for each in self.answered if each.time < self.as_of]
        latest = {each.identity: each for each in inside}
        return sorted(latest.values(), key=lambda each: each.position)


def plain(cars: CarLedger, cycle: Cycle) -> Plain:
    begun = cars.ledger.read_stream(f"cycle-{cycle.begun.cycle}").entries[0]
    found, made = Plain(as_of=cycle.begun.as_of), {}
    after = -1
    while page := cars.ledger.read(after):
        for entry in page:
            event = entry.event
            if entry.position > begun.position:
                break
            if isinstance(event, PredictionMade):
                made[entry.id] = entry
                said = (entry.position, event.identity, entry.occurred_at)
                found.answered.append(Answered(*said, event.prediction, event.row))
            elif isinstance(event, ObservationRecorded):
                label = (entry.occurred_at, float(event.row["price"] or 0))
                found.labels.setdefault(event.identity, []).append(label)
            elif isinstance(event, OutcomeRecorded):
                at = made[event.prediction_id].occurred_at
                found.labels.setdefault(event.identity, []).append((at, event.label))
        after = page[-1].position
    return found


def apart(label: float, predicted: float) -> float:
    return math.log(label) - math.log(predicted)


def rmse(rows: Sequence[Answered], labels: Mapping[str, float]) -> float:
    """As numbers are added one by one: in another order the last bits are others."""
    total = 0.0
    for each in rows:
        wrong = math.log(each.prediction) - math.log(labels[each.identity])
        total += wrong * wrong
    return math.sqrt(total / len(rows))


@dataclass
class Front:
    """What plain Python remembers from cycle to cycle."""

    entered: set[str] = field(default_factory=set)
    front: str | None = None
    new: list[str] = field(default_factory=list)
    skipped: int = 0

    def move(self, told: Plain, served: Sequence[Answered]) -> None:
        first = {name: given[0][1] for name, given in told.labels.items()}
        before, self.new, behind = set(self.entered), [], 0
        ordered = sorted(served, key=lambda each: (each.time, each.identity))
        for time, together in groupby(ordered, key=lambda each: each.time):
            fresh = [each for each in together if each.identity not in before]
            if self.front is None or time > self.front:
                due = days_between(time, told.as_of) > LABELS_WITHIN_DAYS
                if not due and any(each.identity not in first for each in fresh):
                    break
                self.new += [each.identity for each in fresh if each.identity in first]
                self.front = time
            behind += len(fresh)
        self.entered |= set(self.new)
        self.skipped = behind - len(self.new)


def story(cars: CarLedger, year: int, chance: random.Random) -> None:
    """A year's cars, some of them older ones sold again, asked again and corrected."""
    rows: list[Row] = cars.rows([year], most=chance.choice([60, 80]))
    rows += moved_to(year, chance.sample(cars.rows([year - 1]), 15))
    rows += chance.sample(cars.rows([1975]), 5)  # most of them were trained on
    chance.shuffle(rows)
    half = len(rows) // 2
    cars.answers(rows[:half]).answers(rows[half:], labelled=chance.random() < 0.6)
    cars.answers(chance.sample(rows, 12))
    again = chance.sample(rows, 9)
    cars.observes([row | {"price": float(row["price"] or 0) * 1.1} for row in again])


@pytest.fixture(scope="session")
def of_labels_due_soon(registry_store: Path) -> Story:
    """1971 to 1975 were observed, and `car-price/1` serves."""
    shipped = document("data", "contracts", "car-price.yaml")["health"]
    due = {"labels_within_days": LABELS_WITHIN_DAYS}

    def tell(ledger: Ledger, settings: Settings) -> None:
        shutil.copy(registry_store, settings.state_dir / "mlflow.db")
        bootstrapped(CarLedger(ledger, settings), health=shipped | due)

    return tell


@pytest.fixture
def cars(settings: Settings, told_once: ToldOnce, of_labels_due_soon: Story) -> Iterator[CarLedger]:
    """That story, on both databases."""
    ledger = open_ledger(retold(told_once(of_labels_due_soon, settings), settings))
    yield CarLedger(ledger, settings)
    ledger.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cycle_says_what_plain_python_makes_of_the_same_rows(cars: CarLedger, seed: int) -> None:
    trained = cars.cycle(1).state[CandidateTrained.type]
    had = set(orjson.loads(cars.ledger.artefact(trained["identities_sha256"])))
    holdout = from_document(orjson.loads(cars.ledger.artefact(trained["residuals_sha256"])))
    held = {row.identity for row in holdout}
    chance, front = random.Random(seed), Front()
    for year in (1976, 1977):
        story(cars, year, chance)
        cycle = cars.runs(year_end(year))
        told = plain(cars, cycle)
        labels, rows = told.in_force, told.latest()
        inside = [each for each in rows if each.time >= year_end(year - 1)]
        window = [each for each in inside if each.identity not in had]
        assert cycle.guarded is not None
        assert cycle.drift is not None
        assert cycle.drift.report is not None
        assert cycle.guarded.rows == len(window)
        assert cycle.drift.report.features[0].rows == len(window)
        labelled = [each for each in window if each.identity in labels]
        assert cycle.drift.labelled_rows == len(labelled)
        assert cycle.drift.champion_rmse == rmse(labelled, labels)

        seen = had | held
        judging = [each for each in labelled if each.identity not in seen]
        increase = cycle.drift.error_increase
        assert increase is not None
        squares = math.fsum(apart(labels[each.identity], each.prediction) ** 2 for each in judging)
        before = math.fsum(row.residual**2 for row in holdout) / len(holdout)
        assert increase.labelled_rows == len(judging)
        assert increase.groups == len({str(each.row["vintage_id"]) for each in judging})
        if len(judging) >= LABELLED_ROWS_MIN:
            assert increase.error_ratio == math.sqrt(squares / len(judging) / before)

        served = [each for each in rows if each.identity not in seen]
        front.move(told, served)
        evidence = cycle.drift.residual_evidence
        assert evidence is not None
        assert (evidence.entered, evidence.skipped) == (len(front.new), front.skipped)
        assert evidence.front == front.front
        assert evidence.memory == len(holdout) + len(front.entered)
        assert evidence.corrected == sum(
            len(told.labels[name]) > 1 and name in labels for name in front.entered
        )
        kept = cars.cycle(cycle.begun.number).state["cycle.drift-measured"]["residuals_sha256"]
        frozen = from_document(orjson.loads(cars.ledger.artefact(kept))) if kept else ()
        assert [row.identity for row in frozen] == front.new
        first = {name: given[0][1] for name, given in told.labels.items()}
        predicted = {each.identity: each.prediction for each in served}
        assert [row.residual for row in frozen] == [
            apart(first[name], predicted[name]) for name in front.new
        ]
        if cars.view().champion != "car-price/1":
            break
