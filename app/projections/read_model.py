"""What a read model is: a view, the table that holds it, and the functions that fold into it.

What one question needs of several tables is one read model, too: they are folded together.

The view's fields are the table's columns, said once. A changed read model gets a new number and
with it another table, which is folded from the ledger. JSON is kept as canonical text, times as UTC
text; positions are those of the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from types import UnionType
from typing import (
    Any,
    Final,
    Literal,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Result,
    Row,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from app.database.engine import READ_MODELS_SCHEMA, ROWS_SCHEMA
from app.ledger import tables as ledger_tables
from app.ledger.past import Past
from domain.canonical import INTEGER_MAX, bytes_as_read
from domain.errors import ReadModelUnfit
from domain.events.envelope import Recorded

METADATA: Final = MetaData(
    schema=READ_MODELS_SCHEMA, naming_convention=ledger_tables.METADATA.naming_convention
)
ROWS_METADATA: Final = MetaData(  # of what is folded apart from the appends
    schema=ROWS_SCHEMA, naming_convention=ledger_tables.METADATA.naming_convention
)
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
_COLUMN_TYPES: Final[dict[type, TypeEngine[Any]]] = {
    str: ledger_tables.NAME,
    int: _NUMBER,
    bool: _NUMBER,  # 1 or 0, so that both databases give the same
    float: Double(),
    dict: ledger_tables.NAME,  # canonical JSON
    bytes: LargeBinary(),
}
_STORED: Final[dict[type, type]] = {dict: str, bool: int}  # what is not kept as what it is

# Folds entries of its types, in order, into the tables of one read model. It may look at those and
# at what the ledger held before the entry; never at another read model, ahead or behind of it.
Apply: TypeAlias = Callable[[Connection, Past, Sequence[Recorded]], None]
View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class ReadModel:
    """One read model of one number, `cycles_1`, and which function folds which events into it."""

    table: Table
    apply: Mapping[Any, Apply]  # event class -> function
    # Folded together with it. When one of them gets another number, all do: two versions of the
    # service may share what is folded alike, and nothing else.
    beside: tuple[Table, ...] = ()
    # Nothing is folded into these: whoever keeps it makes them, and they are dropped with it.
    kept_with: tuple[Table, ...] = ()

    @property
    def name(self) -> str:
        """The table's name: that of the read model, and its number."""
        return str(self.table.name)

    @property
    def tables(self) -> tuple[Table, ...]:
        """All that it fills."""
        return (self.table, *self.beside)

    @property
    def names(self) -> frozenset[str]:
        """Of all tables that go with it."""
        return frozenset(str(table.name) for table in (*self.tables, *self.kept_with))


def table_of(
    view: type,
    name: str,
    *,
    number: int,
    key: str | tuple[str, ...],
    unique: str | None = None,
    indexes: Sequence[tuple[str, ...]] = (),
    metadata: MetaData = METADATA,
) -> Table:
    """The table whose columns are the fields of the dataclass `view`, in their order.

    On SQLite its rows stand in the order of a key of several columns, and in no other index.

    Args:
        view: fields are text, numbers, bytes, bool or dict (kept as JSON); `| None` allows null.
        name: of the read model.
        number: to be raised whenever the columns change, or what is folded into them.
        key: the column that is the primary key; several in the order of the fields.
        unique: another column without duplicates.
        indexes: the columns of each further index.
        metadata: where the table is known; another one for a definition that only tests need.
    """
    keys = (key,) if isinstance(key, str) else key
    columns = [
        Column(
            field,
            _COLUMN_TYPES[kind],
            primary_key=field in keys,
            autoincrement=False,
            nullable=nullable,
        )
        for field, (kind, nullable) in _kinds(view).items()
    ]
    further: list[Any] = [Index(None, *each) for each in indexes]
    if unique is not None:
        further.append(UniqueConstraint(unique))
    in_key_order = len(keys) > 1
    return Table(
        f"{name}_{number}", metadata, *columns, *further, sqlite_with_rowid=not in_key_order
    )


def tables_of(read_models: Iterable[ReadModel]) -> list[Table]:
    """Every table of these read models, in their order."""
    return [table for each in read_models for table in each.tables]


