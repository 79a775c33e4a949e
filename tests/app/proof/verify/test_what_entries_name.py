"""What stands beside the entries: artefacts, and data apart with the model and identity by which
it is found when it must be erased."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.database.engine import insert_rows
from app.ledger.store import Ledger
from app.ledger.tables import ARTEFACTS, PAYLOADS
from app.proof.verify.verification import Verified, verify
from domain.canonical import sha256_hex
from tests.app.proof.forger import change, guards_dropped
from tests.ledger_events import artefact, observation, promoted, put

PLAN = b"cars/1"
UNNAMED = b"nobody names it"


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A promotion with its artefacts, and rows of two people."""
    plan, reference = artefact(PLAN), artefact(b"", "reference")
    put(ledger, "model-cars", promoted("cars/1", "cars-1"), artefacts=[plan, reference])
    rows = (observation("owner=Ada"), observation("owner=Bob"))
    put(ledger, "observations-cars", *rows, personal=True)
    return ledger


def found(ledger: Ledger) -> Verified:
    return verify(ledger, None, read_models=False)


def plant_artefact(ledger: Ledger, sha256: str, content: bytes) -> None:
    """As whoever may only append can; where the digest is another, on SQLite alone."""
    with guards_dropped(ledger) as connection:
        insert_rows(connection, ARTEFACTS, [(sha256, "plan", content)])


def test_a_ledger_nobody_touched_has_nothing_unnamed(filled: Ledger) -> None:
    assert (found(filled).breaks, found(filled).unnamed) == ((), 0)


def test_an_artefact_that_no_entry_names_is_counted(filled: Ledger) -> None:
    plant_artefact(filled, sha256_hex(UNNAMED), UNNAMED)
    assert (found(filled).breaks, found(filled).unnamed) == ((), 1)


def test_an_artefact_that_no_entry_names_and_differs_from_its_digest_is_found(
    filled: Ledger,
) -> None:
    plant_artefact(filled, sha256_hex(UNNAMED), b"something else")
    (only,) = found(filled).breaks
    assert (only.thing, only.expected, only.found) == (
        "an artefact that no entry names",
        sha256_hex(UNNAMED),
        sha256_hex(b"something else"),
    )


@pytest.mark.parametrize("name", ["../../out", "A" * 64, "ab", sha256_hex(b"") + "\n"])
def test_an_artefact_whose_name_is_no_digest_is_found(filled: Ledger, name: str) -> None:
    plant_artefact(filled, name, UNNAMED)
    (only,) = found(filled).breaks
    assert (only.thing, only.expected) == ("the digest of an artefact", "64 of 0-9 and a-f")


def test_a_plan_called_what_may_be_erased_is_found(filled: Ledger) -> None:
    change(
        filled,
        "UPDATE artefacts SET kind = 'reference' WHERE sha256 = :plan",
        plan=sha256_hex(PLAN),
    )
    (only,) = found(filled).breaks
    assert only.thing == f"the kind of the artefact {sha256_hex(PLAN)}"
    assert (only.expected, only.found) == ("plan", "'reference'")


@pytest.mark.parametrize(
    ("column", "value"), [("identity", "owner=Bob"), ("identity", "owner=Eve"), ("model", "vans")]
)
def test_data_that_an_erasure_would_not_find_is_found(
    filled: Ledger, column: str, value: str
) -> None:
    with filled.engine.connect() as connection:
        query = select(PAYLOADS.c.position).where(PAYLOADS.c.identity == "owner=Ada")
        position = connection.execute(query).scalar_one()
    change(
        filled, f"UPDATE payloads SET {column} = :value WHERE identity = 'owner=Ada'", value=value
    )
    (only,) = found(filled).breaks
    assert (only.position, only.thing) == (
        position,
        f"the {column} beside the data that stands apart",
    )
    assert "owner=" not in only.sentence(), "a verification shows nobody's identity"
