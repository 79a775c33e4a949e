"""Rows of many in one entry, and how somebody puts others in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import select, update

from app.ledger.payloads import delete_erased
from app.ledger.store import Connection, Ledger
from app.ledger.tables import BLOCKS
from app.proof.verify.verification import Verified, verify
from domain.blocks.block import Block
from domain.blocks.ids import prediction_id
from domain.events.block_events import RowPlace
from tests.app.many_rows import observations, outcomes, predictions, put_many
from tests.app.planting import erasure
from tests.app.proof.forger import guards_dropped
from tests.ledger_events import observation, prediction, put

FIRST: Final = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3dfffe"
OTHER: Final = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d0000"  # the third of the rows that begin with FIRST
ROWS: Final = "the rows that stand apart"


def fill(ledger: Ledger) -> None:
    """Predictions at 1, observations at 2, outcomes at 3, plain entries at 4 and 5."""
    put_many(ledger, predictions(1, 2, 3), FIRST)
    put_many(ledger, observations(4, 5, 6))
    put_many(ledger, outcomes((FIRST, "car=1"), (prediction_id(FIRST, 1), "car=2")))
    put(ledger, "observations-cars", observation("car=7"))
    put(ledger, "predictions-cars", prediction("car=8"))


def looked_at(ledger: Ledger) -> Verified:
    return verify(ledger, None, read_models=False)


def found(ledger: Ledger) -> list[tuple[int | None, str]]:
    return [(each.position, each.thing) for each in looked_at(ledger).breaks]


def erase(ledger: Ledger, *places: tuple[int, int]) -> None:
    """Erase rows as the service will."""
    event = erasure(rows=tuple(RowPlace(position=at, row=row) for at, row in places))
    put(ledger, "ledger", event)
    with ledger.writing() as connection:
        delete_erased(connection, event)


def stored(connection: Connection, position: int) -> Block:
    row = connection.execute(select(BLOCKS).where(BLOCKS.c.position == position)).one()
    return Block(row.salts, row.bytes)


def forge(ledger: Ledger, position: int, change: Callable[[Block], Block]) -> None:
    """Put another block where one stands."""
    with guards_dropped(ledger) as connection:
        block = change(stored(connection, position))
        connection.execute(
            update(BLOCKS)
            .where(BLOCKS.c.position == position)
            .values(salts=block.salts, bytes=block.content)
        )
