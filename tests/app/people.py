"""Cars that belong to people: the shipped cars with an owner, whom the contract calls personal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import select

from app.cause import Cause
from app.intake.erasure import Erasure, erase
from app.ledger.store import Ledger
from app.ledger.tables import ARTEFACTS, BLOCKS, ENTRIES, PAYLOADS
from app.projections.cycles import CYCLES
from app.projections.decisions import DECISIONS
from app.projections.labels import LABELS
from app.projections.predictions import PREDICTIONS
from app.settings import Settings
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade, Row
from domain.events.expansion import expand
from tests.app.car_ledger import CarLedger, document, year_end
from tests.app.many_rows import put_many, together
from tests.plausible import an

OWNER: Final = {
    "name": "owner",
    "type": "text",
    "meaning": "who owns the car",
    "missing": "allowed",
    "personal": True,
}
People = tuple[CarLedger, Row]
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


def stands_among_many(cars: CarLedger, row: Row, source: str = "/again") -> list[Recorded]:
    """The person's row comes in once more of each kind, each time as row 1 of 3 in one entry."""
    view, others = cars.view(), cars.rows([1971], most=3)[1:]
    rows = [others[0] | {"owner": None}, row, others[1] | {"owner": None}]
    about = [(each, key_of(each), f"{each['year']}-07-01T00:00:00.000000Z") for each in rows]
    told = {"model": cars.model}
    made = an(PredictionMade, model_version=view.champion, plan_sha256=view.plan_sha256, **told)
    asked = [
        replace(made, identity=key, row={n: v for n, v in each.items() if n != view.target})
        for each, key, _ in about
    ]
    times = [time for _, _, time in about]
    predicted = put_many(cars.ledger, together(list(zip(asked, times, strict=True))))
    seen = [
        an(ObservationRecorded, source=source, source_id=key, identity=key, row=each, **told)
        for each, key, _ in about
    ]
    labelled = [
        an(OutcomeRecorded, source_id=each.id, prediction_id=each.id, identity=key, **told)
        for each, (_, key, _) in zip(expand(predicted), about, strict=True)
    ]
    return [predicted] + [
        put_many(cars.ledger, together(list(zip(events, times, strict=True))))
        for events in (seen, labelled)
    ]


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


def holders(folder: Path, *needles: bytes) -> list[str]:
    """The files below `folder` that hold any of the needles."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


def rows_with(ledger: Ledger, needle: str) -> dict[str, int]:
    """Table -> rows that hold the needle anywhere, in the tables that ever hold a row's data."""
    found = {}
    for table, *columns in (
        (ENTRIES, "bytes"),
        (PAYLOADS, "bytes", "identity"),
        (BLOCKS, "bytes"),
        (ARTEFACTS, "bytes"),
        (PREDICTIONS, "identity_digest"),
        (LABELS, "identity"),
        (CYCLES, "state"),
        (DECISIONS, "body"),
    ):
        with ledger.connect() as connection:
            stored = connection.execute(select(*(table.c[name] for name in columns))).all()
        found[re.sub(r"_\d+$", "", table.name)] = sum(
            any(needle.encode() in (v if isinstance(v, bytes) else str(v).encode()) for v in row)
            for row in stored
        )
    return found