def view_of(view: type[View], row: Row[*tuple[Any, ...]]) -> View:
    """The view of a row of its table.

    Raises:
        ReadModelUnfit: a column holds what no fold puts there.
    """
    return views_of_rows(view, row._fields, [row])[0]


def views_of(view: type[View], rows: Result[*tuple[Any, ...]]) -> list[View]:
    """The views of all rows that a statement found. Raises as `view_of`."""
    return views_of_rows(view, tuple(rows.keys()), rows.all())


def views_of_rows(
    view: type[View], names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[View]:
    """The views of rows with these columns, in any order. Raises as `view_of`.

    They are looked at by columns, for a list has a hundred rows.
    """
    if not rows:
        return []
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    for name, may_be, read in _fields(cast(type, view)):
        column = columns[name]
        if not may_be.issuperset(map(type, column)):
            raise unfit(name, f"a {cast(type, view).__name__}")
        if read is not None:
            try:
                columns[name] = tuple(None if each is None else read(each) for each in column)
            except ValueError:
                raise unfit(name, f"a {cast(type, view).__name__}") from None
    return [
        view(**dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True)
    ]


def object_of(name: str, view: type, text: str) -> dict[str, Any]:
    """The JSON object that the column `name` of `view` holds as text.

    Raises:
        ReadModelUnfit: it holds none.
    """
    try:
        return _object_in(text)
    except ValueError:
        raise unfit(name, f"a {view.__name__}") from None


def unfit(name: str, of: str) -> ReadModelUnfit:
    """The error for a column that holds what no fold puts there."""
    return ReadModelUnfit(
        f"{name!r} of {of} holds what the ledger does not give: somebody changed a read model "
        "behind the service. It is compared with the ledger and folded anew; try again in a moment."
    )


def _object_in(text: str) -> dict[str, Any]:
    found = orjson.loads(text)
    if not isinstance(found, dict):
        raise ValueError(text)
    return found


def _whole(value: int) -> int:
    if not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise ValueError(value)
    return value


def _flag(value: int) -> bool:
    return bool((0, 1).index(value))


def _among(allowed: tuple[str, ...], value: str) -> str:
    return allowed[allowed.index(value)]


def by_place(column: ColumnElement[str]) -> ColumnElement[str]:
    """The same text, by which no index is searched: what is asked for is a range of places.

    SQLite, which keeps no statistics, takes an index on a model for one of a few rows.
    """
    return column.concat("")


def json_text(value: object) -> str:
    """A JSON value that was read as canonical text: one value, one text, on every database."""
    return bytes_as_read(value).decode()


def put(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert `row`, or replace the columns it names in the row with the same primary key."""
    key = [column.name for column in table.primary_key.columns]
    rest = {name: value for name, value in row.items() if name not in key}
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(table).values(row).on_conflict_do_update(index_elements=key, set_=rest)
    )


@cache
def _kinds(view: type) -> dict[str, tuple[type, bool]]:
    """Field -> what it is, and whether it may be null."""
    hints = get_type_hints(view)
    return {field.name: _kind(hints[field.name]) for field in fields(view)}


def _kind(hint: Any) -> tuple[type, bool]:
    if get_origin(hint) is UnionType:
        (given,) = [each for each in get_args(hint) if each is not type(None)]
        return _kind(given)[0], True
    if get_origin(hint) is Literal:
        return str, False
    found: type = get_origin(hint) or hint
    return found, False


_READ: Final[Mapping[type, Callable[[Any], Any]]] = {dict: _object_in, bool: _flag, int: _whole}


@cache
def _fields(
    view: type,
) -> tuple[tuple[str, frozenset[type], Callable[[Any], Any] | None], ...]:
    """Each field: name, the types of what a fold puts there, and how such a value is read.

    That raises ValueError for what no fold puts there; None: as it is kept.
    """
    hints = get_type_hints(view)
    return tuple(
        (
            name,
            frozenset(_kept_as(kind) + ((type(None),) if nullable else ())),
            partial(_among, get_args(hints[name]))
            if get_origin(hints[name]) is Literal
            else _READ.get(kind),
        )
        for name, (kind, nullable) in _kinds(view).items()
    )


def _kept_as(kind: type) -> tuple[type, ...]:
    """SQLite gives a whole number back as an integer."""
    return (float, int) if kind is float else (_STORED.get(kind, kind),)
