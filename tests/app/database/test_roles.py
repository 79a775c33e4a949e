"""On PostgreSQL the service is a member of a role that may only add: every other way in is shut."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count

import psycopg
import pytest
from sqlalchemy import make_url

from app.database import roles
from app.database.engine import create_database, insert_rows
from app.database.migrating import migrate
from app.database.roles import APPLICATION, ERASER, OWNER, divide_rights
from app.ledger.store import Ledger
from app.ledger.tables import CHECKPOINTS
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from domain.errors import LedgerBusy
from tests.ledger_events import TIME, artefact, contract_adopted, put, refused
from tests.postgres import logging_in

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

_NUMBERS = count(1)
CHANGES = [
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "TRUNCATE {table} CASCADE",
    "WITH gone AS (DELETE FROM {table} RETURNING *) SELECT * FROM gone",
    "MERGE INTO {table} USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ON CONSTRAINT pk_{table}"
    " DO UPDATE SET {column} = excluded.{column}",
    "SELECT * FROM {table} FOR UPDATE",
    "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} DISABLE TRIGGER USER",
    "ALTER TABLE {table} ENABLE REPLICA TRIGGER {table}_refuse_change",
    "ALTER TABLE {table} DROP COLUMN {column} CASCADE",
    "ALTER TABLE {table} RENAME TO elsewhere",
    "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "DROP TABLE {table} CASCADE",
    "DROP TRIGGER {table}_refuse_change ON {table}",
    "DROP TRIGGER {table}_refuse_truncate ON {table}",
    "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION whyledger_refuse()",
    "CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "CREATE TABLE mine () INHERITS ({table})",
    "CREATE INDEX mine ON {table} ({column})",
]
GUARDED = {"entries": "type", "artefacts": "kind", "tiles": "root", "checkpoints": "note"}
WAYS_ROUND = [
    "SET session_replication_role = replica",
    "ALTER ROLE CURRENT_USER SET session_replication_role = replica",
    "ALTER DATABASE {database} SET session_replication_role = replica",
    f"SET ROLE {OWNER}",
    f"SET SESSION AUTHORIZATION {OWNER}",
    f"GRANT {OWNER} TO CURRENT_USER",
    f"REASSIGN OWNED BY {OWNER} TO CURRENT_USER",
    f"DROP OWNED BY {OWNER}",
    "CREATE OR REPLACE FUNCTION whyledger_refuse() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN RETURN NULL; END $$",
    "ALTER FUNCTION whyledger_refuse() RENAME TO elsewhere",
    "DROP FUNCTION whyledger_refuse() CASCADE",
    "UPDATE pg_trigger SET tgenabled = 'D'",
    "DELETE FROM pg_trigger",
    "UPDATE pg_class SET relowner = (SELECT oid FROM pg_roles WHERE rolname = CURRENT_USER)",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE public.mine (i int)",
    "DROP SCHEMA public CASCADE",
    "DROP DATABASE {database}",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY entries TO '/tmp/whyledger-stolen'",
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM ledger_head",
    "TRUNCATE ledger_head",
    "DROP TABLE ledger_head",
]
RIGHTS = """
    SELECT name, owner::regrole::text,
        (SELECT array_agg(r::text ORDER BY r::text) FROM unnest(acl) r)
    FROM (
        SELECT oid::regclass::text, relowner, relacl, relnamespace FROM pg_class
        WHERE relkind = 'r'
        UNION ALL SELECT oid::regnamespace::text, nspowner, nspacl, oid FROM pg_namespace
        UNION ALL SELECT proname, proowner, proacl, pronamespace FROM pg_proc
    ) AS things (name, owner, acl, namespace)
    WHERE namespace IN ('public'::regnamespace, 'read_models'::regnamespace) ORDER BY name
