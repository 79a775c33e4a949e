"""A read model that could not be compared is a finding, and never taken for one that is right."""

from __future__ import annotations

import pytest

from app.ledger.store import Ledger
from app.projections.positions import POSITIONS
from app.projections.refusals import REFUSALS
from app.projections.zones import ZONES
from app.proof.verify.verification import verify
from tests.app.proof.forger import change, stored_as
from tests.ledger_events import prediction, put, refused


@pytest.fixture
def edited(ledger: Ledger) -> Ledger:
    """Somebody edited what the refusals come to."""
    put(ledger, "observations-cars", refused(2))
    change(ledger, f"UPDATE {stored_as(ledger, REFUSALS)} SET rows = rows + 1")
    return ledger


def test_an_edited_read_model_is_found(edited: Ledger) -> None:
    (only,) = verify(edited, None).breaks
    assert only.thing == f"the read model {REFUSALS.name!r}"


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        ("DELETE FROM {}", f"{REFUSALS.name}, reigns_1, datasets_1 without one"),
        ("UPDATE {} SET position = position + 1", "2, and the last entry is 1"),
        (
            "UPDATE {} SET read_models = 'others_1' WHERE read_models LIKE '%refusals%'",
            "without one",
        ),
    ],
)
def test_it_is_not_hidden_by_taking_away_how_far_it_is_folded(
    edited: Ledger, forgery: str, said: str
) -> None:
    change(edited, forgery.format(stored_as(edited, POSITIONS)))
    (only,) = verify(edited, None).breaks
    assert only.thing == "the positions up to which read models are folded"
    assert said in only.found


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_table_that_belongs_to_a_read_model_may_not_be_left_out_of_its_position(
    ledger: Ledger,
) -> None:
    """Whoever goes on to fold would begin that read model anew; on SQLite it stands in another
    file, which is removed then."""
    put(ledger, "predictions-cars", prediction())
    ledger.rows.catch_up()
    assert verify(ledger, None).breaks == ()
    named = f"SET read_models = replace(read_models, ' {ZONES.name}', '')"
    change(ledger, f"UPDATE {stored_as(ledger, POSITIONS)} {named}")
    (only,) = verify(ledger, None).breaks
    assert only.found == f"{ZONES.name} without one"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_value_that_no_read_model_can_hold_is_found(edited: Ledger) -> None:
    change(edited, f"UPDATE {REFUSALS.name} SET rows = CAST('none' AS BLOB)")
    (only,) = verify(edited, None).breaks
    assert only.thing == f"the read model {REFUSALS.name!r}"
