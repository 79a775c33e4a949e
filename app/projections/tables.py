"""The tables of the read models. All of them may be emptied: a rebuild fills them again.

JSON is kept as canonical text; times as UTC text; positions are those of the ledger.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Double, Index, Integer, Table, Text

from app.ledger.tables import METADATA, NAME, POSITION

MODELS: Final = Table(
    "models",
    METADATA,
    Column("model", NAME, primary_key=True),
    Column("contract_digest", NAME, nullable=False),
    Column("contract", Text, nullable=False),  # the document, whole
    Column("contract_position", POSITION, nullable=False),
    Column("policy", NAME, nullable=False),  # the policy the contract names
    Column("target", NAME, nullable=False),  # the target's column
    Column("champion", NAME),  # null: none was ever promoted
    Column("plan_sha256", NAME),
    Column("reference_sha256", NAME),
    Column("champion_since", NAME),  # recorded_at of the promotion or rollback
    Column("champion_as_of", NAME),
    Column("champion_cycle", NAME),
    Column("trained_until", NAME),
    Column("registry_run", NAME),
    Column("promoted_position", POSITION),
    Column("last_cycle", NAME),
    Column("last_as_of", NAME),
    Column("last_retraining_as_of", NAME),  # of the last decision to retrain, however it ended
    Column("consumed_until", POSITION),  # label cut-off of the last completed training
    Column("cycles_started", Integer, nullable=False),
    Column("cycles_ended", Integer, nullable=False),
    Column("decisions", Integer, nullable=False),
    Column("trainings", Integer, nullable=False),  # started, failed ones included
    Column("candidates", Integer, nullable=False),
    Column("rejections", Integer, nullable=False),
    Column("promotions", Integer, nullable=False),  # by cycles
    Column("rollbacks", Integer, nullable=False),
    Column("health", Text),  # data of the last HealthReported
    Column("health_at", NAME),  # its recorded_at
    Column("health_position", POSITION),
)

CONTRACTS: Final = Table(  # every contract that ever was adopted
    "contracts",
    METADATA,
    Column("digest", NAME, primary_key=True),
    Column("model", NAME, nullable=False),
    Column("document", Text, nullable=False),
    Column("position", POSITION, nullable=False),  # of its latest adoption
)

CHAMPIONS: Final = Table(  # every version that ever was promoted
    "champions",
    METADATA,
    Column("model_version", NAME, primary_key=True),
    Column("model", NAME, nullable=False, index=True),
    Column("plan_sha256", NAME, nullable=False),
    Column("reference_sha256", NAME, nullable=False),
    Column("replaced", NAME),  # who served before its promotion
    Column("trained_from", NAME),  # null where no training is recorded
    Column("trained_until", NAME, nullable=False),
    Column("training_rows", Integer, nullable=False),
    Column("as_of", NAME, nullable=False),
    Column("cycle", NAME, nullable=False),
    Column("registry_run", NAME),
    Column("position", POSITION, nullable=False),  # of its promotion
)

POLICIES: Final = Table(  # every policy document that ever was adopted; the latest is in force
    "policies",
    METADATA,
    Column("digest", NAME, primary_key=True),
    Column("policy", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("position", POSITION, nullable=False),  # of its latest adoption
)

CYCLES: Final = Table(
    "cycles",
    METADATA,
    Column("cycle", NAME, primary_key=True),
    Column("model", NAME, nullable=False),
    Column("number", Integer, nullable=False),
    Column("as_of", NAME, nullable=False),
    Column("status", NAME, nullable=False),  # open or ended
    Column("outcome", NAME),  # of the decision; null until decided
    Column("conclusion", NAME),  # how it ended; null until then
    Column("training_completed", Integer, nullable=False),  # 1: promoted or rejected, else 0
    Column("attempts", Integer, nullable=False),
    Column("started_at", NAME, nullable=False),
    Column("started_position", POSITION, nullable=False),
    Column("ended_at", NAME),
    Column("ended_position", POSITION),
    Column("state", Text, nullable=False),  # event type -> the data of the last event of that type
    Index(None, "model", "number"),
    Index(None, "status"),
)

DECISIONS: Final = Table(
    "decisions",
    METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("id", NAME, nullable=False, unique=True),
    Column("model", NAME, nullable=False),
    Column("cycle", NAME, nullable=False),
    Column("outcome", NAME, nullable=False),  # "not decided" when the evaluations disagreed
    Column("as_of", NAME, nullable=False),
    Column("occurred_at", NAME, nullable=False),
    Column("recorded_at", NAME, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("body", Text, nullable=False),  # data of the event
    Index(None, "model", "position"),
)

PREDICTIONS: Final = Table(
    "predictions",
    METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("id", NAME, nullable=False, unique=True),
    Column("model", NAME, nullable=False),
    Column("identity", NAME, nullable=False),
    Column("event_time", NAME, nullable=False),
    Column("model_version", NAME, nullable=False),
    Column("prediction", Double, nullable=False),  # target's unit
    Column("row", Text, nullable=False),  # as accepted, without label
    Index(None, "model", "event_time"),
    Index(None, "model", "identity", "position"),
)

LABELS: Final = Table(
    "labels",
    METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("model", NAME, nullable=False),
    Column("identity", NAME, nullable=False),
    Column("event_time", NAME, nullable=False),
    Column("label", Double),  # target's unit; null where the row lacks it
    Column("row", Text, nullable=False),  # features and other columns, and the label
    Column("prediction_id", NAME),  # null for an observation
    Index(None, "model", "identity", "position"),
)

REFUSALS: Final = Table(
    "refusals",
    METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("model", NAME, nullable=False),
    Column("door", NAME, nullable=False),  # predictions, events or datasets
    Column("rows", Integer, nullable=False),
    Column("reasons", Text, nullable=False),  # "field: reason" -> count
    Column("recorded_at", NAME, nullable=False),
    Index(None, "model", "position"),
)

# A digest is taken of each, in this order.
READ_MODELS: Final[tuple[Table, ...]] = (
    CONTRACTS,
    MODELS,
    CHAMPIONS,
    POLICIES,
    CYCLES,
    DECISIONS,
    PREDICTIONS,
    LABELS,
    REFUSALS,
)
