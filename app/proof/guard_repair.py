"""Make a trigger that was dropped or changed again, from the text of what the migrations made.

So, too, the functions that PostgreSQL's triggers call. Tables, columns and constraints are not made
again: rows came in while they were missing, and who compares them needs a back-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from app.database.read_only import judged_revision
from app.proof.verify.guards import guard_texts
from app.proof.verify.schema_objects import schema_objects

_MENDED: Final = ("function ", "trigger ")  # in this order: a trigger needs its function
_LANGUAGE: Final = ", plpgsql"
_DEFINER: Final = ", security definer"
_ENABLED: Final = ", enabled "
_STATES: Final = {"A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}
_OWNER: Final = "SELECT tableowner FROM pg_tables WHERE tablename = 'entries' AND schemaname ="
_OWNS: Final = f"{_OWNER} current_schema()"
_MAY: Final = "SELECT pg_has_role(current_user, '{role}', 'MEMBER')"


def guard_steps(connection: Connection) -> tuple[str, ...]:
    """What `mend_guards` would do, in words."""
    return tuple(
        f"the {name} was {'changed' if changed else 'dropped'}; it is made again as the migrations "
        "made it"
        for name, _, changed in _wrong(connection)
    )


def mend_guards(connection: Connection) -> None:
    """Make every guard that is missing or another again. Raises DBAPIError: not the owner's."""
    postgresql = connection.dialect.name != "sqlite"
    if postgresql:
        _become_owner(connection)
    for name, right, changed in list(_wrong(connection)):
        statements = _on_postgresql(name, right) if postgresql else _on_sqlite(name, right, changed)
        for statement in statements:
            # No parameters, not even none: else the driver reads its % as the place of one.
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    if postgresql:
        connection.exec_driver_sql("RESET ROLE")


def _wrong(connection: Connection) -> Iterator[tuple[str, str, bool]]:
    """Kind and name, the right text, and whether another stands there; those called first."""
    expected = guard_texts(connection.dialect.name, judged_revision(connection))
    found = schema_objects(connection)
    for kind in _MENDED:
        for name, right in expected.items():
            if name.startswith(kind) and found.get(name) != right:
                yield name, right, name in found


def _on_sqlite(name: str, right: str, changed: bool) -> Iterator[str]:
    if changed:
        yield f'DROP TRIGGER "{name.removeprefix("trigger ")}"'
    yield right


def _on_postgresql(name: str, right: str) -> Iterator[str]:
    kind, _, rest = name.partition(" ")
    if kind == "function":
        source, _, how = right.rpartition(_LANGUAGE)
        definer = " SECURITY DEFINER" if how.startswith(_DEFINER) else ""
        sets = "".join(f" SET {each}" for each in how.removeprefix(_DEFINER).split(", ")[1:])
        yield (
            f"CREATE OR REPLACE FUNCTION {rest}() RETURNS trigger LANGUAGE plpgsql{definer}{sets}"
            f" AS $whyledger${source}$whyledger$"
        )
        return
    trigger, _, table = rest.partition(" of ")
    made, _, state = right.rpartition(_ENABLED)
    yield f"DROP TRIGGER IF EXISTS {trigger} ON {table}"
    yield made
    if state in _STATES:
        yield f"ALTER TABLE {table} {_STATES[state]} TRIGGER {trigger}"


def _become_owner(connection: Connection) -> None:
    """What is made belongs to whom the tables belong, not to the login that repairs."""
    owner = connection.exec_driver_sql(_OWNS).scalar_one()
    if connection.exec_driver_sql(_MAY.format(role=owner)).scalar_one():
        connection.exec_driver_sql(f'SET LOCAL ROLE "{owner}"')
