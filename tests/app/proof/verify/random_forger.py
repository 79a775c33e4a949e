"""A forger who picks by chance: any stored value or row of the ledger's database, forged any way.

He owns the database, so he drops the guards, and puts them back. What he made may agree with
nothing around it, or he recomputes all that a forger can: every hash column, the tree, the read
models. He has no key, and nothing that is kept elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, text
from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import driver_name, insert_rows
from app.ledger.tables import ARTEFACTS, ENTRIES, LEDGER_HEAD, PAYLOADS, TILES
from app.ledger.tree import grow
from app.projections.positions import POSITIONS
from app.projections.read_model import tables_of
from app.projections.runner import WITH_THE_LEDGER, apply
from domain.canonical import canonical_bytes, leaf_hash, sha256_hex
from domain.errors import WhyledgerError
from domain.tree.merkle import perfect_root
from tests.app.proof.forger import TRUTH

REVISION: Final = Table(
    "alembic_version", MetaData(), Column("version_num", Text, primary_key=True)
)
TABLES: Final = (*TRUTH, POSITIONS, REVISION, *tables_of(WITH_THE_LEDGER))
KINDS: Final = ("change", "delete", "duplicate", "swap", "add", "restore")
Row = dict[str, Any]
Dump = dict[str, dict[tuple[Any, ...], Row]]  # table -> primary key -> row


class Forgery(NamedTuple):
    """What was forged, and whether all around it was recomputed."""

    table: str
    kind: str
    recomputed: bool


class Forger:
    """Forges on one connection, whose guards are dropped; nothing is committed.

    Args:
        connection: to the ledger's database.
        earlier: what stood in it once.
        random: whom he asks.
    """

    def __init__(self, connection: Connection, earlier: Dump, random: Random) -> None:
        self._connection = connection
        self._earlier = earlier
        self._random = random

    def forge(self) -> Forgery:
        """Forge one thing. What the database itself refuses is undone, and said as it says it."""
        table, kind = self._random.choice(TABLES), self._random.choice(KINDS)
        recomputed = table in _RECOMPUTED and self._random.random() < 0.5
        rows = rows_of(self._connection, table)
        made = _KINDS[kind](self, table, rows)
        if made is not None:
            put_rows(self._connection, table, made)
            if recomputed:
                self._recompute(table, rows, made)
        return Forgery(table.name, kind, recomputed)

    def _change(self, table: Table, rows: list[Row]) -> list[Row] | None:
        if not rows:
            return None
        row, column = self._random.choice(rows), self._random.choice(list(table.columns))
        changed = row | {column.name: self._another(row[column.name], column.name, rows)}
        return [changed if each is row else each for each in rows]

    def _delete(self, table: Table, rows: list[Row]) -> list[Row] | None:
        if not rows:
            return None
        first = self._random.randrange(len(rows))
        count = self._random.choice([1, 1, len(rows)])
        return rows[:first] + rows[first + count :]

    def _duplicate(self, table: Table, rows: list[Row]) -> list[Row] | None:
        return [*rows, self._with_new_key(table, rows, self._random.choice(rows))] if rows else None

    def _add(self, table: Table, rows: list[Row]) -> list[Row] | None:
        if not rows:
            return None
        mixed = {name: self._random.choice(rows)[name] for name in rows[0]}
        return [*rows, self._with_new_key(table, rows, mixed)]

    def _swap(self, table: Table, rows: list[Row]) -> list[Row] | None:
        if len(rows) < 2:
            return None
        one, other = self._random.sample(rows, 2)
        free = [name for name in rows[0] if name not in _key(table)]
        if not free:
            return None
        names = free if self._random.random() < 0.5 else [self._random.choice(free)]
        swapped = {id(one): other, id(other): one}
        return [
            each | {name: swapped[id(each)][name] for name in names}
            if id(each) in swapped
            else each
            for each in rows
        ]

    def _restore(self, table: Table, rows: list[Row]) -> list[Row] | None:
        """One row as it once stood, or all of the table."""
        earlier = self._earlier[table.name]
        if not earlier or self._random.random() < 0.5:
            return list(earlier.values())
        key, old = self._random.choice(list(earlier.items()))
        return [old if key_of(table, each) == key else each for each in rows]

    def _with_new_key(self, table: Table, rows: list[Row], row: Row) -> Row:
        """The row under a key, and where such columns are unique names, that no other has."""
        new = dict(row)
        for name in {*_key(table), "id"} & row.keys():
            taken = [each[name] for each in rows if type(each[name]) is type(row[name])]
            new[name] = max(taken) + 1 if isinstance(row[name], int) else f"{row[name]}+"
        if table is ENTRIES:
            stream = [each["stream_version"] for each in rows if each["stream"] == new["stream"]]
            new["stream_version"] = max(stream) + 1
            new["id"] = f"0198f2a4-6d1e-7c3b-9a55-{self._random.getrandbits(48):012x}"
        if table is ARTEFACTS:
            new["bytes"] = bytes(new["bytes"]) + b"+"
            new["sha256"] = sha256_hex(new["bytes"])
        return new

    def _another(self, value: Any, name: str, rows: Sequence[Row]) -> Any:
        """Another value for the column: somebody else's, or this one spoiled."""
        pick = self._random
        if pick.random() < 0.3:
            return pick.choice(rows)[name]
        if isinstance(value, bytes | memoryview):
            return self._spoiled(bytes(value))
        if isinstance(value, str):
            return self._spoiled_text(value)
        if isinstance(value, int):
            return pick.choice([value + 1, value - 1, 0, value + 10**6])
        if isinstance(value, float):
            return pick.choice([value + 1.0, -value, value * (1 + 1e-12)])
        return pick.choice([each[name] for each in rows])  # of null: whatever others have

    def _spoiled(self, content: bytes) -> Any:
        pick = self._random
        at = pick.randrange(len(content) + 1)
        flipped = bytearray(content or b"\0")
        flipped[at % len(flipped)] ^= 1 << pick.randrange(8)
        made: list[Any] = [bytes(flipped), content[:at], content + b"\0", b"", pick.randbytes(32)]
        if self._connection.dialect.name == "sqlite":
            made.append("text where bytes should be")
        return pick.choice(made)

    def _spoiled_text(self, content: str) -> Any:
        pick = self._random
        at = pick.randrange(len(content) + 1)
        made: list[Any] = [content[:at], f"{content[:at]}x{content[at:]}", "", content.upper()]
        if self._connection.dialect.name == "sqlite":
            made.append(b"bytes where text should be")
        return pick.choice(made)

    def _recompute(self, table: Table, before: list[Row], made: list[Row]) -> None:
        """Let all that follows from the rows follow from these; where it cannot, leave it."""
        nested = self._connection.begin_nested()
        try:
            _RECOMPUTED[table](self._connection, before, made)
            nested.commit()
        except (SQLAlchemyError, WhyledgerError, ValueError, TypeError, KeyError, AttributeError):
            nested.rollback()


