"""Two who tell the same story, each to a service of its own: each row alone, or rows together."""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from fastapi.testclient import TestClient

from app.ledger.store import Ledger
from app.settings import Settings
from domain.events.events import PayloadErased, Row
from tests.app.car_ledger import CarLedger, year_end
from tests.app.http.routes.running import process_behind, running, send
from tests.app.people import MARKER, forgets, key_of, owned
from tests.told import ToldOnce, retold

MODEL: Final = "car-price"
BASE: Final = "/base"  # what the rows of the first champion come from, where each is sent alone
CHUNK_ROWS: Final = 8  # of a file that are recorded together, so that most files have some chunks
KNOWN: Final = 60  # cars that the story begins with; those with a higher number are new
LATER: Final = KNOWN + 3  # cars from this number on are of the year after
# Counts of an upload that do not depend on how its rows are spread over files.
_COUNTS: Final = (
    "lines", "accepted", "already_known", "quarantined", "corrections", "labelled_predictions",
)  # fmt: skip

Step = tuple[str, Sequence[int], float]  # what is done, with which cars, times what


@dataclass
class Teller:
    """One of the two."""

    client: TestClient
    settings: Settings
    together: bool  # all rows of a step in one request
    people: bool
    predicted: list[tuple[str, str]] = field(default_factory=list)  # id and identity, in order
    unlabelled: set[int] = field(default_factory=set)  # of those, that were erased
    uploads: Counter[str] = field(default_factory=Counter)
    answered: list[float] = field(default_factory=list)
    last: list[dict[str, Any]] = field(default_factory=list)  # the events of the last step
    sent: int = 0  # events and labels
    files: int = 0

    @property
    def cars(self) -> CarLedger:
        return CarLedger(process_behind(self.client).ledger, self.settings)

    def begins(self) -> None:
        """Rows that a first champion is trained with, which serves from then on."""
        process, cars = process_behind(self.client), self.cars
        cars.adopts(**owned() if self.people else {})
        process.champions.refresh()
        rows = [*cars.rows(range(1971, 1975), most=25), *cars.rows([1975], most=50)]
        owners = [self._owned(row, number) for number, row in enumerate(rows)]
        if self.together:
            self._uploads(owners, [])
        else:
            self._sends([_event(BASE, number, row=row) for number, row in enumerate(owners)])
        cars.runs(year_end(1975))

    def lives_through(self) -> None:
        """The year's first cars are predicted, and what they cost becomes known."""
        rows = [self.car(number) for number in range(KNOWN)]
        self.predicts(rows)
        self._sends(
            [
                self._outcome(row["price"], prediction_id=id)
                for (id, _), row in zip(self.predicted[-KNOWN:], rows, strict=True)
            ]
        )

    def ends(self, year: int, *, force: str | None) -> None:
        """The year's cycle, from its start to its end."""
        self.cars.runs(year_end(year), force=force)
        process_behind(self.client).champions.refresh()

    def does(self, step: Step) -> None:
        """One step of the story."""
        what, numbers, said = step
        cars = [self.car(number) for number in numbers]
        prices = [said * float(row["price"] or 0) + at / 50 for at, row in enumerate(cars)]
        labelled = [row | {"price": price} for row, price in zip(cars, prices, strict=True)]
        if what.startswith("predicted"):
            asked = [row | {"hpwt": said * float(row["hpwt"] or 0)} for row in cars]
            self.predicts(asked, repeated=what == "predicted and repeated")
        elif what == "observed":
            self._sends([self._observation(row) for row in labelled])
        elif what == "observed again":
            self._sends([*self.last, *(self._observation(row) for row in labelled)])
        elif what == "uploaded":
            self._uploads(labelled, [row | {"mpg": -1.0} for row in labelled[:1]])
        elif what == "uploaded unchanged":
            self._uploads(cars, [])
        elif what == "labelled":
            self._sends(self._outcomes(numbers, prices))
        elif what == "of every kind":
            outcomes = self._outcomes(numbers, prices)
            mixed = [[self._observation(row)] for row in labelled]
            for at, outcome in enumerate(outcomes):
                mixed[at % len(mixed)].append(outcome)
            self._sends([event for events in mixed for event in events])
        elif self.people:
            for row in cars[:1]:
                self.erases(row)

    def predicts(self, rows: Sequence[Row], *, repeated: bool = False) -> None:
        asked = [{name: v for name, v in row.items() if name != "price"} for row in rows]
        for part in self._requests(asked):
            headers = {"Idempotency-Key": f"request-{len(self.predicted)}"} if repeated else {}
            for _ in range(2 if repeated else 1):
                answer = self.client.post(
                    "/predictions", json={"model": MODEL, "rows": part}, headers=headers
                )
                assert answer.status_code == 200, answer.text
            made = answer.json()["predictions"]
            self.predicted += [
                (each["prediction_id"], key_of(row)) for each, row in zip(made, part, strict=True)
            ]
            self.answered += [each["prediction"] for each in made]

    def erases(self, row: Row) -> PayloadErased | None:
        """The row is erased wherever it stands; what was sent with it is not sent again.

        What the ledger says of it; None: it stood nowhere.
        """
        erased = forgets(self.cars, row)
        gone = {at for at, (_, key) in enumerate(self.predicted) if key == key_of(row)}
        self.unlabelled |= gone
        self.last = []
        return erased.event

    def car(self, number: int) -> Row:
        """One of the year's cars with its price: one of the first ones, a new one, or a later."""
        row = self._known[number % KNOWN]
        new = {"year": 1976 + number // LATER, "car_id": 900_000 + number}
        return self._owned(row if number < KNOWN else row | new, number)

    @cached_property
    def _known(self) -> list[Row]:
        return self.cars.rows([1976], most=KNOWN)

    def _owned(self, row: Row, number: int) -> Row:
        if not self.people:
            return row
        return row | {"owner": None if number % 3 else f"{MARKER} {number}"}

    def _outcomes(self, numbers: Sequence[int], prices: Sequence[float]) -> list[dict[str, Any]]:
        """Labels of predictions, by turns by id and by the identity of a row."""
        there = [at for at in range(len(self.predicted)) if at not in self.unlabelled]
        found = []
        for number, price in zip(numbers, prices, strict=True):
            id, key = self.predicted[there[number % len(there)]]
            named = dict(part.split("=") for part in key.split("|"))
            identity = {name: int(value) for name, value in named.items()}
            about = {"prediction_id": id} if number % 2 else {"identity": identity}
            found.append(self._outcome(price, **about))
        return found

    def _outcome(self, label: object, **about: Any) -> dict[str, Any]:
        """A label, which some know only when the year's cycle is over."""
        number = self._next()
        event = _event("/tests", number, "outcome", label=label, **about)
        return event if number % 4 else event | {"time": f"1977-0{1 + number % 3}-01T00:00:00Z"}

    def _observation(self, row: Row) -> dict[str, Any]:
        """A labelled row, of one of two sources; some say more of where they come from."""
        number = self._next()
        event = _event("/tests" if number % 5 else "/others", number, row=row)
        return event if number % 7 else event | {"traceparent": f"00-{number}-01"}

    def _next(self) -> int:
        self.sent += 1
        return self.sent

    def _sends(self, events: Sequence[dict[str, Any]]) -> None:
        self.last = list(events)
        for part in self._requests(events):
            answer = send(self.client, part)
            assert answer.status_code == 201, answer.text
            recorded = [each["source_id"] for each in answer.json()["recorded"]]
            assert recorded == [each["id"] for each in part]

    def _uploads(self, rows: Sequence[Row], bad: Sequence[Row]) -> None:
        for part in self._requests([*rows, *bad]):
            text = io.StringIO()
            lines = csv.DictWriter(text, [*part[0]])
            lines.writeheader()
            lines.writerows(part)
            # A file that was sent before says nothing new, so each is told from all before it.
            self.files += 1
            text.write("\n" * self.files)
            answer = self.client.post(
                f"/models/{MODEL}/datasets",
                content=text.getvalue(),
                headers={"Content-Type": "text/csv"},
            )
            assert answer.status_code == 200, answer.text
            said = answer.json()
            self.uploads.update({name: said[name] for name in _COUNTS})
            self.uploads.update(said["reasons"])

    def _requests(self, rows: Sequence[Any]) -> list[list[Any]]:
        return [list(rows)] if self.together else [[row] for row in rows]


def _event(source: str, number: int, kind: str = "observation", **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": source,
        "type": f"org.whyledger.{kind}.v1",
        "data": {"model": MODEL, **data},
    }


Telling = Callable[[Settings, bool, bool], Settings]


def tellings(told_once: ToldOnce, registry_store: Path) -> Telling:
    """Puts what both begin with where settings say: each way of it is told once, then copied."""
    stories = {
        (together, people): partial(_begun, registry_store, together, people)
        for together in (False, True)
        for people in (False, True)
    }

    def telling(settings: Settings, together: bool, people: bool) -> Settings:
        return retold(told_once(stories[together, people], settings), settings)

    return telling


def _begun(
    registry_store: Path, together: bool, people: bool, _: Ledger, settings: Settings
) -> None:
    shutil.copy(registry_store, settings.state_dir / "mlflow.db")
    settings = settings.model_copy(update={"events_per_append_max": CHUNK_ROWS})
    with running(settings) as client:
        Teller(client, settings, together, people).begins()


@contextmanager
def both(
    telling: Telling, settings: Callable[[str], Settings], *, people: bool
) -> Iterator[tuple[Teller, Teller]]:
    """One who sends a row a request, and one who sends all of a step together."""
    with ExitStack() as services:
        found = []
        for together in (False, True):
            where = telling(settings("together" if together else "alone"), together, people)
            where = where.model_copy(update={"events_per_append_max": CHUNK_ROWS})
            client = services.enter_context(running(where))
            found.append(Teller(client, where, together, people))
        yield found[0], found[1]
