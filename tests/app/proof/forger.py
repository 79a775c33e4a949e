"""Somebody who owns the database, and recomputes every hash column that he can."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, delete, text

from app.database.engine import driver_name, insert_rows
from app.ledger.store import Ledger
from app.ledger.tables import (
    ARTEFACTS,
    BLOCKS,
    CHECKPOINTS,
    ENTRIES,
    LEDGER_HEAD,
    PAYLOADS,
    ROW_IDS,
    TILES,
)
from app.ledger.tree import grow
from app.projections.positions import POSITIONS
from app.projections.read_model import tables_of
from app.projections.runner import WITH_THE_LEDGER, apply
from domain.canonical import canonical_bytes, leaf_hash
from domain.events.envelope import parse_entry

TRUTH = (ENTRIES, ARTEFACTS, PAYLOADS, BLOCKS, ROW_IDS, TILES, CHECKPOINTS, LEDGER_HEAD)


def drop_guards(connection: Connection) -> None:
    """Let everything be changed."""
    if connection.dialect.name == "sqlite":
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for name in names.scalars().all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    else:
        _all_at_once(connection, [f"ALTER TABLE {t.name} DISABLE TRIGGER ALL" for t in TRUTH])


@contextmanager
def guards_dropped(ledger: Ledger) -> Iterator[Connection]:
    """A connection on which everything can be changed; the guards stand again at the end."""
    with ledger.engine.connect() as connection:
        guards, checks = _guards(connection), _checks(connection)
        drop_guards(connection)
        _all_at_once(connection, [f"ALTER TABLE artefacts DROP CONSTRAINT {c}" for c in checks])
        yield connection
        _put_back(connection, guards)
        _all_at_once(
            connection,
            [
                f"ALTER TABLE artefacts ADD CONSTRAINT {name} {said}"
                for name, said in checks.items()
            ],
        )
        connection.commit()


def change(ledger: Ledger, *statements: str, **values: object) -> None:
    """Run statements that the guards would refuse, put the guards back, recompute nothing."""
    with guards_dropped(ledger) as connection:
        for statement in statements:
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)


def rewrite(ledger: Ledger, forge: Callable[[list[bytes]], list[bytes]]) -> None:
    """Write another history: bytes, columns, hashes, tiles, head and read models all agree."""
    contents = forge(ledger.stored_bytes(0, ledger.size() - 1))
    versions: dict[str, int] = {}
    rows, entries = [], []
    for position, content in enumerate(contents):
        envelope = json.loads(content)
        version = versions[envelope["stream"]] = versions.get(envelope["stream"], -1) + 1
        entries.append(parse_entry(content, position=position, stream_version=version))
        copies = [envelope[name] for name in ("type", "schema", "occurred_at", "recorded_at")]
        place = (position, envelope["id"], envelope["stream"], version)
        rows.append((*place, *copies, content, leaf_hash(content), None))
    with guards_dropped(ledger) as connection:
        for table in (ENTRIES, TILES):
            connection.execute(delete(table))
        connection.execute(text("UPDATE ledger_head SET size = 0, frontier = :none"), {"none": b""})
        insert_rows(connection, ENTRIES, rows)
        grow(connection, 0, [leaf_hash(content) for content in contents])
        for table in (POSITIONS, *tables_of(WITH_THE_LEDGER)):
            connection.execute(delete(table))
        apply(connection, entries)
    ledger.rows.fold_anew()


def stored_as(ledger: Ledger, table: Table) -> str:
    """The name of a read model's table in this ledger's database."""
    return driver_name(table, ledger.engine.dialect.name)


def forget_checkpoints(ledger: Ledger) -> None:
    """Remove the checkpoints from the database, as if nothing had been signed."""
    change(ledger, "DELETE FROM checkpoints")


def edited(content: bytes, **changes: object) -> bytes:
    """The entry with other data, canonical again."""
    envelope = json.loads(content)
    envelope["data"].update(changes)
    return canonical_bytes(envelope)


def _guards(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    return list(
        connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")).scalars()
    )


def _checks(connection: Connection) -> dict[str, str]:
    """What PostgreSQL checks of an artefact, by name; it looks at nothing that stands there."""
    if connection.dialect.name == "sqlite":
        return {}
    query = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid ="
    rows = connection.execute(text(f"{query} 'artefacts'::regclass AND contype = 'c'")).all()
    return {row.conname: row.pg_get_constraintdef for row in rows}


def _put_back(connection: Connection, guards: list[str]) -> None:
    """So that nobody sees that they were gone."""
    for statement in guards:
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "postgresql":
        names = ", ".join(f"'{table.name}'::regclass" for table in TRUTH)
        query = "SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE NOT tgisinternal"
        there = connection.exec_driver_sql(f"{query} AND tgrelid IN ({names})").all()
        _all_at_once(
            connection,
            [f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}" for table, name in there],
        )


def _all_at_once(connection: Connection, statements: list[str]) -> None:
    """On PostgreSQL, for which each by itself is a way there and back."""
    if statements:
        connection.exec_driver_sql("; ".join(statements))
