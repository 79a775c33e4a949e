"""What champions were worth before and after what their trainings cost, to figures done by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from app.audit.value import ValueTold, value_told
from app.cause import Cause
from app.clock import new_id
from app.ledger.new_events import NewEvent, StreamAppend
from app.ledger.store import Ledger
from domain.events.cycle_events import (
    CandidateEvaluated,
    CycleStarted,
    PromotionSettled,
    TrainingFailed,
)
from domain.events.events import CandidatePromoted, ChampionRolledBack, Event, ValueMeasured
from tests.plausible import an

MODEL = "car-price"
NEW_YEAR = "1980-01-01T00:00:00.000000Z"


@dataclass
class Model:
    """One model's events, as cycles and people leave them."""

    ledger: Ledger
    cycles: int = 0
    since: int = 0  # the position its reign began at
    serving: str | None = None
    previous: str | None = None

    def says(self, stream: str, event: Event) -> int:
        new = NewEvent(event=event, id=new_id(), occurred_at=NEW_YEAR)
        cause = Cause.unauthenticated(new.id)
        return self.ledger.append([StreamAppend(stream, (new,), None)], cause)[-1].position

    def starts(self) -> str:
        self.cycles += 1
        cycle = f"{MODEL}-{self.cycles}"
        self.says(f"cycle-{cycle}", an(CycleStarted, cycle=cycle, model=MODEL, number=self.cycles))
        return f"cycle-{cycle}"

    def promotes(self, number: int) -> None:
        stream, version = self.starts(), f"{MODEL}/{number}"
        self.previous, self.serving = self.serving, version
        event = an(CandidatePromoted, model=MODEL, model_version=version, replaced=self.previous)
        self.since = self.says(f"model-{MODEL}", event)
        self.says(stream, an(PromotionSettled, promoted=True, model_version=version))

    def rejects(self) -> None:
        self.says(self.starts(), an(CandidateEvaluated, passed=False))

    def fails(self) -> None:
        self.says(self.starts(), an(TrainingFailed))

    def rolls_back(self, to: str) -> None:
        self.previous, self.serving = self.serving, to
        event = an(ChampionRolledBack, model=MODEL, model_version=to, replaced=self.previous)
        self.since = self.says(f"model-{MODEL}", event)

    def is_worth(
        self, value: float | None, *, cost: float | None = 5_000, unit: str = "USD"
    ) -> None:
        self.says(
            f"model-{MODEL}",
            an(
                ValueMeasured,
                model=MODEL,
                model_version=self.serving,
                since=self.since,
                previous=self.previous,
                as_of=NEW_YEAR,
                value=value,
                unit=unit,
                retraining_cost=cost,
                note="not enough groups for an interval: 2 of 3" if value else "no label yet",
            ),
        )

    def told(self) -> ValueTold:
        with self.ledger.connect() as connection:
            return value_told(connection, MODEL)


@pytest.fixture
def model(ledger: Ledger) -> Model:
    """Bootstrapped: `car-price/1` serves."""
    found = Model(ledger)
    found.promotes(1)
    found.is_worth(None)
    return found


def test_every_completed_training_since_the_first_model_is_charged_once(model: Model) -> None:
    model.rejects()
    model.promotes(3)
    model.is_worth(40_000)
    model.is_worth(50_000)  # the same reign again, a cycle later
    model.rejects()
    model.fails()
    model.promotes(5)
    model.is_worth(None)  # measured, and nothing could be

    told = model.told()

    assert (told.value, told.trainings, told.after_cost) == (50_000, 4, 50_000 - 4 * 5_000)
    assert told.sentence == (
        "together they saved 50,000 USD in 1 reign, each against who served before it; 30,000 "
        "after 4 trainings at 5,000 USD each, promoted or rejected, since car-price/1 began to "
        "serve, whose own training is not charged"
    )
    assert told.reigns[1].after_cost == 45_000
    assert told.reigns[1].sentence.endswith("; 45,000 after its training at 5,000 USD")


def test_a_rollback_trains_nothing_and_pays_nothing(model: Model) -> None:
    model.promotes(2)
    model.is_worth(-3_000)
    model.rolls_back("car-price/1")
    model.is_worth(7_000)

    told = model.told()

    assert (told.value, told.trainings, told.after_cost) == (4_000, 1, -1_000)
    assert [reign.trained for reign in told.reigns] == [True, True, False]
    assert told.reigns[2].after_cost == told.reigns[2].value == 7_000
    assert told.reigns[2].sentence.endswith("; nothing was trained for it")
    assert "; -1,000 after 1 training at 5,000 USD each" in told.sentence


def test_reigns_in_another_unit_and_their_trainings_are_left_out_together(model: Model) -> None:
    model.promotes(2)
    model.is_worth(9_000, unit="DM")
    model.rejects()
    model.promotes(4)
    model.is_worth(2_000, cost=100)

    told = model.told()

    assert (told.value, told.unit, told.trainings, told.after_cost) == (2_000, "USD", 2, 1_800)
    assert "since car-price/2 began to serve" in told.sentence


def test_without_a_declared_cost_nothing_is_said_of_it(model: Model) -> None:
    model.promotes(2)
    model.is_worth(9_000, cost=None)

    told = model.told()

    assert (told.trainings, told.after_cost) == (1, None)
    assert told.sentence == (
        "together they saved 9,000 USD in 1 reign, each against who served before it"
    )


def test_a_reign_says_until_when_labels_could_count(model: Model) -> None:
    model.promotes(2)
    model.is_worth(9_000)
    lasting = model.told().reigns[-1].sentence
    model.promotes(3)
    ended = model.told().reigns[1].sentence

    assert "by the labels that came until the cycle as of 1980-01-01 00:00 UTC" in lasting
    assert "by the labels that had come when its reign ended, as of 1980-01-01 00:00 UTC" in ended


def test_nobody_who_reigned_has_nothing_to_say(ledger: Ledger) -> None:
    told = Model(ledger).told()

    assert (told.value, told.trainings, told.sentences) == (None, None, ())
    assert told.sentence == "no reign has a measured value yet"
