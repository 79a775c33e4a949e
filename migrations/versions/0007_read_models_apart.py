"""Read models leave the migrations: a schema of their own, and how far each of them is folded.

The old ones are dropped, since everything in them follows from the ledger. On PostgreSQL the
application may create in the schema, so that no owner is needed to bring a read model. To make the
schema asks for a right that no other migration does, CREATE on the database: whoever lacks it is
told how to get it, or lets somebody else make the schema.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.rights_0007 import READ_MODELS, divide_rights

revision = "0007"
down_revision = "0006"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

MAKE_SCHEMA = f"""
    DO $$ BEGIN
    IF to_regnamespace('{READ_MODELS}') IS NULL THEN
        IF NOT has_database_privilege(current_database(), 'CREATE') THEN
            RAISE insufficient_privilege USING
                MESSAGE = format('%I lacks the right CREATE on the database %I',
                    current_user, current_database()),
                HINT = format('Let a superuser run `GRANT CREATE ON DATABASE %I TO %I` or'
                    ' `CREATE SCHEMA {READ_MODELS} AUTHORIZATION %2$I` in it',
                    current_database(), current_user);
        END IF;
        CREATE SCHEMA {READ_MODELS};
    ELSIF NOT has_schema_privilege('{READ_MODELS}', 'CREATE')
            OR NOT has_schema_privilege('{READ_MODELS}', 'USAGE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%I lacks the right CREATE on the schema {READ_MODELS}', current_user),
            HINT = format('Let its owner run `GRANT USAGE, CREATE ON SCHEMA {READ_MODELS} TO %I`',
                current_user);
    END IF;
    END $$
"""
OLD = (
    "contracts",
    "models",
    "champions",
    "policies",
    "cycles",
    "decisions",
    "predictions",
    "labels",
    "refusals",
)


def upgrade() -> None:
    connection = op.get_bind()
    for table in OLD:
        op.execute(f"DROP TABLE IF EXISTS {table}")
    schema = None
    if connection.dialect.name == "postgresql":
        schema = READ_MODELS
        op.execute(MAKE_SCHEMA)
    op.create_table(
        "read_model_positions",
        sa.Column("read_models", NAME, nullable=False),
        sa.Column("position", POSITION, nullable=False),
        sa.PrimaryKeyConstraint("read_models", name="pk_read_model_positions"),
        schema=schema,
    )
    divide_rights(connection)


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")
