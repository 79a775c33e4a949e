"""Payloads about persons stand apart, and can be erased: only what a recorded erasure names.

The same holds for frozen references and identities among the artefacts; plans are never removed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

GROWS = "{table} only grows: nothing in it is changed, replaced or removed"
NAMED = "{table} only grows: nothing in it is removed but what a recorded erasure names"
ERASURE = "stream = 'ledger' AND type = 'ledger.payload-erased'"
# table -> its key, the field of the erasure that names it, what else must hold
ERASABLE = {
    "payloads": ("position", "entries", ""),
    "artefacts": ("sha256", "artefacts", " AND OLD.kind IN ('reference', 'identities')"),
}


def upgrade() -> None:
    op.create_table(
        "payloads",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("identity", NAME, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("position", name="pk_payloads"),
    )
    op.create_index("ix_payloads_model_identity", "payloads", ["model", "identity"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")


def _guard_on_sqlite() -> None:
    op.execute("DROP TRIGGER artefacts_refuse_delete")
    for table, (key, field, further) in ERASABLE.items():
        named = (
            "EXISTS (SELECT 1 FROM entries AS erasure,"  # noqa: S608 our own names
            f" json_each(CAST(erasure.bytes AS TEXT), '$.data.{field}') AS erased"
            f" WHERE erasure.{ERASURE.replace('AND type', 'AND erasure.type')}"
            f" AND erased.value = OLD.{key}){further}"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table} WHEN NOT ({named})"
            f" BEGIN SELECT RAISE(ABORT, '{NAMED.format(table=table)}'); END"
        )
    refuse = f"SELECT RAISE(ABORT, '{GROWS.format(table='payloads')}');"
    op.execute(
        f"CREATE TRIGGER payloads_refuse_update BEFORE UPDATE ON payloads BEGIN {refuse} END"
    )
    op.execute(
        "CREATE TRIGGER payloads_refuse_replace BEFORE INSERT ON payloads"  # noqa: S608
        " WHEN EXISTS (SELECT 1 FROM payloads WHERE position = NEW.position)"
        f" BEGIN {refuse} END"
    )


def _guard_on_postgresql() -> None:
    # The schema is named, so that a temporary table `entries` is not taken for the ledger's.
    op.execute(
        "CREATE FUNCTION whyledger_refuse_unerased()"  # noqa: S608 our own names
        " RETURNS trigger LANGUAGE plpgsql AS $$"
        " DECLARE named boolean;"
        " BEGIN"
        " EXECUTE format('SELECT EXISTS (SELECT FROM %I.entries WHERE "
        + ERASURE.replace("'", "''")
        + " AND convert_from(bytes, ''UTF8'')::jsonb -> ''data'' -> $1 @> $2)', TG_TABLE_SCHEMA)"
        " INTO named USING TG_ARGV[1], to_jsonb(OLD) -> TG_ARGV[0];"
        " IF named AND (TG_TABLE_NAME <> 'artefacts'"
        " OR to_jsonb(OLD) ->> 'kind' IN ('reference', 'identities')) THEN RETURN OLD; END IF;"
        f" RAISE EXCEPTION '{NAMED.format(table='%')}', TG_TABLE_NAME"
        " USING ERRCODE = 'restrict_violation';"
        " END $$"
    )
    op.execute("DROP TRIGGER artefacts_refuse_change ON artefacts")
    always = ["refuse_change", "refuse_delete", "refuse_truncate"]
    for table, (key, field, _) in ERASABLE.items():
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION whyledger_refuse()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION whyledger_refuse_unerased('{key}', '{field}')"
        )
    op.execute(
        "CREATE TRIGGER payloads_refuse_truncate BEFORE TRUNCATE ON payloads"
        " FOR EACH STATEMENT EXECUTE FUNCTION whyledger_refuse()"
    )
    for table in ERASABLE:
        for trigger in always:
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{trigger}")
