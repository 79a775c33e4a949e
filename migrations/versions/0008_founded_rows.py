"""What may only be added must not be able to destroy or to block what others add later.

An erasure lets go what stands before it, of the same model, once the tree's head has taken it up;
data, tiles and checkpoints are only added to entries that stand already. Else who may only add
could name data, or take the place of rows, that are still to be written.
"""

# ruff: noqa: S608 - our own names
from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0008"
down_revision = "0007"

OWNER = "whyledger_owner"
NAMED = "{table} only grows: nothing in it is removed but what a recorded erasure names"
UNFOUNDED = "{table} only grows with the entries: this row speaks of what is not there yet"
ERASURE = "ledger.payload-erased"
FREEZE = (
    "'cycle.drift-measured', 'cycle.data-merged', 'cycle.candidate-trained',"
    " 'cycle.candidate-refitted', 'model.candidate-promoted', 'model.champion-rolled-back'"
)
FIELDS = ("reference_sha256", "identities_sha256", "residuals_sha256")
KINDS = "('reference', 'identities')"

# The erasures that the head has taken up; their bytes say what they are, whatever columns say.
SQLITE_ERASURE = (
    f"erasure.stream = 'ledger' AND erasure.type = '{ERASURE}'"
    " AND erasure.position < (SELECT size FROM ledger_head)"
    f" AND '{ERASURE}' ="
    " (SELECT value FROM json_each(CAST(erasure.bytes AS TEXT)) WHERE key = 'type')"
)
# Not json_extract: a schema that is not trusted may not use it.
SQLITE_MODEL = (
    "(SELECT value FROM json_each(CAST(erasure.bytes AS TEXT), '$.data') WHERE key = 'model')"
)
SQLITE_PAYLOAD = (
    "EXISTS (SELECT 1 FROM entries AS named, entries AS erasure,"
    " json_each(CAST(erasure.bytes AS TEXT), '$.data.entries') AS erased"
    f" WHERE {SQLITE_ERASURE} AND erased.value = OLD.position"
    " AND named.position = OLD.position AND named.position < erasure.position"
    f" AND named.stream IN ('observations-' || {SQLITE_MODEL}, 'predictions-' || {SQLITE_MODEL}))"
)
SQLITE_ARTEFACT = (
    f"OLD.kind IN {KINDS} AND EXISTS (SELECT 1 FROM entries AS erasure, entries AS named,"
    " json_each(CAST(erasure.bytes AS TEXT), '$.data.artefacts') AS erased"
    f" WHERE {SQLITE_ERASURE} AND erased.value = OLD.sha256"
    f" AND named.position < erasure.position AND named.type IN ({FREEZE})"
    f" AND (named.stream = 'model-' || {SQLITE_MODEL}"
    f" OR rtrim(named.stream, '0123456789') = 'cycle-' || {SQLITE_MODEL} || '-')"
    " AND OLD.sha256 IN (SELECT value FROM json_each(CAST(named.bytes AS TEXT), '$.data')"
    f" WHERE key IN {FIELDS}))"
)
SQLITE_FOUNDED = {
    "payloads": (
        "EXISTS (SELECT 1 FROM entries WHERE entries.position = NEW.position"
        " AND entries.stream IN ('observations-' || NEW.model, 'predictions-' || NEW.model)"
        " AND instr(CAST(entries.bytes AS TEXT), '\"data_commit\":') > 0)"
    ),
    "tiles": (
        "NEW.level BETWEEN 0 AND 7 AND NEW.number >= 0 AND NEW.number <"
        " (SELECT (max(position) + 1) >> (8 * (NEW.level + 1)) FROM entries)"
    ),
    "checkpoints": "NEW.size BETWEEN 1 AND (SELECT size FROM ledger_head)",
}

