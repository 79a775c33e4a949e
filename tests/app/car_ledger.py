"""A ledger told step by step with the real cars: what is observed, asked, answered and decided."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from app.cause import Cause
from app.clock import new_id, now
from app.cycle.run import run_cycle
from app.cycle.standing import how_it_stands
from app.intake.documents import parse_document
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import cycle_stream
from app.projections.cycles import CycleView, get_cycle
from app.projections.models import ModelView, get_model
from app.projections.policies import get_policy
from app.serving.plan import load_plan
from app.settings import Settings
from domain.canonical import digest
from domain.contract.contract import contract_digest, parse_contract
from domain.contract.rows import RowGuard
from domain.decisions.cycle import Cycle
from domain.decisions.rule_numbers import NEWEST
from domain.decisions.starting import StartCycle, start_cycle
from domain.events.cycle_events import CycleStarted, Force
from domain.events.envelope import Recorded, event_data
from domain.events.events import (
    ContractAdopted,
    Event,
    ObservationRecorded,
    OutcomeRecorded,
    PolicyAdopted,
    PredictionMade,
    Row,
    RowsRefused,
)
from tests.plausible import an
from tests.repository import REPOSITORY

_EVENTS_PER_APPEND: Final = 500  # as the service does


@cache
def shipped_cars() -> tuple[dict[str, str], ...]:
    """The rows of the shipped data set, as a CSV reader gives them."""
    with (REPOSITORY / "data" / "us_cars_1971_1990.csv").open(newline="") as file:
        return tuple(csv.DictReader(file))


def document(*parts: str) -> dict[str, Any]:
    """A shipped contract or policy, as parsed."""
    path = REPOSITORY.joinpath(*parts)
    return parse_document(path.read_bytes(), name=path.name)


def year_end(year: int) -> str:
    """The `as_of` of the cycle that closes this year."""
    return f"{year + 1}-01-01T00:00:00.000000Z"


@dataclass(slots=True)
class CarLedger:
    """One model's story in a ledger; every verb is one thing that happens to it."""

    ledger: Ledger
    settings: Settings
    model: str = "car-price"

    def adopts(self, **changes: Any) -> CarLedger:
        """The shipped policy, and the shipped contract with these fields changed."""
        policy = document("rules", "policies", "strict-and.yaml")
        with self.ledger.connect() as connection:
            known = get_policy(connection, "strict-and") is not None
        if not known:
            adopted = an(PolicyAdopted, document=policy, policy_digest=digest(policy))
            self.append("policy-strict-and", [(adopted, now())])
        contract = document("data", "contracts", f"{self.model}.yaml") | changes
        parse_contract(contract)
        said = {"contract": contract, "contract_digest": contract_digest(contract)}
        event = an(ContractAdopted, model=self.model, **said)
        self.append(f"model-{self.model}", [(event, now())])
        return self

    def rows(self, years: Iterable[int], most: int | None = None) -> list[Row]:
        """The shipped cars of these years as labelled rows; the first `most` of each year."""
        guard = self._guard()
        found: list[Row] = []
        for year in years:
            of_year = [car for car in shipped_cars() if int(car["year"]) == year]
            found.extend(
                guard.check_row(guard.parse_csv_row(car), labelled=True) for car in of_year[:most]
            )
        return found

    def observes(self, rows: Sequence[Row]) -> CarLedger:
        """Labelled rows come in, not tied to predictions."""
        guard = self._guard()
        events: list[tuple[Event, str]] = []
        for row in rows:
            said = dict.fromkeys(("source_id", "identity"), guard.identity_of(row))
            observed = an(ObservationRecorded, model=self.model, row=row, **said)
            events.append((observed, guard.event_time_of(row)))
        self.append(f"observations-{self.model}", events)
        return self

    def answers(self, rows: Sequence[Row], *, labelled: bool = True) -> CarLedger:
        """The champion predicts each row; then, if `labelled`, its true value becomes known."""
        guard, target, view = self._guard(), self._target(), self.view()
        assert view.champion is not None
        assert view.plan_sha256 is not None
        plan = load_plan(self.ledger.artefact(view.plan_sha256))
        asked = [{name: v for name, v in row.items() if name != target} for row in rows]
        predicted = plan.predict_rows(asked)
        made: list[tuple[Event, str]] = [
            (
                an(
                    PredictionMade,
                    model=self.model,
                    model_version=view.champion,
                    plan_sha256=view.plan_sha256,
                    identity=guard.identity_of(row),
                    row=row,
                    prediction=float(native),
                ),
                guard.event_time_of(row),
            )
            for row, native in zip(asked, predicted.native, strict=True)
        ]
        recorded = self.append(f"predictions-{self.model}", made)
        if labelled:
            self._label(recorded, [row[target] for row in rows])
        return self

    def refuses(self, rows: int) -> CarLedger:
        """This many rows broke the contract."""
        reasons = {"mpg: out of range": rows}
        event = an(RowsRefused, model=self.model, door="predictions", rows=rows, reasons=reasons)
        self.append(f"observations-{self.model}", [(event, now())])
        return self

    def starts(self, as_of: str, *, force: str | None = None, **changes: Any) -> str:
        """A cycle is asked for; its id. Nobody runs it yet."""
        view = self.view()
        with self.ledger.connect() as connection:
            policy = get_policy(connection, view.policy)
        assert policy is not None
        number = view.cycles_started + 1
        fields: dict[str, Any] = {
            "cycle": f"{self.model}-{number}",
            "model": self.model,
            "number": number,
            "as_of": as_of,
            "contract_digest": view.contract_digest,
            "policy": policy.policy,
            "policy_digest": policy.digest,
            "champion": view.champion,
            "serves": view.champion,
            "force": Force(actor="local:unauthenticated", reason=force) if force else None,
            "rules": dict(NEWEST),
        }
        started = an(CycleStarted, **fields | changes)
        self.append(cycle_stream(started.cycle), [(started, as_of)])
        return started.cycle

    def asked(self, as_of: str | None, reason: str | None = None) -> CycleStarted:
        """The event that would start a cycle which is asked for now, as the service does it."""
        command = StartCycle(model=self.model, as_of=as_of, force=None, reason=reason)
        with self.ledger.connect() as connection:
            standing, _ = how_it_stands(connection, command, skew_seconds=5.0)
        (started,) = start_cycle(standing, command)
        return started

    def begins(self, started: CycleStarted) -> str:
        """The cycle starts just so; its id."""
        self.append(cycle_stream(started.cycle), [(started, started.as_of)])
        return started.cycle

    def sets_aside(self, as_of: str, reason: str) -> Cycle:
        """A cycle that looks back from before the last one, from its start to its end."""
        started = self.asked(as_of, reason)
        assert started.sets_aside
        return run_cycle(self.ledger, self.settings, self.begins(started))

    def runs(self, as_of: str, *, force: str | None = None, **changes: Any) -> Cycle:
        """A cycle from its start to its end, in this process."""
        return run_cycle(self.ledger, self.settings, self.starts(as_of, force=force, **changes))

    def lives_through(self, year: int, *, force: str | None = None) -> Cycle:
        """The year's cars are predicted, their prices become known, and the year's cycle runs."""
        self.answers(self.rows([year]))
        return self.runs(year_end(year), force=force)

    def view(self) -> ModelView:
        """The model as it stands."""
        with self.ledger.connect() as connection:
            found = get_model(connection, self.model)
        assert found is not None
        return found

    def cycle(self, number: int) -> CycleView:
        """The model's cycle with this number."""
        with self.ledger.connect() as connection:
            return get_cycle(connection, f"{self.model}-{number}")

    def append(self, stream: str, events: Sequence[tuple[Event, str]]) -> list[Recorded]:
        """These events, each with when it happened, in few transactions."""
        recorded: list[Recorded] = []
        rows = isinstance(events[0][0], PredictionMade | ObservationRecorded | OutcomeRecorded)
        personal = rows and self._guard().personal
        for first in range(0, len(events), _EVENTS_PER_APPEND):
            part = tuple(
                NewEvent(event=event, id=new_id(), occurred_at=at, personal=personal)
                for event, at in events[first : first + _EVENTS_PER_APPEND]
            )
            append = StreamAppend(stream, part, None)
            recorded.extend(self.ledger.append([append], Cause.unauthenticated(new_id())))
        return recorded

    def _label(self, predictions: Sequence[Recorded], labels: Sequence[Any]) -> None:
        outcomes: list[tuple[Event, str]] = []
        for entry, label in zip(predictions, labels, strict=True):
            assert isinstance(entry.event, PredictionMade)
            ids = dict.fromkeys(("source_id", "prediction_id"), entry.id)
            identity = entry.event.identity
            outcome = an(
                OutcomeRecorded, model=self.model, identity=identity, label=float(label), **ids
            )
            outcomes.append((outcome, entry.occurred_at))
        self.append(f"observations-{self.model}", outcomes)

    def _guard(self) -> RowGuard:
        return RowGuard(parse_contract(parse_document(self.view().contract, name="contract")))

    def _target(self) -> str:
        return self.view().target


