"""What the database holds to its tables by: columns, constraints, triggers, functions, by text.

Rights are listed where the migrations gave none: who may only read is nobody's business.

A trigger of the right name may do nothing. So everything is read as the database itself tells it,
and compared to the letter with what the migrations make.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from app.database.engine import READ_MODELS_SCHEMA
from app.database.roles import APPLICATION, ERASER

TABLES: Final = (
    *("entries", "artefacts", "payloads", "blocks", "row_ids"),
    *("tiles", "checkpoints", "ledger_head"),
)
_BOOTSTRAP: Final = 10  # the server's first superuser: what it made is the host's own business
_LISTED: Final = ", ".join(f"'{table}'" for table in TABLES)  # our own names

# A trigger on any table can change the ledger's; other tables and their indexes are not ours.
_SQLITE: Final = f"""
    SELECT type || ' ' || name, sql FROM sqlite_master
    WHERE sql IS NOT NULL AND (type = 'trigger' OR tbl_name IN ({_LISTED}))
"""  # noqa: S608

_POSTGRESQL: Final = f"""
    WITH ours AS (
        SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.relrowsecurity
        FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relname IN ({_LISTED})
        AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
    ), guards AS (
        SELECT t.* , c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND (
            t.tgrelid IN (SELECT oid FROM ours)
            OR c.relnamespace = to_regnamespace('{READ_MODELS_SCHEMA}')
        )
    )
    SELECT 'table ' || relname, 'kind ' || relkind::text || ', persistence ' || relpersistence::text
        || ', row security ' || relrowsecurity::text FROM ours
    UNION ALL
    SELECT 'column ' || o.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
        || coalesce(' COLLATE ' || l.collname, '')
        || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
        FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
        LEFT JOIN pg_collation l ON l.oid = a.attcollation AND l.collname <> 'default'
        LEFT JOIN pg_attrdef d ON d.adrelid = o.oid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'constraint ' || k.conname || ' of ' || o.relname, pg_get_constraintdef(k.oid, true)
        FROM ours o JOIN pg_constraint k ON k.conrelid = o.oid WHERE k.contype NOT IN ('n', 't')
    UNION ALL
    SELECT 'index ' || c.relname, 'on ' || o.relname || ' '
        || substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*')
        || CASE WHEN i.indisunique THEN ', unique' ELSE '' END
        || CASE WHEN i.indisvalid THEN '' ELSE ', not valid' END
        FROM ours o JOIN pg_index i ON i.indrelid = o.oid JOIN pg_class c ON c.oid = i.indexrelid
    UNION ALL
    SELECT 'trigger ' || tgname || ' of ' || relname,
        pg_get_triggerdef(oid, true) || ', enabled ' || tgenabled::text FROM guards
    UNION ALL
    SELECT DISTINCT 'function ' || p.proname, p.prosrc || ', ' || l.lanname
        || CASE WHEN p.prosecdef THEN ', security definer' ELSE '' END
        || coalesce(', ' || array_to_string(p.proconfig, ' '), '')
        FROM guards g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_language l ON l.oid = p.prolang
    UNION ALL
    SELECT 'rule ' || r.rulename || ' of ' || o.relname, pg_get_ruledef(r.oid, true)
        FROM ours o JOIN pg_rewrite r ON r.ev_class = o.oid
    UNION ALL
    SELECT 'policy ' || y.polname || ' of ' || o.relname, 'a policy of row security'
        FROM ours o JOIN pg_policy y ON y.polrelid = o.oid
    UNION ALL
    SELECT 'table ' || inhrelid::regclass::text || ' below ' || o.relname,
        'its rows are read as ours'
        FROM ours o JOIN pg_inherits h ON h.inhparent = o.oid
    UNION ALL
    SELECT 'right to ' || g.privilege_type || ' on ' || g.what || ' for '
        || coalesce(r.rolname, 'PUBLIC'), 'granted'
        FROM (
            SELECT c.relname, c.relname AS what, c.relowner, a.* FROM pg_class c
            CROSS JOIN LATERAL aclexplode(c.relacl) a
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v', 'p')
            AND c.relname IN ({_LISTED}, 'alembic_version')
            UNION ALL
            SELECT c.relname, c.relname || '.' || t.attname, c.relowner, a.* FROM pg_class c
            JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v', 'p')
            AND c.relname IN ({_LISTED}, 'alembic_version')
        ) g LEFT JOIN pg_roles r ON r.oid = g.grantee
        WHERE g.grantee <> g.relowner AND g.privilege_type NOT IN ('SELECT', 'REFERENCES')
        AND NOT (r.rolname IS NOT NULL AND r.rolname = '{APPLICATION}' AND g.relname IN ({_LISTED})
            AND (g.privilege_type = 'INSERT'
                OR (g.privilege_type = 'UPDATE' AND g.relname = 'ledger_head')))
        AND NOT (r.rolname IS NOT NULL AND r.rolname = '{ERASER}' AND g.privilege_type = 'DELETE'
            AND g.relname IN ('artefacts', 'payloads', 'blocks'))
    UNION ALL
    SELECT 'owner of ' || o.relname, 'another than that of entries'
        FROM ours o JOIN pg_class c ON c.oid = o.oid
        WHERE c.relowner <> (SELECT e.relowner FROM pg_class e JOIN ours x ON x.oid = e.oid
            WHERE e.relname = 'entries')
    UNION ALL
    SELECT 'event trigger ' || evtname, 'on ' || evtevent || ', enabled ' || evtenabled::text
        FROM pg_event_trigger WHERE evtenabled <> 'D' AND evtowner <> {_BOOTSTRAP}
"""  # noqa: S608


def schema_objects(connection: Connection) -> dict[str, str]:
    """Everything that holds the ledger's tables to their form: kind and name -> its text."""
    rows = connection.exec_driver_sql(
        _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    )
    return {name: " ".join(said.split()) for name, said in sorted(rows.all())}