# The schema is named, so that a temporary table `entries` is not taken for the ledger's.
POSTGRESQL_ERASURE = (
    f"erasure.stream = ''ledger'' AND erasure.type = ''{ERASURE}''"
    " AND erasure.position < (SELECT size FROM %1$I.ledger_head)"
    f" AND convert_from(erasure.bytes, ''UTF8'')::jsonb ->> ''type'' = ''{ERASURE}''"
)
POSTGRESQL_DATA = "convert_from(erasure.bytes, ''UTF8'')::jsonb -> ''data''"
POSTGRESQL_MODEL = f"({POSTGRESQL_DATA} ->> ''model'')"
NAMED_DATA = "(convert_from(named.bytes, ''UTF8'')::jsonb -> ''data'' ->> ''{}'')"
POSTGRESQL_PAYLOAD = (
    "SELECT EXISTS (SELECT FROM %1$I.entries AS erasure JOIN %1$I.entries AS named"
    f" ON named.position < erasure.position WHERE {POSTGRESQL_ERASURE}"
    f" AND {POSTGRESQL_DATA} -> ''entries'' @> to_jsonb($1.position)"
    " AND named.position = $1.position AND named.stream IN"
    f" (''observations-'' || {POSTGRESQL_MODEL}, ''predictions-'' || {POSTGRESQL_MODEL}))"
)
POSTGRESQL_ARTEFACT = (
    f"SELECT $1.kind IN {KINDS} AND EXISTS (SELECT FROM %1$I.entries AS erasure"
    " JOIN %1$I.entries AS named ON named.position < erasure.position"
    f" WHERE {POSTGRESQL_ERASURE} AND {POSTGRESQL_DATA} -> ''artefacts'' @> to_jsonb($1.sha256)"
    f" AND named.type IN ({FREEZE}) AND (named.stream = ''model-'' || {POSTGRESQL_MODEL}"
    f" OR rtrim(named.stream, ''0123456789'') = ''cycle-'' || {POSTGRESQL_MODEL} || ''-'')"
    f" AND $1.sha256 IN ({', '.join(NAMED_DATA.format(each) for each in FIELDS)}))"
).replace("'reference', 'identities'", "''reference'', ''identities''")
for _name in FREEZE.replace("'", "").split(", "):
    POSTGRESQL_ARTEFACT = POSTGRESQL_ARTEFACT.replace(f"'{_name}'", f"''{_name}''")
POSTGRESQL_FOUNDED = {
    "payloads": (
        "SELECT EXISTS (SELECT FROM %1$I.entries WHERE position = $1.position"
        " AND stream IN (''observations-'' || $1.model, ''predictions-'' || $1.model)"
        " AND position(''\"data_commit\":''::bytea IN bytes) > 0)"
    ),
    "tiles": (
        "SELECT $1.level BETWEEN 0 AND 7 AND $1.number >= 0 AND $1.number <"
        " (SELECT (max(position) + 1) >> (8 * ($1.level + 1)) FROM %1$I.entries)"
    ),
    "checkpoints": "SELECT $1.size BETWEEN 1 AND (SELECT size FROM %1$I.ledger_head)",
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")


def _guard_on_sqlite() -> None:
    for table, named in (("payloads", SQLITE_PAYLOAD), ("artefacts", SQLITE_ARTEFACT)):
        refuse = f"SELECT RAISE(ABORT, '{NAMED.format(table=table)}');"
        _run(f"DROP TRIGGER {table}_refuse_delete")
        _run(
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table}"
            f" WHEN NOT ({named}) BEGIN {refuse} END"
        )
    for table, founded in SQLITE_FOUNDED.items():
        refuse = f"SELECT RAISE(ABORT, '{UNFOUNDED.format(table=table)}');"
        _run(
            f"CREATE TRIGGER {table}_refuse_unfounded BEFORE INSERT ON {table}"
            f" WHEN coalesce(NOT ({founded}), 1) BEGIN {refuse} END"
        )


def _guard_on_postgresql() -> None:
    refuse = " USING ERRCODE = 'restrict_violation';"
    _run(
        "CREATE OR REPLACE FUNCTION whyledger_refuse_unerased()"
        " RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE named boolean; BEGIN"
        " IF TG_TABLE_NAME = 'payloads' THEN"
        f" EXECUTE format('{POSTGRESQL_PAYLOAD}', TG_TABLE_SCHEMA) INTO named USING OLD;"
        f" ELSE EXECUTE format('{POSTGRESQL_ARTEFACT}', TG_TABLE_SCHEMA) INTO named USING OLD;"
        " END IF; IF named THEN RETURN OLD; END IF;"
        f" RAISE EXCEPTION '{NAMED.format(table='%')}', TG_TABLE_NAME{refuse} END $$"
    )
    cases = " ELSIF ".join(
        f"TG_TABLE_NAME = '{table}' THEN"
        f" EXECUTE format('{founded}', TG_TABLE_SCHEMA) INTO founded USING NEW;"
        for table, founded in POSTGRESQL_FOUNDED.items()
    )
    _run(
        "CREATE FUNCTION whyledger_refuse_unfounded() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" DECLARE founded boolean; BEGIN IF {cases} END IF;"
        " IF founded THEN RETURN NEW; END IF;"
        f" RAISE EXCEPTION '{UNFOUNDED.format(table='%')}', TG_TABLE_NAME{refuse} END $$"
    )
    for table in POSTGRESQL_FOUNDED:
        trigger = f"{table}_refuse_unfounded"
        _run(
            f"CREATE TRIGGER {trigger} BEFORE INSERT ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION whyledger_refuse_unfounded()"
        )
        _run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
    # As the other functions, where the rights are divided and this login may give it away.
    _run(
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}'"
        f" AND pg_has_role(current_user, oid, 'MEMBER'))"
        f" THEN ALTER FUNCTION whyledger_refuse_unfounded() OWNER TO {OWNER}; END IF; END $$"
    )


def _run(statement: str) -> None:
    op.execute(text(statement.replace(":", r"\:")))
