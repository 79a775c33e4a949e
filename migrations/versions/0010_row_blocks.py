"""Many rows in one entry: their lines stand in `blocks`, the ids clients gave them in `row_ids`.

A row is erased by writing its block anew, so a block is removed only when an erasure names a row of
it; that nothing else of it has changed the verification finds, for the root is hashed. As in 0008,
a block is added only to an entry that says how many rows it has, and an id only to a row.
"""

# ruff: noqa: S608 - our own names
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWNER = "whyledger_owner"
APPLICATION = "whyledger_app"
ERASER = "whyledger_eraser"
GROWS = "{table} only grows: nothing in it is changed, replaced or removed"
NAMED = "{table} only grows: nothing in it is removed but what a recorded erasure names"
UNFOUNDED = "{table} only grows with the entries: this row speaks of what is not there yet"
UNTYPED = "{table} takes text, whole numbers and bytes, each in its column"
ERASURE = "ledger.payload-erased"
TYPES = (
    "'predictions.predictions-made', 'observations.observations-recorded',"
    " 'observations.outcomes-recorded'"
)
SALT = 16  # bytes a row
ID = 16  # bytes of an id
# As canonical JSON has them beside each other in the data of such an entry.
ROWS = '"rows":{},"rows_root":"'

# As 0009 tells an erasure: by both its ends, since a schema that is not trusted may not ask more.
_BEGINS = '{"actor":'
_ENDS = f',"type":"{ERASURE}","v":1}}'
_TEXT = (
    f"CASE WHEN substr(CAST(erasure.bytes AS TEXT), 1, {len(_BEGINS)}) = '{_BEGINS}'"
    f" AND substr(CAST(erasure.bytes AS TEXT), -{len(_ENDS)}) = '{_ENDS}'"
    " THEN CAST(erasure.bytes AS TEXT) ELSE '{}' END"
)
_MODEL = f"(SELECT value FROM json_each({_TEXT}, '$.data') WHERE key = 'model')"
SQLITE_NAMED = (
    "EXISTS (SELECT 1 FROM entries AS named, entries AS erasure,"
    f" json_tree({_TEXT}, '$.data.rows') AS erased"
    f" WHERE erasure.stream = 'ledger' AND erasure.type = '{ERASURE}'"
    " AND erasure.position < (SELECT size FROM ledger_head)"
    f" AND '{ERASURE}' = (SELECT value FROM json_each({_TEXT}) WHERE key = 'type')"
    " AND erased.key = 'position' AND erased.value = OLD.position"
    " AND named.position = OLD.position AND named.position < erasure.position"
    f" AND named.stream IN ('observations-' || {_MODEL}, 'predictions-' || {_MODEL}))"
)
SQLITE_FOUNDED = {
    "blocks": (
        f"length(NEW.salts) = {SALT} * NEW.rows AND EXISTS (SELECT 1 FROM entries"
        f" WHERE entries.position = NEW.position AND entries.type IN ({TYPES})"
        " AND instr(CAST(entries.bytes AS TEXT), '" + ROWS.format("' || NEW.rows || '") + "') > 0)"
    ),
    "row_ids": (
        f"length(NEW.id) = {ID} AND NEW.row >= 0 AND EXISTS (SELECT 1 FROM blocks"
        " WHERE blocks.position = NEW.position AND NEW.row < blocks.rows)"
    ),
}
SQLITE_TYPES = {
    "blocks": {
        **dict.fromkeys(("position", "rows"), "= 'integer'"),
        **dict.fromkeys(("salts", "bytes"), "= 'blob'"),
        **dict.fromkeys(("digests", "request_digest"), "IN ('blob', 'null')"),
    },
    "row_ids": {"id": "= 'blob'", "position": "= 'integer'", "row": "= 'integer'"},
}
KEYS = {"blocks": "position", "row_ids": "id"}

