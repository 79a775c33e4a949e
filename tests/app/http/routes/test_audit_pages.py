"""Pages of decisions and changes are written from their views, and say what is declared of them."""

from __future__ import annotations

from typing import Any, Final

import orjson
import pytest
from pydantic import BaseModel

from app.audit.decision import decisions
from app.http.routes.audit import ChangePage, DecisionPage
from tests.app.car_ledger import CarLedger, year_end
from tests.app.http.routes.running import running

PAGES: Final[dict[str, type[BaseModel]]] = {
    "/audit/decisions": DecisionPage,
    "/audit/changes": ChangePage,
}


def asked(cars: CarLedger, page: str) -> Any:
    cars.ledger.close()
    with running(cars.settings) as client:
        answer = client.get(page)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    return orjson.loads(answer.content)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_to_the_letter_what_is_declared_of_it(cars: CarLedger, page: str) -> None:
    """Given a year that was decided on and set aside since, nothing is left out and nothing more
    is said than the answer's model has: the page is not made by way of it."""
    cars.lives_through(1976)
    cars.sets_aside("1976-06-01T00:00:00.000000Z", "the clock ran ahead")
    found = asked(cars, page)
    (rows,) = found.values()
    assert len(rows) > 2
    model = PAGES[page]
    assert model.model_validate(found).model_dump(mode="json") == found


def test_what_is_told_of_a_cycle_again_follows_what_became_of_it(cars: CarLedger) -> None:
    """What was told once is remembered by what was recorded, so no later step is missed."""
    cars.lives_through(1976)
    with cars.ledger.connect() as connection:
        before = decisions(connection, after=-1)
        assert decisions(connection, after=-1) == before
    assert before[-1].as_of == year_end(1976)
    assert before[-1].set_aside_by is None
    cars.sets_aside("1976-06-01T00:00:00.000000Z", "the clock ran ahead")
    with cars.ledger.connect() as connection:
        after = decisions(connection, after=-1)
    assert after[1].id == before[1].id
    assert after[1].set_aside_by == "car-price-3"
    assert "the clock ran ahead" in after[1].set_aside
    assert after[0] == before[0]
