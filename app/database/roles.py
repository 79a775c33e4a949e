"""Who may do what on PostgreSQL: one role owns the tables, another one may only add to them.

A third may also erase what an entry says is erased. All are NOLOGIN roles. The service connects as
a login that is a member of `whyledger_app`, so that what it may not do (change, remove, truncate,
drop a guard) the database refuses whatever it sends. What stands in the schema `read_models`
follows from the ledger: there the application may create, and everything belongs to it.

Migrations divide the rights, by statements frozen in them. `python -m app.database.roles` does it
again: after roles were made by somebody else, or by hand.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError

from app.database.engine import READ_MODELS_SCHEMA, busy_is_refused, create_database
from app.database.locks import take_lock
from app.database.private_files import keep_private
from app.settings import Settings

OWNER: Final = "whyledger_owner"
APPLICATION: Final = "whyledger_app"
ERASER: Final = "whyledger_eraser"  # may do what the application may, and erase
_GROWING: Final = (
    *("entries", "artefacts", "payloads", "blocks", "row_ids"),
    *("tiles", "checkpoints"),
)
# A trigger wants an entry that names what is removed.
_ERASABLE: Final = ("artefacts", "payloads", "blocks")
_RIGHTS: Final = {
    **dict.fromkeys(_GROWING, "SELECT, INSERT"),
    "ledger_head": "SELECT, INSERT, UPDATE",  # a trigger refuses a smaller size
    "alembic_version": "SELECT",
}
_FUNCTIONS: Final = (
    "whyledger_refuse",
    "whyledger_refuse_unerased",
    "whyledger_refuse_unfounded",
    "whyledger_refuse_gap",
    "whyledger_refuse_rows_unerased",
    "whyledger_refuse_block_unfounded",
    "whyledger_refuse_ids_unfounded",
)
_NOT_ALLOWED: Final = "42501"  # insufficient_privilege
_NO_SUCH_ROLE: Final = "42704"
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


def give_to_application(connection: Connection, tables: Sequence[Table]) -> None:
    """Let every member of the application's role use, and drop, these new read models.

    A login that may not give them away lets the role use them. On SQLite, and where the rights are
    not divided, there is nobody to give them to.
    """
    if connection.dialect.name == "sqlite":
        return
    for table in tables:
        for statement in (
            f"ALTER TABLE {READ_MODELS_SCHEMA}.{table.name} OWNER TO {APPLICATION}",
            f"GRANT ALL ON {READ_MODELS_SCHEMA}.{table.name} TO {APPLICATION}",
        ):
            try:
                with connection.begin_nested():
                    connection.execute(text(statement))
                break
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in (_NO_SUCH_ROLE, _NOT_ALLOWED):
                    raise


def main() -> int:
    """Divide the rights in the database of WHYLEDGER_DATABASE_URL; 0 when it is done, else 20."""
    settings = Settings()
    engine = create_database(settings.ledger_url, settings)
    try:
        with busy_is_refused(settings.busy_timeout_seconds), engine.connect() as connection:
            take_lock(connection, settings.busy_timeout_seconds)
            refusal = divide_rights(connection)
            connection.commit()
    finally:
        engine.dispose()
    sys.stdout.write(f"{refusal or 'the rights are divided'}\n")
    return 20 if refusal else 0


def _statements(connection: Connection) -> list[str]:
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    roles = (OWNER, APPLICATION)
    member = connection.execute(text(_MEMBER_OF), {"roles": list(roles)}).scalars().all()
    there = connection.execute(text(_TABLES.format(schema="current_schema()"))).scalars()
    tables = [table for table in there if table in _RIGHTS]  # what else stands there is not ours
    derived = connection.execute(text(_TABLES.format(schema=f"'{READ_MODELS_SCHEMA}'"))).scalars()
    statements = [_MAKE_ROLE.format(role=role) for role in (*roles, ERASER)]
    # Or it could not migrate again, nor give away what it made.
    statements += [f"GRANT {role} TO CURRENT_USER" for role in roles if role not in member]
    statements += [
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",  # as in PostgreSQL 15 and later
        f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {OWNER}",
        f"GRANT USAGE ON SCHEMA {schema} TO {APPLICATION}",
        f"ALTER SCHEMA {READ_MODELS_SCHEMA} OWNER TO {OWNER}",
        f"GRANT USAGE, CREATE ON SCHEMA {READ_MODELS_SCHEMA} TO {APPLICATION}",
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
    statements += [
        f"ALTER TABLE {READ_MODELS_SCHEMA}.{name} OWNER TO {APPLICATION}" for name in derived
    ]
    return statements


if __name__ == "__main__":
    keep_private()
    sys.exit(main())