_POSTGRESQL_TYPES = TYPES.replace("'", "''")
_POSTGRESQL_ROWS = ROWS.format("'' || $1.rows || ''")
POSTGRESQL_FOUNDED = (
    f"SELECT length($1.salts) = {SALT} * $1.rows AND EXISTS (SELECT FROM %1$I.entries"
    f" WHERE position = $1.position AND type IN ({_POSTGRESQL_TYPES})"
    f" AND position(convert_to(''{_POSTGRESQL_ROWS}'', ''UTF8'') IN bytes) > 0)"
)
POSTGRESQL_NAMED = (
    "SELECT EXISTS (SELECT FROM %1$I.entries AS named WHERE named.position < $2"
    " AND $3 -> ''rows'' @> jsonb_build_array(jsonb_build_object(''position'', $1.position))"
    " AND named.position = $1.position AND named.stream IN"
    " (''observations-'' || ($3 ->> ''model''), ''predictions-'' || ($3 ->> ''model'')))"
)
TAKEN_UP = (
    f"SELECT position, bytes FROM %1$I.entries WHERE stream = ''ledger'' AND type = ''{ERASURE}''"
    " AND position < (SELECT size FROM %1$I.ledger_head)"
)
_NO_JSON = "data_exception OR program_limit_exceeded"  # or JSON that is too deep
_REFUSE = " USING ERRCODE = 'restrict_violation';"
FUNCTIONS = {
    "whyledger_refuse_rows_unerased": (
        " DECLARE erasure record; said jsonb; named boolean; BEGIN"
        f" FOR erasure IN EXECUTE format('{TAKEN_UP}', TG_TABLE_SCHEMA) LOOP"
        " BEGIN said := convert_from(erasure.bytes, 'UTF8')::jsonb;"
        f" EXCEPTION WHEN {_NO_JSON} THEN CONTINUE; END;"
        f" IF said ->> 'type' IS DISTINCT FROM '{ERASURE}' THEN CONTINUE; END IF;"
        f" EXECUTE format('{POSTGRESQL_NAMED}', TG_TABLE_SCHEMA)"
        " INTO named USING OLD, erasure.position, said -> 'data';"
        " IF named THEN RETURN OLD; END IF; END LOOP;"
        f" RAISE EXCEPTION '{NAMED.format(table='%')}', TG_TABLE_NAME{_REFUSE} END"
    ),
    "whyledger_refuse_block_unfounded": (
        " DECLARE founded boolean; BEGIN"
        f" EXECUTE format('{POSTGRESQL_FOUNDED}', TG_TABLE_SCHEMA) INTO founded USING NEW;"
        " IF founded THEN RETURN NEW; END IF;"
        f" RAISE EXCEPTION '{UNFOUNDED.format(table='%')}', TG_TABLE_NAME{_REFUSE} END"
    ),
    # One look at all ids of a statement: they come by the thousand.
    "whyledger_refuse_ids_unfounded": (
        " DECLARE found boolean; BEGIN"
        " EXECUTE format('SELECT EXISTS (SELECT FROM added LEFT JOIN %I.blocks"
        f" USING (position) WHERE blocks.rows IS NULL OR length(added.id) <> {ID}"
        " OR added.row < 0 OR added.row >= blocks.rows)', TG_TABLE_SCHEMA) INTO found;"
        f" IF found THEN RAISE EXCEPTION '{UNFOUNDED.format(table='%')}', TG_TABLE_NAME{_REFUSE}"
        " END IF; RETURN NULL; END"
    ),
}
TRIGGERS = {
    "blocks": {
        "refuse_change": "BEFORE UPDATE ON blocks FOR EACH ROW EXECUTE FUNCTION whyledger_refuse()",
        "refuse_delete": (
            "BEFORE DELETE ON blocks FOR EACH ROW EXECUTE FUNCTION whyledger_refuse_rows_unerased()"
        ),
        "refuse_unfounded": (
            "BEFORE INSERT ON blocks FOR EACH ROW"
            " EXECUTE FUNCTION whyledger_refuse_block_unfounded()"
        ),
    },
    "row_ids": {
        "refuse_change": (
            "BEFORE UPDATE OR DELETE ON row_ids FOR EACH ROW EXECUTE FUNCTION whyledger_refuse()"
        ),
        "refuse_unfounded": (
            "AFTER INSERT ON row_ids REFERENCING NEW TABLE AS added FOR EACH STATEMENT"
            " EXECUTE FUNCTION whyledger_refuse_ids_unfounded()"
        ),
    },
}


def upgrade() -> None:
    op.create_table(
        "blocks",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("salts", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=True),
        sa.Column("request_digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("position", name="pk_blocks"),
    )
    op.create_table(
        "row_ids",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("position", POSITION, nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_row_ids"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()
        _divide_rights()


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")


def _guard_on_sqlite() -> None:
    for table, key in KEYS.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{GROWS.format(table=table)}'); END"
        unfounded = f"BEGIN SELECT RAISE(ABORT, '{UNFOUNDED.format(table=table)}'); END"
        untyped = f"BEGIN SELECT RAISE(ABORT, '{UNTYPED.format(table=table)}'); END"
        told = " AND ".join(f"typeof(NEW.{n}) {kind}" for n, kind in SQLITE_TYPES[table].items())
        _run(f"CREATE TRIGGER {table}_refuse_update BEFORE UPDATE ON {table} {refuse}")
        _run(
            f"CREATE TRIGGER {table}_refuse_replace BEFORE INSERT ON {table}"
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) {refuse}"
        )
        _run(
            f"CREATE TRIGGER {table}_refuse_untyped BEFORE INSERT ON {table}"
            f" WHEN NOT ({told}) {untyped}"
        )
        _run(
            f"CREATE TRIGGER {table}_refuse_unfounded BEFORE INSERT ON {table}"
            f" WHEN coalesce(NOT ({SQLITE_FOUNDED[table]}), 1) {unfounded}"
        )
    _run(
        "CREATE TRIGGER blocks_refuse_delete BEFORE DELETE ON blocks"
        f" WHEN NOT ({SQLITE_NAMED})"
        f" BEGIN SELECT RAISE(ABORT, '{NAMED.format(table='blocks')}'); END"
    )
    _run(
        "CREATE TRIGGER row_ids_refuse_delete BEFORE DELETE ON row_ids"
        f" BEGIN SELECT RAISE(ABORT, '{GROWS.format(table='row_ids')}'); END"
    )


def _guard_on_postgresql() -> None:
    for name, body in FUNCTIONS.items():
        _run(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body} $$")
    for table, triggers in TRIGGERS.items():
        truncate = (
            f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION whyledger_refuse()"
        )
        for name, what in {**triggers, "refuse_truncate": truncate}.items():
            _run(f"CREATE TRIGGER {table}_{name} {what}")
            _run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}")


def _divide_rights() -> None:
    """As 0007 did for what stood then, where this login may give it away."""
    statements = [f"ALTER FUNCTION {name}() OWNER TO {OWNER};" for name in FUNCTIONS]
    for table in TRIGGERS:
        statements += [
            f"ALTER TABLE {table} OWNER TO {OWNER};",
            f"REVOKE ALL ON {table} FROM PUBLIC, {APPLICATION}, {ERASER};",
            f"GRANT SELECT, INSERT ON {table} TO {APPLICATION};",
        ]
    statements.append(f"GRANT DELETE ON blocks TO {ERASER};")
    _run(
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}'"
        f" AND pg_has_role(current_user, oid, 'MEMBER')) THEN {' '.join(statements)} END IF; END $$"
    )


def _run(statement: str) -> None:
    op.execute(text(statement.replace(":", r"\:")))
