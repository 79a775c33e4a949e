"""An entry takes the next position and the next version of its stream, and no other.

Behind a gap it would keep others from writing for ever. Nor is one added whose bytes the other
guards must read (erasures; on SQLite also what freezes data) and cannot: no erasure would pass any
more. On PostgreSQL the bytes must hash to the leaf as well, and an artefact's to its digest; SQLite
knows no SHA-256. What SQLite would take for text, numbers or bytes and is none is refused.
"""

# ruff: noqa: S608 - our own names
from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0009"
down_revision = "0008"

OWNER = "whyledger_owner"
GAP = "entries only grows: by the next position, and each stream by its next version"
UNREADABLE = "entries only grows by what can be read: these bytes are no JSON of this type"
UNHASHED = "entries only grows by what can be proven: these bytes do not hash to this leaf"
UNTYPED = "{table} takes text, whole numbers and bytes, each in its column"
TYPES = {  # of SQLite, which takes anything anywhere
    "artefacts": {"sha256": "text", "kind": "text", "bytes": "blob"},
    "payloads": {"model": "text", "identity": "text", "salt": "blob", "bytes": "blob"},
    "tiles": {"level": "integer", "number": "integer", "root": "blob", "bytes": "blob"},
    "checkpoints": {"root": "blob", "note": "text", "signed_at": "text"},
    "ledger_head": {"id": "integer", "size": "integer", "frontier": "blob"},
}
OPTIONAL = ("entries", "payloads")  # whose request_digest may be missing
ERASURE = "ledger.payload-erased"
FREEZE = (
    "'cycle.drift-measured', 'cycle.data-merged', 'cycle.candidate-trained',"
    " 'cycle.candidate-refitted', 'model.candidate-promoted', 'model.champion-rolled-back'"
)
FIELDS = ("reference_sha256", "identities_sha256", "residuals_sha256")
NAMED = "% only grows: nothing in it is removed but what a recorded erasure names"
# As 0008, but an erasure that is no JSON, planted before this guard stood, names nothing: it made
# the casts fail, and then nothing could be erased any more. What freezes an artefact is looked at
# as text for the same reason.
PAYLOAD = (
    "SELECT EXISTS (SELECT FROM %1$I.entries AS named WHERE named.position < $2"
    " AND $3 -> ''entries'' @> to_jsonb($1.position) AND named.position = $1.position"
    " AND named.stream IN"
    " (''observations-'' || ($3 ->> ''model''), ''predictions-'' || ($3 ->> ''model'')))"
)
_NAMES = " OR ".join(
    f"position(convert_to(''\"{field}\":\"'' || $1.sha256 || ''\"'', ''UTF8'') IN named.bytes) > 0"
    for field in FIELDS
)
_FREEZE = FREEZE.replace("'", "''")
ARTEFACT = (
    "SELECT $1.kind IN (''reference'', ''identities'')"
    " AND $3 -> ''artefacts'' @> to_jsonb($1.sha256)"
    " AND EXISTS (SELECT FROM %1$I.entries AS named WHERE named.position < $2"
    f" AND named.type IN ({_FREEZE}) AND (named.stream = ''model-'' || ($3 ->> ''model'')"
    " OR rtrim(named.stream, ''0123456789'') = ''cycle-'' || ($3 ->> ''model'') || ''-'')"
    f" AND ({_NAMES}))"
)
_NO_JSON = "data_exception OR program_limit_exceeded"  # or JSON that is too deep
_TAKEN_UP = (
    f"SELECT position, bytes FROM %1$I.entries WHERE stream = ''ledger'' AND type = ''{ERASURE}''"
    " AND position < (SELECT size FROM %1$I.ledger_head)"
)
# A schema that is not trusted may not use json_valid, nor json_extract. So an erasure is told by
# both its ends, as canonical JSON has them.
_BEGINS = '{"actor":'
_ENDS = f',"type":"{ERASURE}","v":1}}'
_TEXT = (
    f"CASE WHEN substr(CAST(erasure.bytes AS TEXT), 1, {len(_BEGINS)}) = '{_BEGINS}'"
    f" AND substr(CAST(erasure.bytes AS TEXT), -{len(_ENDS)}) = '{_ENDS}'"
    " THEN CAST(erasure.bytes AS TEXT) ELSE '{}' END"
)
_SQLITE_ERASURE = (
    f"erasure.stream = 'ledger' AND erasure.type = '{ERASURE}'"
    " AND erasure.position < (SELECT size FROM ledger_head)"
    f" AND '{ERASURE}' = (SELECT value FROM json_each({_TEXT}) WHERE key = 'type')"
)
_SQLITE_MODEL = f"(SELECT value FROM json_each({_TEXT}, '$.data') WHERE key = 'model')"
_SQLITE_NAMES = " OR ".join(
    f"instr(CAST(named.bytes AS TEXT), '\"{field}\":\"' || OLD.sha256 || '\"') > 0"
    for field in FIELDS
)
SQLITE_NAMED = {
    "payloads": (
        "EXISTS (SELECT 1 FROM entries AS named, entries AS erasure,"
        f" json_each({_TEXT}, '$.data.entries') AS erased"
        f" WHERE {_SQLITE_ERASURE} AND erased.value = OLD.position"
        " AND named.position = OLD.position AND named.position < erasure.position"
        " AND named.stream IN"
        f" ('observations-' || {_SQLITE_MODEL}, 'predictions-' || {_SQLITE_MODEL}))"
    ),
    "artefacts": (
        "OLD.kind IN ('reference', 'identities')"
        " AND EXISTS (SELECT 1 FROM entries AS erasure, entries AS named,"
        f" json_each({_TEXT}, '$.data.artefacts') AS erased"
        f" WHERE {_SQLITE_ERASURE} AND erased.value = OLD.sha256"
        f" AND named.position < erasure.position AND named.type IN ({FREEZE})"
        f" AND (named.stream = 'model-' || {_SQLITE_MODEL}"
        f" OR rtrim(named.stream, '0123456789') = 'cycle-' || {_SQLITE_MODEL} || '-')"
        f" AND ({_SQLITE_NAMES}))"
    ),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")


def _guard_on_sqlite() -> None:
    # An existing position or version is refused by `entries_refuse_replace`, in its own words.
    _run(
        "CREATE TRIGGER entries_refuse_gap BEFORE INSERT ON entries"
        " WHEN NEW.position < 0"
        " OR NEW.position > (SELECT coalesce(max(position), -1) + 1 FROM entries)"
        " OR NEW.stream_version < 0"
        " OR NEW.stream_version > (SELECT coalesce(max(stream_version), -1) + 1 FROM entries"
        # As `stream_version` counts: what stands where none can is nobody's next version.
        " WHERE stream = NEW.stream AND typeof(stream_version) = 'integer'"
        " AND stream_version BETWEEN 0 AND position)"
        f" BEGIN SELECT RAISE(ABORT, '{GAP}'); END"
    )
    texts = ("id", "stream", "type", "occurred_at", "recorded_at")
    kinds = " AND ".join(f"typeof(NEW.{name}) = 'text'" for name in texts)
    _run(
        "CREATE TRIGGER entries_refuse_unreadable BEFORE INSERT ON entries"
        f" WHEN NOT ({kinds} AND typeof(NEW.stream_version) = 'integer'"
        " AND typeof(NEW.schema) = 'integer' AND typeof(NEW.bytes) = 'blob'"
        " AND typeof(NEW.leaf_hash) = 'blob')"
        # Not json_valid, which a schema that is not trusted may not use: this fails on no JSON.
        f" OR (NEW.type IN ('{ERASURE}', {FREEZE}) AND NOT EXISTS (SELECT 1"
        " FROM json_each(CAST(NEW.bytes AS TEXT)) WHERE key = 'type' AND value = NEW.type))"
        f" BEGIN SELECT RAISE(ABORT, '{UNREADABLE}'); END"
    )

    for table, named in SQLITE_NAMED.items():
        refuse = f"SELECT RAISE(ABORT, '{NAMED.replace('%', table)}');"
        _run(f"DROP TRIGGER {table}_refuse_delete")
        _run(
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table}"
            f" WHEN NOT ({named}) BEGIN {refuse} END"
        )
    for table, columns in TYPES.items():
        told = " AND ".join(f"typeof(NEW.{name}) = '{kind}'" for name, kind in columns.items())
        _refuse_untyped(table, "UPDATE" if table == "ledger_head" else "INSERT", told)
    for table in OPTIONAL:
        digest = "typeof(NEW.request_digest) IN ('blob', 'null')"
        _refuse_untyped(table, "INSERT", digest, "untyped_digest")


