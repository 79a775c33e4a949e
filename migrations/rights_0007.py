"""The rights on PostgreSQL as migration 0007 divides them, frozen like everything it uses.

Who changes them writes a migration with its own statements; `app/database/roles.py` says what holds
today, and why.
"""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

OWNER: Final = "whyledger_owner"
APPLICATION: Final = "whyledger_app"
ERASER: Final = "whyledger_eraser"  # may do what the application may, and erase
READ_MODELS: Final = "read_models"  # the schema
_GROWING: Final = ("entries", "artefacts", "payloads", "tiles", "checkpoints")
_ERASABLE: Final = ("artefacts", "payloads")  # a trigger wants an entry that names what is removed
_RIGHTS: Final = {
    **dict.fromkeys(_GROWING, "SELECT, INSERT"),
    "ledger_head": "SELECT, INSERT, UPDATE",  # a trigger refuses a smaller size
    "alembic_version": "SELECT",
}
_FUNCTIONS: Final = ("whyledger_refuse", "whyledger_refuse_unerased")
_NOT_ALLOWED: Final = "42501"  # insufficient_privilege
_LOG: Final = logging.getLogger("whyledger.ledger")

# Another ledger of the same server may make the same role at the same moment.
_MAKE_ROLE: Final = (
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN"
    " CREATE ROLE {role} NOLOGIN; END IF;"
    " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
)
_MEMBER_OF: Final = (
    "SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)"
    " AND pg_has_role(current_user, oid, 'USAGE')"
)
_FUNCTIONS_THERE: Final = (
    "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
    " AND proname = ANY(:names) ORDER BY proname"
)
_TABLES: Final = (
    "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE nspname = {schema} AND relkind IN ('r', 'p') ORDER BY relname"
)


def divide_rights(connection: Connection) -> str | None:
    """Make the roles and give every table of the ledger to them; harmless when it is done.

    Runs inside the transaction of `connection`, all or nothing. On SQLite there are no roles: who
    owns the file owns the ledger.

    Returns:
        None when it is done; otherwise why this login may not do it, and what to do. The ledger
        works without, and then the triggers alone stand between its owner and the entries.
    """
    if connection.dialect.name == "sqlite":
        return None
    try:
        with connection.begin_nested():
            for statement in _statements(connection):
                connection.execute(text(statement))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
            raise
        why = " ".join(str(error.orig).split())
        said = (
            f"the rights in the ledger's database are not divided: {why}. It works, but the login "
            "that serves could drop the guards. Let a superuser run "
            f"`python -m app.database.roles`, then serve as a member of {APPLICATION}."
        )
        _LOG.warning("%s", said)
        return said
    return None


def _statements(connection: Connection) -> list[str]:
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    roles = (OWNER, APPLICATION)
    member = connection.execute(text(_MEMBER_OF), {"roles": list(roles)}).scalars().all()
    there = connection.execute(text(_TABLES.format(schema="current_schema()"))).scalars()
    tables = [table for table in there if table in _RIGHTS]  # what else stands there is not ours
    derived = connection.execute(text(_TABLES.format(schema=f"'{READ_MODELS}'"))).scalars()
    statements = [_MAKE_ROLE.format(role=role) for role in (*roles, ERASER)]
    # Or it could not migrate again, nor give away what it made.
    statements += [f"GRANT {role} TO CURRENT_USER" for role in roles if role not in member]
    statements += [
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",  # as in PostgreSQL 15 and later
        f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {OWNER}",
        f"GRANT USAGE ON SCHEMA {schema} TO {APPLICATION}",
        f"ALTER SCHEMA {READ_MODELS} OWNER TO {OWNER}",
        f"GRANT USAGE, CREATE ON SCHEMA {READ_MODELS} TO {APPLICATION}",
        f"GRANT {APPLICATION} TO {ERASER}",
    ]
    functions = connection.execute(text(_FUNCTIONS_THERE), {"names": list(_FUNCTIONS)}).scalars()
    statements += [f"ALTER FUNCTION {name}() OWNER TO {OWNER}" for name in functions]
    for table in tables:
        statements += [
            f"ALTER TABLE {table} OWNER TO {OWNER}",
            f"REVOKE ALL ON {table} FROM PUBLIC, {APPLICATION}, {ERASER}",
            f"GRANT {_RIGHTS[table]} ON {table} TO {APPLICATION}",
        ]
        if table in _ERASABLE:
            statements.append(f"GRANT DELETE ON {table} TO {ERASER}")
    statements += [f"ALTER TABLE {READ_MODELS}.{name} OWNER TO {APPLICATION}" for name in derived]
    return statements