_KINDS: Final[Mapping[str, Callable[[Forger, Table, list[Row]], list[Row] | None]]] = {
    kind: getattr(Forger, f"_{kind}") for kind in KINDS
}


def rows_of(connection: Connection, table: Table) -> list[Row]:
    """The rows as the database holds them, by primary key."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    order = ", ".join(f'"{name}"' for name in _key(table))
    statement = f"SELECT {columns} FROM {stored_name(connection, table)} ORDER BY {order}"
    names = [column.name for column in table.columns]
    return [
        dict(zip(names, row, strict=True)) for row in connection.exec_driver_sql(statement).all()
    ]


def put_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Let the table hold these rows and no others, as the driver takes them."""
    names = [column.name for column in table.columns]
    columns = ", ".join(f'"{name}"' for name in names)
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    name = stored_name(connection, table)
    standing = {key_of(table, row): row for row in rows_of(connection, table)}
    kept = [row for row in rows if standing.get(key_of(table, row)) == row]
    gone = standing.keys() - {key_of(table, row) for row in kept}
    where = " AND ".join(f'"{column}" = {mark}' for column in _key(table))
    for key in gone:
        connection.exec_driver_sql(f"DELETE FROM {name} WHERE {where}", key)
    marks = ", ".join([mark] * len(names))
    kept_ids = {id(row) for row in kept}
    for row in rows:
        if id(row) not in kept_ids:
            values = tuple(row[column] for column in names)
            connection.exec_driver_sql(f"INSERT INTO {name} ({columns}) VALUES ({marks})", values)


def dump(connection: Connection) -> Dump:
    """All that stands in the database."""
    return {
        table.name: {key_of(table, row): row for row in rows_of(connection, table)}
        for table in TABLES
    }


def put_back(connection: Connection, all: Dump) -> None:
    """Let everything be as it was."""
    for table in TABLES:
        put_rows(connection, table, list(all[table.name].values()))


