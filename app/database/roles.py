"""The roles of `migrations/rights.py` on PostgreSQL: divide the rights again, give tables away.

`python -m app.database.roles` does again what a migration did: after roles were made by somebody
else, or by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError

from app.database.engine import busy_is_refused, create_database
from app.database.locks import take_lock
from app.settings import Settings
from migrations.rights import APPLICATION, ERASER, OWNER, divide_rights

__all__ = ["APPLICATION", "ERASER", "OWNER", "divide_rights", "give_to_application", "main"]

_NO_SUCH_ROLE: Final = "42704"
_NOT_ALLOWED: Final = "42501"


def give_to_application(connection: Connection, tables: Sequence[Table]) -> None:
    """Let every member of the application's role use, and drop, these new read models.

    A login that may not give them away lets the role use them. On SQLite, and where the rights are
    not divided, there is nobody to give them to.
    """
    if connection.dialect.name == "sqlite":
        return
    for table in tables:
        for statement in (
            f"ALTER TABLE {table.fullname} OWNER TO {APPLICATION}",
            f"GRANT ALL ON {table.fullname} TO {APPLICATION}",
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


if __name__ == "__main__":
    sys.exit(main())
