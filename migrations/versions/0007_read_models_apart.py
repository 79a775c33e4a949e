"""Read models leave the migrations: a schema of their own, and how far each of them is folded.

The old ones are dropped, since everything in them follows from the ledger. On PostgreSQL the
application may create in the schema, so that no owner is needed to bring a read model.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.rights_0007 import READ_MODELS, divide_rights

revision = "0007"
down_revision = "0006"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

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
        if schema not in sa.inspect(connection).get_schema_names():
            op.execute(f"CREATE SCHEMA {schema}")
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