def bootstrapped(cars: CarLedger, rules: Mapping[str, int] = NEWEST, **contract: Any) -> CarLedger:
    """1971 to 1975 are observed, and the first candidate is promoted."""
    cars.adopts(**contract).observes(cars.rows(range(1971, 1976)))
    cars.runs(year_end(1975), rules=dict(rules))
    assert cars.view().champion == f"{cars.model}/1"
    return cars


def production(cars: CarLedger) -> tuple[object, ...]:
    """Everything that says who serves, to the last byte, and what it answers to the bit."""
    view = cars.view()
    assert view.plan_sha256 is not None
    content = cars.ledger.artefact(view.plan_sha256)
    answers = load_plan(content).predict_rows(cars.rows([1976])).native.tobytes()
    return (
        view.champion,
        view.plan_sha256,
        view.reference_sha256,
        view.champion_since,
        view.champion_as_of,
        view.champion_cycle,
        view.trained_until,
        view.registry_run,
        view.promoted_position,
        content,
        answers,
    )


def moved_to(year: int, rows: Sequence[Row]) -> list[Row]:
    """The same cars, sold in another year: nothing about them has drifted."""
    return [row | {"year": year, "car_id": 900_000 + n} for n, row in enumerate(rows)]


def types_of(ledger: Ledger, stream: str) -> list[str]:
    """The types of the stream's events, in order."""
    return [entry.event.type for entry in ledger.read_stream(stream).entries]


def events_after(ledger: Ledger, position: int) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Stream, type and data of everything after `position`, but for what differs by its nature.

    MLflow's run ids are drawn by MLflow, and attempts count how often a worker was cut off.
    """
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    after = position
    while page := ledger.read(after):
        for entry in page:
            data = event_data(entry.event)
            data.pop("registry_run", None)
            if entry.event.type != "cycle.attempt-started":
                found.append((entry.stream, entry.event.type, data))
        after = page[-1].position
    return found
