"""The ledger and its artefacts, and the triggers that refuse every change of either.

SQLite's UPDATE and DELETE triggers are bypassed by INSERT OR REPLACE, so a guard looks before every
INSERT. On PostgreSQL the triggers also fire in a session that plays replica.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

REFUSED = "{table} only grows: nothing in it is changed, replaced or removed"

SQLITE_GUARD = {
    "entries": (
        "EXISTS (SELECT 1 FROM entries WHERE position = NEW.position)"
        " OR EXISTS (SELECT 1 FROM entries WHERE id = NEW.id)"
        " OR EXISTS (SELECT 1 FROM entries"
        " WHERE stream = NEW.stream AND stream_version = NEW.stream_version)"
    ),
    "artefacts": "EXISTS (SELECT 1 FROM artefacts WHERE sha256 = NEW.sha256)",
}


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("stream", NAME, nullable=False),
        sa.Column("stream_version", POSITION, nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("schema", sa.Integer(), nullable=False),
        sa.Column("occurred_at", NAME, nullable=False),
        sa.Column("recorded_at", NAME, nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("position", name="pk_entries"),
        sa.UniqueConstraint("id", name="uq_entries_id"),
        sa.UniqueConstraint("stream", "stream_version", name="uq_entries_stream_stream_version"),
    )
    op.create_table(
        "artefacts",
        sa.Column("sha256", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_artefacts"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for table, taken in SQLITE_GUARD.items():
            _guard_on_sqlite(table, taken)
    else:
        _guard_on_postgresql()


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")


def _guard_on_sqlite(table: str, taken: str) -> None:
    refuse = f"SELECT RAISE(ABORT, '{REFUSED.format(table=table)}');"
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table}"
            f" BEGIN {refuse} END"
        )
    op.execute(
        f"CREATE TRIGGER {table}_refuse_replace BEFORE INSERT ON {table}"
        f" WHEN {taken} BEGIN {refuse} END"
    )


def _guard_on_postgresql() -> None:
    text = REFUSED.format(table="%")
    op.execute(
        "CREATE FUNCTION whyledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN RAISE EXCEPTION '{text}', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';"
        " END $$"
    )
    for table in SQLITE_GUARD:
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION whyledger_refuse()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION whyledger_refuse()"
        )
        for trigger in ("refuse_change", "refuse_truncate"):
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{trigger}")
