"""On SQLite the guards ask the newest erasure first whether it names what is removed.

One that was planted before 0009, with both ends of an erasure and no JSON between them, made every
look at it fail, and nothing could be erased any more. What an erasure lets go is removed in its own
transaction, when it is the newest: the guards find it there and look at none before it.
PostgreSQL's pass over what is no JSON already.
"""

# ruff: noqa: S608 - our own names
from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0011"
down_revision = "0010"

ERASURE = "ledger.payload-erased"
NAMED = "{table} only grows: nothing in it is removed but what a recorded erasure names"
FREEZE = (
    "'cycle.drift-measured', 'cycle.data-merged', 'cycle.candidate-trained',"
    " 'cycle.candidate-refitted', 'model.candidate-promoted', 'model.champion-rolled-back'"
)
FIELDS = ("reference_sha256", "identities_sha256", "residuals_sha256")
# As 0009 tells an erasure: by both its ends, since a schema that is not trusted may not ask more.
_BEGINS = '{"actor":'
_ENDS = f',"type":"{ERASURE}","v":1}}'
_TEXT = (
    f"CASE WHEN substr(CAST(erasure.bytes AS TEXT), 1, {len(_BEGINS)}) = '{_BEGINS}'"
    f" AND substr(CAST(erasure.bytes AS TEXT), -{len(_ENDS)}) = '{_ENDS}'"
    " THEN CAST(erasure.bytes AS TEXT) ELSE '{}' END"
)
# LIMIT keeps the order: without one SQLite may look at them as it likes.
_NEWEST_FIRST = (
    f"(SELECT position, bytes FROM entries WHERE stream = 'ledger' AND type = '{ERASURE}'"
    " AND position < (SELECT size FROM ledger_head)"
    " ORDER BY stream_version DESC LIMIT -1) AS erasure"
)
_IS_ONE = f"'{ERASURE}' = (SELECT value FROM json_each({_TEXT}) WHERE key = 'type')"
_MODEL = f"(SELECT value FROM json_each({_TEXT}, '$.data') WHERE key = 'model')"
_ROW_OF_MODEL = f"named.stream IN ('observations-' || {_MODEL}, 'predictions-' || {_MODEL})"
_FROZE = " OR ".join(
    f"instr(CAST(named.bytes AS TEXT), '\"{field}\":\"' || OLD.sha256 || '\"') > 0"
    for field in FIELDS
)
SQLITE_NAMED = {
    "payloads": (
        f"EXISTS (SELECT 1 FROM {_NEWEST_FIRST}"
        f" CROSS JOIN json_each({_TEXT}, '$.data.entries') AS erased"
        " CROSS JOIN entries AS named"
        f" WHERE {_IS_ONE} AND erased.value = OLD.position"
        " AND named.position = OLD.position AND named.position < erasure.position"
        f" AND {_ROW_OF_MODEL})"
    ),
    "artefacts": (
        "OLD.kind IN ('reference', 'identities')"
        f" AND EXISTS (SELECT 1 FROM {_NEWEST_FIRST}"
        f" CROSS JOIN json_each({_TEXT}, '$.data.artefacts') AS erased"
        " CROSS JOIN entries AS named"
        f" WHERE {_IS_ONE} AND erased.value = OLD.sha256"
        f" AND named.position < erasure.position AND named.type IN ({FREEZE})"
        f" AND (named.stream = 'model-' || {_MODEL}"
        f" OR rtrim(named.stream, '0123456789') = 'cycle-' || {_MODEL} || '-')"
        f" AND ({_FROZE}))"
    ),
    "blocks": (
        f"EXISTS (SELECT 1 FROM {_NEWEST_FIRST}"
        f" CROSS JOIN json_tree({_TEXT}, '$.data.rows') AS erased"
        " CROSS JOIN entries AS named"
        f" WHERE {_IS_ONE} AND erased.key = 'position' AND erased.value = OLD.position"
        " AND named.position = OLD.position AND named.position < erasure.position"
        f" AND {_ROW_OF_MODEL})"
    ),
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    for table, named in SQLITE_NAMED.items():
        refuse = f"SELECT RAISE(ABORT, '{NAMED.format(table=table)}');"
        _run(f"DROP TRIGGER {table}_refuse_delete")
        _run(
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table}"
            f" WHEN NOT ({named}) BEGIN {refuse} END"
        )


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")


def _run(statement: str) -> None:
    op.execute(text(statement.replace(":", r"\:")))
