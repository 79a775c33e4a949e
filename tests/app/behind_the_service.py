"""Writing into read models behind the back of the service that keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table

from app.ledger.store import Ledger


@contextmanager
def writing_to(ledger: Ledger, table: Table) -> Iterator[Connection]:
    """A transaction that may change this read model, once all that there is is folded into it."""
    if table.name in ledger.rows.names:
        ledger.rows.catch_up()
        with ledger.rows.writing() as connection:
            yield connection
    else:
        with ledger.writing() as connection:
            yield connection
