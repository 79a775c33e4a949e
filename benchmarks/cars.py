"""What the benchmarks ask about: the shipped cars, a model fitted on them, and events of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.cause import Cause
from app.clock import new_id, now
from app.intake.documents import parse_document
from app.ledger.store import Artefact, Ledger, NewEvent, StreamAppend
from domain.canonical import sha256_hex
from domain.contract.contract import Contract, contract_digest, parse_contract
from domain.contract.rows import RowGuard
from domain.events.events import CandidatePromoted, PredictionMade, Row

DATA = Path(__file__).parents[1] / "data"
MODEL = "car-sales"


@dataclass(frozen=True, slots=True)
class Fitted:
    """The model of `car-sales`: its contract, its pipeline, its plan, and the rows it is asked."""

    document: bytes
    contract: Contract
    pipeline: Any
    plan: bytes
    rows: list[Row]  # without the target


@cache
def fitted() -> Fitted:
    """Fit it on all shipped rows; takes seconds, once."""
    from app.training.fit import fit  # noqa: PLC0415 - heavy, and not every benchmark needs it

    content = (DATA / "contracts" / f"{MODEL}.yaml").read_bytes()
    document = parse_document(content, name=MODEL)
    contract = parse_contract(document)
    guard = RowGuard(contract)
    with (DATA / "us_cars_1971_1990.csv").open(newline="") as file:
        parsed = (guard.parse_csv_row(row) for row in csv.DictReader(file))
        rows = [guard.check_row(row, labelled=True) for row in parsed]
    trained = fit(contract, rows, contract_digest(document))
    target = contract.target.name
    asked = [{name: value for name, value in row.items() if name != target} for row in rows]
    return Fitted(content, contract, trained.pipeline, trained.plan, asked)


def promote(ledger: Ledger, plan: bytes) -> None:
    """Let `plan` serve as the first version of the model."""
    stream = f"model-{MODEL}"
    sha256 = sha256_hex(plan)
    promoted = CandidatePromoted(
        model=MODEL,
        model_version=f"{MODEL}/1",
        replaced=None,
        plan_sha256=sha256,
        reference_sha256=sha256_hex(b"{}"),
        cycle=f"{MODEL}-1",
        as_of="1991-01-01T00:00:00.000000Z",
        trained_until="1990-07-01T00:00:00.000001Z",
        registry_run=None,
    )
    new = NewEvent(event=promoted, id=new_id(), occurred_at=now())
    version = ledger.read_stream(stream).version
    ledger.append(
        [StreamAppend(stream, (new,), version)],
        Cause.unauthenticated(new_id()),
        artefacts=[Artefact(sha256, "plan", plan)],
    )


def prediction(number: int) -> StreamAppend:
    """One prediction of an ordinary size, to append."""
    made = PredictionMade(
        model=MODEL,
        model_version=f"{MODEL}/1",
        plan_sha256="9f2c41aa" * 8,
        identity=f"year=1976|car_id={number}",
        row={
            "year": 1976,
            "car_id": number,
            "vintage_id": "AMGREM71",
            "hpwt": 0.528997,
            "mpd": 1.888146,
            "mpg": 1.697,
            "space": 1.1502,
            "air": 0,
            "region": "US",
            "price": 4.935802,
        },
        prediction=21.437 + number / 1000,
        unknown_categories=(),
        request_id=None,
    )
    new = NewEvent(event=made, id=new_id(), occurred_at="1976-07-01T00:00:00.000000Z")
    return StreamAppend(f"predictions-{MODEL}", (new,), None)
