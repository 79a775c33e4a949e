"""Whatever the database says about itself is told in our words; what it says of us is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from app.database.engine import busy_is_refused
from app.database.error_meaning import Meaning, meaning_of
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import LedgerBusy, WhyledgerError
from domain.stored_damage import StoredDamage
from tests.ledger_events import put, refused

# The classes of PostgreSQL that speak of the statement, the session's own use, or data.
MISTAKES = (
    *("01", "02", "03", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22", "23"),
    *("24", "25", "26", "27", "2B", "2D", "2F", "34", "38", "39", "3B", "3F", "42", "44", "54"),
    *("55", "HV", "P0", "XX"),
)
SAID = {
    Meaning.BUSY: (LedgerBusy, r"in use by another writer"),
    Meaning.UNREACHABLE: (LedgerBusy, r"cannot be reached: its words.*\. Start it"),
    Meaning.NO_ROOM: (
        LedgerBusy,
        r"cannot write: its words.*\. Nothing was acknowledged\. Make room",
    ),
    Meaning.READ_ONLY: (
        LedgerBusy,
        r"cannot write: its words.*\..*(takes writes, no stand-by|right to write the file)",
    ),
    Meaning.NOT_ALLOWED: (LedgerBusy, r"may not use .*: its words.*\..*app\.database\.roles"),
    Meaning.DAMAGED: (StoredDamage, r": its words.*\. Restore a back-up"),
}
POSTGRESQL = {
    "25006": Meaning.READ_ONLY,
    "25P03": Meaning.UNREACHABLE,
    "28P01": Meaning.UNREACHABLE,
    "3D000": Meaning.UNREACHABLE,
    "40001": Meaning.BUSY,
    "42501": Meaning.NOT_ALLOWED,
    "53000": Meaning.NO_ROOM,
    "53100": Meaning.NO_ROOM,
    "53200": Meaning.NO_ROOM,
    "53300": Meaning.BUSY,
    "53400": Meaning.NO_ROOM,
    "55006": Meaning.BUSY,
    "55P03": Meaning.BUSY,
    "57014": Meaning.BUSY,
    "57P01": Meaning.UNREACHABLE,
    "58000": Meaning.NO_ROOM,
    "58030": Meaning.NO_ROOM,
    "58P01": Meaning.NO_ROOM,
    "72000": Meaning.BUSY,
    "F0000": Meaning.UNREACHABLE,
    "XX001": Meaning.DAMAGED,
    "XX002": Meaning.DAMAGED,
}
SQLITE = {
    sqlite3.SQLITE_BUSY_SNAPSHOT: Meaning.BUSY,
    sqlite3.SQLITE_CANTOPEN_ISDIR: Meaning.UNREACHABLE,
    sqlite3.SQLITE_IOERR_FSYNC: Meaning.NO_ROOM,
    sqlite3.SQLITE_NOMEM: Meaning.NO_ROOM,
    sqlite3.SQLITE_READONLY_DBMOVED: Meaning.READ_ONLY,
    sqlite3.SQLITE_PERM: Meaning.NOT_ALLOWED,
    sqlite3.SQLITE_CORRUPT_INDEX: Meaning.DAMAGED,
}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_each_code_of_postgresql_is_told_and_the_next_append_goes_on(ledger: Ledger) -> None:
    for code, meaning in POSTGRESQL.items():
        kind, said = SAID[meaning]
        statement = f"DO $$ BEGIN RAISE 'its words' USING ERRCODE = '{code}'; END $$"
        with pytest.raises(kind, match=f"(?s){said}"), ledger.writing() as connection:
            connection.execute(text(statement))
    assert put(ledger, "observations-cars", refused())[0].position == 1


@pytest.mark.parametrize("code", SQLITE)
def test_each_code_of_sqlite_is_told(code: int) -> None:
    error = sqlite3.OperationalError("its words")
    error.sqlite_errorcode = code
    kind, said = SAID[SQLITE[code]]
    with pytest.raises(kind, match=said), busy_is_refused(1):
        raise DBAPIError.instance("a statement", (), error, sqlite3.Error)


def _states() -> Iterator[str]:
    for each in vars(psycopg.errors).values():
        state = getattr(each, "sqlstate", None)
        if isinstance(state, str):
            yield state


def test_every_class_of_postgresql_was_looked_at() -> None:
    """Given any code that the driver knows, it means something, or its class is of mistakes."""
    unknown = set()
    for state in _states():
        error = psycopg.errors.lookup(state)("its words")
        found = meaning_of(DBAPIError("a statement", (), error))
        if found is None and state[:2] not in MISTAKES:
            unknown.add(state)
    assert unknown == set()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("rights", "said"),
    [
        ("ALTER ROLE {role} SET default_transaction_read_only = on", "read-only transaction"),
        ("REVOKE INSERT ON entries FROM whyledger_app", "permission denied"),
        ("REVOKE SELECT ON entries FROM whyledger_app", "permission denied"),
    ],
    ids=["a stand-by", "no right to add", "no right to read"],
)
def test_a_login_that_may_not_write_is_refused_with_the_reason(
    ledger: Ledger, settings: Settings, rights: str, said: str
) -> None:
    role = "reads_only"
    with psycopg.connect(settings.ledger_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {role} LOGIN IN ROLE whyledger_app".encode())
        url = make_url(settings.ledger_url).set(username=role)
        login = settings.model_copy(
            update={"database_url": url.render_as_string(hide_password=False)}
        )
        opened = open_ledger(login)
        try:
            superuser.execute(rights.format(role=role).encode())
            opened.engine.dispose()  # as after a fail-over: every connection is a new one
            with pytest.raises(WhyledgerError, match=said) as refusal:
                put(opened, "observations-cars", refused())
            assert isinstance(refusal.value, LedgerBusy)
        finally:
            opened.close()
            superuser.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    assert ledger.size() == 1
