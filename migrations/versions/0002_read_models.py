"""The read models: everything in them follows from the ledger and may be emptied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "champions",
        sa.Column("model_version", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("plan_sha256", NAME, nullable=False),
        sa.Column("reference_sha256", NAME, nullable=False),
        sa.Column("replaced", NAME, nullable=True),
        sa.Column("trained_from", NAME, nullable=True),
        sa.Column("trained_until", NAME, nullable=False),
        sa.Column("training_rows", sa.Integer(), nullable=False),
        sa.Column("as_of", NAME, nullable=False),
        sa.Column("cycle", NAME, nullable=False),
        sa.Column("registry_run", NAME, nullable=True),
        sa.Column("position", POSITION, nullable=False),
        sa.PrimaryKeyConstraint("model_version", name="pk_champions"),
    )
    op.create_index("ix_champions_model", "champions", ["model"], unique=False)
    op.create_table(
        "contracts",
        sa.Column("digest", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("position", POSITION, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_contracts"),
    )
    op.create_table(
        "cycles",
        sa.Column("cycle", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("as_of", NAME, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("outcome", NAME, nullable=True),
        sa.Column("conclusion", NAME, nullable=True),
        sa.Column("training_completed", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_at", NAME, nullable=False),
        sa.Column("started_position", POSITION, nullable=False),
        sa.Column("ended_at", NAME, nullable=True),
        sa.Column("ended_position", POSITION, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cycle", name="pk_cycles"),
    )
    op.create_index("ix_cycles_model_number", "cycles", ["model", "number"], unique=False)
    op.create_index("ix_cycles_status", "cycles", ["status"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("cycle", NAME, nullable=False),
        sa.Column("outcome", NAME, nullable=False),
        sa.Column("as_of", NAME, nullable=False),
        sa.Column("occurred_at", NAME, nullable=False),
        sa.Column("recorded_at", NAME, nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_decisions"),
        sa.UniqueConstraint("id", name="uq_decisions_id"),
    )
    op.create_index("ix_decisions_model_position", "decisions", ["model", "position"], unique=False)
    op.create_table(
        "labels",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("identity", NAME, nullable=False),
        sa.Column("event_time", NAME, nullable=False),
        sa.Column("label", sa.Double(), nullable=True),
        sa.Column("row", sa.Text(), nullable=False),
        sa.Column("prediction_id", NAME, nullable=True),
        sa.PrimaryKeyConstraint("position", name="pk_labels"),
    )
    op.create_index(
        "ix_labels_model_identity_position",
        "labels",
        ["model", "identity", "position"],
        unique=False,
    )
    op.create_table(
        "models",
        sa.Column("model", NAME, nullable=False),
        sa.Column("contract_digest", NAME, nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("contract_position", POSITION, nullable=False),
        sa.Column("policy", NAME, nullable=False),
        sa.Column("target", NAME, nullable=False),
        sa.Column("champion", NAME, nullable=True),
        sa.Column("plan_sha256", NAME, nullable=True),
        sa.Column("reference_sha256", NAME, nullable=True),
        sa.Column("champion_since", NAME, nullable=True),
        sa.Column("champion_as_of", NAME, nullable=True),
        sa.Column("champion_cycle", NAME, nullable=True),
        sa.Column("trained_until", NAME, nullable=True),
        sa.Column("registry_run", NAME, nullable=True),
        sa.Column("promoted_position", POSITION, nullable=True),
        sa.Column("last_cycle", NAME, nullable=True),
        sa.Column("last_as_of", NAME, nullable=True),
        sa.Column("last_retraining_as_of", NAME, nullable=True),
        sa.Column("consumed_until", POSITION, nullable=True),
        sa.Column("cycles_started", sa.Integer(), nullable=False),
        sa.Column("cycles_ended", sa.Integer(), nullable=False),
        sa.Column("decisions", sa.Integer(), nullable=False),
        sa.Column("trainings", sa.Integer(), nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=False),
        sa.Column("rejections", sa.Integer(), nullable=False),
        sa.Column("promotions", sa.Integer(), nullable=False),
        sa.Column("rollbacks", sa.Integer(), nullable=False),
        sa.Column("health", sa.Text(), nullable=True),
        sa.Column("health_at", NAME, nullable=True),
        sa.Column("health_position", POSITION, nullable=True),
        sa.PrimaryKeyConstraint("model", name="pk_models"),
    )
    op.create_table(
        "policies",
        sa.Column("digest", NAME, nullable=False),
        sa.Column("policy", NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("position", POSITION, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_policies"),
    )
    op.create_table(
        "predictions",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("identity", NAME, nullable=False),
        sa.Column("event_time", NAME, nullable=False),
        sa.Column("model_version", NAME, nullable=False),
        sa.Column("prediction", sa.Double(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_predictions"),
        sa.UniqueConstraint("id", name="uq_predictions_id"),
    )
    op.create_index(
        "ix_predictions_model_event_time", "predictions", ["model", "event_time"], unique=False
    )
    op.create_index(
        "ix_predictions_model_identity_position",
        "predictions",
        ["model", "identity", "position"],
        unique=False,
    )
    op.create_table(
        "refusals",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("door", NAME, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("recorded_at", NAME, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_refusals"),
    )
    op.create_index("ix_refusals_model_position", "refusals", ["model", "position"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt, not migrated back")