"""  # who owns what, and who may do what with it
REFUSALS = ("42501", "23001")  # no right to it, or refused by a guard


@pytest.fixture
def login(settings: Settings) -> Iterator[str]:
    """The name of a login that is a member of the application role and nothing else."""
    with logging_in(settings.ledger_url, APPLICATION) as url:
        yield str(make_url(url).username)


@pytest.fixture
def serving(settings: Settings, login: str) -> Iterator[Ledger]:
    """A ledger with something in it, opened as that login."""
    opened = open_ledger(as_login(settings, login))
    put(opened, "model-cars", contract_adopted(), artefacts=[artefact(b"a plan")])
    put(opened, "observations-cars", *[refused(n + 1) for n in range(300)])  # a full tile
    with opened.writing() as connection:
        insert_rows(connection, CHECKPOINTS, [(3, bytes(32), "a note", TIME)])
    yield opened
    opened.close()


def as_login(settings: Settings, name: str, password: str | None = None) -> Settings:
    url = make_url(settings.ledger_url).set(username=name, password=password)
    return settings.model_copy(update={"database_url": url.render_as_string(hide_password=False)})


def contents(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    with ledger.connect() as connection:
        return {
            table: [tuple(row) for row in connection.exec_driver_sql(f"TABLE {table}")]
            for table in (*GUARDED, "ledger_head", "alembic_version")
        }


def assert_all_refused(ledger: Ledger, statements: list[str]) -> None:
    before = contents(ledger)
    url = make_url(ledger.engine.url).set(drivername="postgresql")
    said = {statement: refusal(url.render_as_string(False), statement) for statement in statements}
    assert {statement: code for statement, code in said.items() if code not in REFUSALS} == {}
    assert contents(ledger) == before


def refusal(url: str, statement: str) -> str | None:
    """The SQLSTATE that answers the statement, None when it was done."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            return error.sqlstate
    return None


def test_the_service_runs_as_a_member_of_the_application_role(serving: Ledger) -> None:
    assert put(serving, "observations-cars", refused())[0].position == 302
    assert rebuild(serving).differing == ()


@pytest.mark.parametrize("table", GUARDED)
def test_the_application_role_changes_and_drops_no_guarded_table(
    serving: Ledger, table: str
) -> None:
    assert_all_refused(
        serving, [change.format(table=table, column=GUARDED[table]) for change in CHANGES]
    )


def test_the_application_role_finds_no_way_round(serving: Ledger) -> None:
    database = serving.engine.url.database or ""
    assert_all_refused(serving, [way.format(database=database) for way in WAYS_ROUND])


@pytest.mark.parametrize("table", GUARDED)
def test_the_application_role_grants_itself_nothing(serving: Ledger, table: str) -> None:
    with serving.engine.connect() as connection:
        connection.exec_driver_sql(f"GRANT ALL ON {table} TO CURRENT_USER, PUBLIC")  # only warns
        connection.commit()
        rights = connection.exec_driver_sql(
            f"SELECT has_table_privilege('{table}', right_) FROM unnest(ARRAY['UPDATE', 'DELETE',"
            " 'TRUNCATE', 'TRIGGER', 'REFERENCES']) AS right_"
        ).scalars()
        assert list(rights) == [False] * 5


def test_the_head_grows_and_never_shrinks(serving: Ledger) -> None:
    with pytest.raises(Exception, match="only grows"), serving.writing() as connection:
        connection.exec_driver_sql("UPDATE ledger_head SET size = size - 1")


def test_the_roles_cannot_log_in_and_own_the_tables(ledger: Ledger) -> None:
    with ledger.connect() as connection:
        can_log_in = connection.exec_driver_sql(
            f"SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname IN"
            f" ('{OWNER}', '{APPLICATION}')"
        ).all()
        owners = connection.exec_driver_sql(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).scalars()
        assert can_log_in == []
        assert list(owners) == [OWNER]
        derived = connection.exec_driver_sql(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'read_models'"
        ).scalars()
        assert list(derived) == [APPLICATION]


def test_the_migrations_divide_the_rights_as_the_code_does_today(
    fresh_postgres: Callable[[bool], str], settings: Settings
) -> None:
    engine = create_database(fresh_postgres(False), settings)
    migrate(engine, 5)
    with engine.connect() as connection:
        migrated = connection.exec_driver_sql(RIGHTS).all()
        assert divide_rights(connection) is None
        assert connection.exec_driver_sql(RIGHTS).all() == migrated
    assert {OWNER, APPLICATION, ERASER} <= set(re.findall(r"whyledger_\w+", str(migrated)))
    engine.dispose()