def differences(before: Dump, after: Dump) -> set[str]:
    """`entries +row`, `entries -row` and `entries.stream`: what is another now."""
    found = set()
    for name, rows in before.items():
        if name == LEDGER_HEAD.name and len(after[name]) == 1:  # the one row, whatever its number
            ((_, was), (_, now)) = (*rows.items(), *after[name].items())
            found |= {f"{name}.{column}" for column in was if _told_apart(was, now, column)}
            continue
        found |= {f"{name} +row"} if after[name].keys() - rows.keys() else set()
        found |= {f"{name} -row"} if rows.keys() - after[name].keys() else set()
        for key in rows.keys() & after[name].keys():
            was, now = rows[key], after[name][key]
            found |= {f"{name}.{column}" for column in was if _told_apart(was, now, column)}
    return found


def stored_name(connection: Connection, table: Table) -> str:
    return driver_name(table, connection.dialect.name)


def key_of(table: Table, row: Row) -> tuple[Any, ...]:
    """The row's primary key, by which `put_rows` finds it."""
    return tuple(row[name] for name in _key(table))


def _told_apart(one: Row, other: Row, column: str) -> bool:
    return type(one[column]) is not type(other[column]) or one[column] != other[column]


def _key(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key.columns)


def another_history(connection: Connection, before: list[Row], made: list[Row]) -> None:
    """The entries in their order are the ledger: places, columns, hashes, tree, read models."""
    contents = [bytes(row["bytes"]) for row in made]
    was = {row["position"]: bytes(row["bytes"]) for row in before}
    for number, row in enumerate(made):  # an edited column is what the forger wants to be believed
        if was.get(row["position"]) == contents[number]:
            envelope = json.loads(contents[number])
            envelope |= {name: row[name] for name in _COPIES}
            contents[number] = canonical_bytes(envelope)
    versions: dict[str, int] = {}
    rows = []
    for position, content in enumerate(contents):
        envelope = json.loads(content)
        version = versions[envelope["stream"]] = versions.get(envelope["stream"], -1) + 1
        copies = [envelope[name] for name in ("type", "schema", "occurred_at", "recorded_at")]
        place = (position, envelope["id"], envelope["stream"], version)
        rows.append(
            (*place, *copies, content, leaf_hash(content), made[position]["request_digest"])
        )
    for table in (ENTRIES, TILES):
        connection.execute(delete(table))
    connection.execute(text("UPDATE ledger_head SET size = 0, frontier = :none"), {"none": b""})
    insert_rows(connection, ENTRIES, rows)
    grow(connection, 0, [leaf_hash(content) for content in contents])
    nested = connection.begin_nested()
    try:
        apply.begin_anew(connection)
        folded, entries = apply.catch_up(connection, begin=True)
        while folded < entries:  # a page of them at a time
            folded, entries = apply.catch_up(connection, begin=True)
        nested.commit()
    except (SQLAlchemyError, WhyledgerError):
        nested.rollback()  # no read model can be made of it


def other_artefacts(connection: Connection, before: list[Row], made: list[Row]) -> None:
    """Each is named by its digest, and so are they in the entries."""
    renamed = {}
    for row in made:
        digest = sha256_hex(bytes(row["bytes"]))
        if digest != row["sha256"]:
            renamed[row["sha256"].encode()] = digest.encode()
    put_rows(connection, ARTEFACTS, [r | {"sha256": sha256_hex(bytes(r["bytes"]))} for r in made])
    entries = rows_of(connection, ENTRIES)
    forged = []
    for row in entries:
        content = bytes(row["bytes"])
        for old, new in renamed.items():
            content = content.replace(old, new)
        forged.append(row | {"bytes": content})
    another_history(connection, entries, forged)


def other_payloads(connection: Connection, before: list[Row], made: list[Row]) -> None:
    """The entries commit to what now stands apart."""
    commits = {r["position"]: sha256_hex(bytes(r["salt"]) + bytes(r["bytes"])) for r in made}
    entries = rows_of(connection, ENTRIES)
    forged = []
    for row in entries:
        envelope = json.loads(bytes(row["bytes"]))
        if "data_commit" in envelope and row["position"] in commits:
            envelope["data_commit"] = commits[row["position"]]
        forged.append(row | {"bytes": canonical_bytes(envelope)})
    another_history(connection, entries, forged)


def other_tiles(connection: Connection, before: list[Row], made: list[Row]) -> None:
    """Each tile has the root of its hashes."""
    put_rows(connection, TILES, [r | {"root": perfect_root(bytes(r["bytes"]))} for r in made])


_COPIES: Final = ("id", "stream", "type", "schema", "occurred_at", "recorded_at")
_RECOMPUTED: Final[Mapping[Table, Callable[[Connection, list[Row], list[Row]], None]]] = {
    ENTRIES: another_history,
    ARTEFACTS: other_artefacts,
    PAYLOADS: other_payloads,
    TILES: other_tiles,
}
