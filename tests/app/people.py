"""Cars that belong to people: the shipped cars with an owner, whom the contract calls personal."""

from __future__ import annotations

from typing import Any, Final

from app.cause import Cause
from app.intake.erasure import Erasure, erase
from app.ledger.store import Ledger
from app.settings import Settings
from domain.events.events import Row
from tests.app.car_ledger import CarLedger, document, year_end

OWNER: Final = {
    "name": "owner",
    "type": "text",
    "meaning": "who owns the car",
    "missing": "allowed",
    "personal": True,
}
MARKER: Final = "Ada-Quixote-7731"  # a name that stands nowhere else


def owned() -> dict[str, Any]:
    """What the contract of owned cars has in place of the shipped one's."""
    shipped = document("data", "contracts", "car-price.yaml")
    return {"columns": [*shipped["columns"], OWNER]}


def one_owned(rows: list[Row]) -> list[Row]:
    """These rows; the first one has an owner."""
    return [row | {"owner": MARKER if number == 0 else None} for number, row in enumerate(rows)]


def key_of(row: Row) -> str:
    """The key of the row as events name it."""
    return f"year={row['year']}|car_id={row['car_id']}"


def trained_on_people(ledger: Ledger, settings: Settings) -> tuple[CarLedger, Row]:
    """The first champion was trained with the one owned car, which was also predicted since."""
    cars = CarLedger(ledger, settings).adopts(**owned())
    observed = one_owned([*cars.rows(range(1971, 1975), most=30), *cars.rows([1975])])
    cars.observes(observed)
    assert cars.runs(year_end(1975)).settled is not None
    cars.answers(observed[:1])
    cars.answers([row | {"owner": None} for row in cars.rows([1976], most=30)])
    return cars, observed[0]


def forgets(cars: CarLedger, row: Row, **how: Any) -> Erasure:
    """The row is erased, as its owner asked."""
    words = {"reason": "the owner asked", "legal_basis": "GDPR Art. 17"}
    return erase(
        cars.ledger,
        cars.settings,
        model=cars.model,
        identity=key_of(row),
        **(words | how),
        cause=Cause.unauthenticated("asked"),
    )