def test_dividing_the_rights_again_is_harmless(
    ledger: Ledger,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", settings.database_url)
    assert roles.main() == 0
    assert capsys.readouterr().out == "the rights are divided\n"
    put(ledger, "observations-cars", refused())


def test_a_login_that_may_make_no_roles_migrates_without_and_is_told_what_to_do(
    fresh_postgres: Callable[[bool], str], settings: Settings, login: str
) -> None:
    url = fresh_postgres(False)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {login}".encode())
        database = make_url(url).database
        superuser.execute(f"GRANT CREATE ON DATABASE {database} TO {login}".encode())
        alone = as_login(settings.model_copy(update={"database_url": url}), login)
        opened = open_ledger(alone)  # warns, and works
        put(opened, "observations-cars", refused())
        with opened.writing() as connection:
            assert "Let a superuser run `python -m app.database.roles`" in (
                divide_rights(connection) or ""
            )
        opened.close()
        superuser.execute(f"DROP OWNED BY {login} CASCADE".encode())


@pytest.mark.parametrize("remedy", [0, 1])  # of the statements that are named
def test_an_owner_who_may_not_make_the_read_models_schema_is_told_what_gives_him_the_right(
    fresh_postgres: Callable[[bool], str], settings: Settings, login: str, remedy: int
) -> None:
    url = fresh_postgres(False)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {login}".encode())
        alone = as_login(settings.model_copy(update={"database_url": url}), login)
        database = make_url(url).database
        lacking = rf"{login} lacks the right CREATE on the database {database}\)\. Let a superuser"
        with pytest.raises(LedgerBusy, match=lacking) as refused_at_first:
            open_ledger(alone)
        statements = re.findall("`([^`]+)`", refused_at_first.value.message)
        superuser.execute(statements[remedy].encode())

        opened = open_ledger(alone)

        assert put(opened, "observations-cars", refused())[0].position == 1
        opened.close()
        superuser.execute(f"DROP OWNED BY {login} CASCADE".encode())


def test_a_schema_that_somebody_else_made_is_taken_and_the_right_to_use_it_is_asked_for(
    fresh_postgres: Callable[[bool], str], settings: Settings, login: str
) -> None:
    url = fresh_postgres(False)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {login}".encode())
        superuser.execute(b"CREATE SCHEMA read_models")
        alone = as_login(settings.model_copy(update={"database_url": url}), login)
        lacking = f"{login} lacks the right CREATE on the schema read_models"
        with pytest.raises(LedgerBusy, match=lacking) as refused_at_first:
            open_ledger(alone)
        (statement,) = re.findall("`([^`]+)`", refused_at_first.value.message)
        superuser.execute(statement.encode())

        opened = open_ledger(alone)

        assert put(opened, "observations-cars", refused())[0].position == 1
        opened.close()
        superuser.execute(f"DROP OWNED BY {login} CASCADE".encode())


def test_a_login_that_may_not_migrate_is_told_who_may(
    fresh_postgres: Callable[[bool], str], settings: Settings, login: str
) -> None:
    url = fresh_postgres(False)
    owner = create_database(url, settings)
    with owner.connect() as connection:
        connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        connection.commit()
    with pytest.raises(LedgerBusy, match="Run `alembic upgrade head` as the tables' owner"):
        open_ledger(as_login(settings.model_copy(update={"database_url": url}), login))
    migrate(owner, 5)
    owner.dispose()
    open_ledger(as_login(settings.model_copy(update={"database_url": url}), login)).close()


def test_a_login_that_may_make_roles_divides_the_rights_and_migrates_on(
    fresh_postgres: Callable[[bool], str], settings: Settings
) -> None:
    url = fresh_postgres(False)
    name = f"migrating_{next(_NUMBERS)}"
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {name} LOGIN CREATEROLE".encode())
        # A superuser made both roles before, for another ledger of this server.
        superuser.execute(f"GRANT {OWNER}, {APPLICATION} TO {name} WITH ADMIN OPTION".encode())
        database = make_url(url).database
        superuser.execute(f"ALTER DATABASE {database} OWNER TO {name}".encode())
        opened = open_ledger(as_login(settings.model_copy(update={"database_url": url}), name))
        with opened.connect() as connection:
            owners = connection.exec_driver_sql(
                "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
            ).scalars()
            assert list(owners) == [OWNER]
        with opened.writing() as connection:
            assert divide_rights(connection) is None
        put(opened, "observations-cars", refused())
        opened.close()
        superuser.execute(f"ALTER DATABASE {database} OWNER TO CURRENT_USER".encode())
        superuser.execute(f"DROP OWNED BY {name} CASCADE".encode())
        superuser.execute(f"DROP ROLE {name}".encode())