def _refuse_untyped(table: str, verb: str, told: str, name: str = "untyped") -> None:
    _run(
        f"CREATE TRIGGER {table}_refuse_{name} BEFORE {verb} ON {table} WHEN NOT ({told})"
        f" BEGIN SELECT RAISE(ABORT, '{UNTYPED.format(table=table)}'); END"
    )


def _guard_on_postgresql() -> None:
    # Not valid: of what stands already `verify` tells, and a migration may not fail on it.
    _run(
        "ALTER TABLE artefacts ADD CONSTRAINT ck_artefacts_sha256"
        " CHECK (sha256 = encode(sha256(bytes), 'hex')) NOT VALID"
    )
    refuse = " USING ERRCODE = 'restrict_violation';"
    _run(
        "CREATE OR REPLACE FUNCTION whyledger_refuse_unerased()"
        " RETURNS trigger LANGUAGE plpgsql AS $$"
        " DECLARE erasure record; said jsonb; named boolean; BEGIN"
        f" FOR erasure IN EXECUTE format('{_TAKEN_UP}', TG_TABLE_SCHEMA) LOOP"
        " BEGIN said := convert_from(erasure.bytes, 'UTF8')::jsonb;"
        f" EXCEPTION WHEN {_NO_JSON} THEN CONTINUE; END;"
        f" IF said ->> 'type' IS DISTINCT FROM '{ERASURE}' THEN CONTINUE; END IF;"
        " IF TG_TABLE_NAME = 'payloads' THEN"
        f" EXECUTE format('{PAYLOAD}', TG_TABLE_SCHEMA)"
        " INTO named USING OLD, erasure.position, said -> 'data';"
        f" ELSE EXECUTE format('{ARTEFACT}', TG_TABLE_SCHEMA)"
        " INTO named USING OLD, erasure.position, said -> 'data';"
        " END IF; IF named THEN RETURN OLD; END IF; END LOOP;"
        f" RAISE EXCEPTION '{NAMED}', TG_TABLE_NAME{refuse} END $$"
    )
    # One look at all rows of a statement: one for each would make every append half as fast again.
    _run(
        "CREATE FUNCTION whyledger_refuse_gap() RETURNS trigger LANGUAGE plpgsql AS $$"
        " DECLARE least bigint; most bigint; there bigint; part record; found boolean;"
        " BEGIN"
        " SELECT min(position), max(position), count(*) INTO least, most, there FROM added;"
        " IF there = 0 THEN RETURN NULL; END IF;"
        " EXECUTE format('SELECT EXISTS (SELECT FROM %I.entries WHERE position = $1)',"
        " TG_TABLE_SCHEMA) INTO found USING least - 1;"
        f" IF most - least + 1 <> there OR found <> (least > 0) OR least < 0 THEN"
        f" RAISE EXCEPTION '{GAP}'{refuse} END IF;"
        " FOR part IN SELECT stream, min(stream_version) AS least, max(stream_version) AS most,"
        " count(*) AS there FROM added GROUP BY stream LOOP"
        " EXECUTE format('SELECT EXISTS (SELECT FROM %I.entries WHERE stream = $1"
        " AND stream_version = $2)', TG_TABLE_SCHEMA) INTO found"
        " USING part.stream, part.least - 1;"
        " IF part.most - part.least + 1 <> part.there OR found <> (part.least > 0)"
        f" OR part.least < 0 THEN RAISE EXCEPTION '{GAP}'{refuse} END IF; END LOOP;"
        r" IF EXISTS (SELECT FROM added WHERE leaf_hash <> sha256('\x00'::bytea || bytes)) THEN"
        f" RAISE EXCEPTION '{UNHASHED}'{refuse} END IF;"
        f" BEGIN SELECT EXISTS (SELECT FROM added WHERE type = '{ERASURE}'"
        " AND convert_from(bytes, 'UTF8')::jsonb ->> 'type' IS DISTINCT FROM type) INTO found;"
        f" EXCEPTION WHEN {_NO_JSON} THEN found := true; END;"
        f" IF found THEN RAISE EXCEPTION '{UNREADABLE}'{refuse} END IF;"
        " RETURN NULL; END $$"
    )
    _run(
        "CREATE TRIGGER entries_refuse_gap AFTER INSERT ON entries REFERENCING NEW TABLE AS added"
        " FOR EACH STATEMENT EXECUTE FUNCTION whyledger_refuse_gap()"
    )
    _run("ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_refuse_gap")
    _run(
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}'"
        f" AND pg_has_role(current_user, oid, 'MEMBER'))"
        f" THEN ALTER FUNCTION whyledger_refuse_gap() OWNER TO {OWNER}; END IF; END $$"
    )


def _run(statement: str) -> None:
    op.execute(text(statement.replace(":", r"\:")))
