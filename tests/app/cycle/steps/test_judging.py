"""What the drift step leaves and what is said of it: told with real cars."""

from __future__ import annotations

import orjson
import pytest

from app.audit.clauses import clauses_of
from domain.drift.clean_rate import clean_rate
from domain.drift.reference import reference_from_document
from tests.app.car_ledger import CarLedger, year_end


def test_the_clause_on_the_training_target_says_how_often_it_holds_on_unchanged_data(
    cars_as_published: CarLedger,
) -> None:
    cars = cars_as_published
    state = cars.answers(cars.rows([1976])).runs(year_end(1976))
    assert state.drift is not None
    assert state.decided is not None
    assert state.drift.clean_rate == pytest.approx(0.27, abs=0.06)
    [clause] = [
        said
        for said in clauses_of(state.decided.verdict.clauses)
        if said.fact == "prediction_drift_p"
    ]
    assert clause.note.startswith("holds on unchanged data in about ")
    assert clause.note.endswith(" of 10 windows: says little")
    assert clause.shown == f"0.1058 ({clause.note})"
    others = {said.note for said in state.decided.verdict.clauses if said.fact != clause.fact}
    assert others == {""}


def test_on_the_demo_the_clause_says_nothing_in_a_large_window(
    cars_as_published: CarLedger,
) -> None:
    cars = cars_as_published
    sha256 = cars.view().reference_sha256
    assert sha256 is not None
    document = orjson.loads(cars.ledger.artefact(sha256))
    assert (document["format"], document["transform"]) == ("whyledger.reference/2", "log")
    reference = reference_from_document(document)
    rates = [clean_rate(reference, sha256, rows) for rows in (50, 100, 200, 1_000)]
    assert rates == pytest.approx([0.15, 0.27, 0.43, 0.95], abs=0.06)
