"""Run migrations: inside one transaction that holds the ledger's lock, on either database."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from app.database.engine import create_database, take_lock
from app.ledger.tables import METADATA
from app.projections import tables as _  # noqa: F401 - adds the read models to the metadata
from app.settings import Settings


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        transactional_ddl=True,  # SQLite too: all of a migration, or nothing of it
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)  # the caller holds the lock and commits
        return
    settings = Settings()
    engine = create_database(settings.ledger_url, settings)
    with engine.connect() as connection:
        take_lock(connection, settings.busy_timeout_seconds)
        run(connection)
        connection.commit()
    engine.dispose()


main()
