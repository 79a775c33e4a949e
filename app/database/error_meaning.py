"""What an error of the database says about the database, and not about the statement, by its code.

The codes are those of SQLite's results and of PostgreSQL's SQLSTATE, class by class. What is left
out is a mistake of ours (22, 23, 42 …), or what a guard says (P0001).
"""

from __future__ import annotations

import sqlite3
from enum import Enum
from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError


class Meaning(Enum):
    """What somebody has to do something about."""

    BUSY = "others use it, or too many do"
    UNREACHABLE = "it is not there, or lets nobody in"
    NO_ROOM = "its disk is full or fails, or its memory is used up"
    READ_ONLY = "it takes no writes"
    NOT_ALLOWED = "this login lacks a right"
    DAMAGED = "its files are not what it wrote"


_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: Meaning.BUSY,
    sqlite3.SQLITE_LOCKED: Meaning.BUSY,
    sqlite3.SQLITE_PROTOCOL: Meaning.BUSY,  # lost the race for the log too often
    sqlite3.SQLITE_CANTOPEN: Meaning.UNREACHABLE,
    sqlite3.SQLITE_FULL: Meaning.NO_ROOM,
    sqlite3.SQLITE_IOERR: Meaning.NO_ROOM,
    sqlite3.SQLITE_NOMEM: Meaning.NO_ROOM,
    sqlite3.SQLITE_READONLY: Meaning.READ_ONLY,
    sqlite3.SQLITE_PERM: Meaning.NOT_ALLOWED,
    sqlite3.SQLITE_CORRUPT: Meaning.DAMAGED,
    sqlite3.SQLITE_NOTADB: Meaning.DAMAGED,
}
# A code of five signs, or the class that its first two name.
_POSTGRESQL: Final = {
    "08": Meaning.UNREACHABLE,  # connection
    "25006": Meaning.READ_ONLY,  # read-only transaction: a stand-by, after a fail-over
    "25P03": Meaning.UNREACHABLE,  # it ended a connection that idled in a transaction
    "25P04": Meaning.UNREACHABLE,  # or one whose transaction took too long
    "28": Meaning.UNREACHABLE,  # authorization, password
    "3D": Meaning.UNREACHABLE,  # no such database
    "40": Meaning.BUSY,  # deadlock, serialization
    "42501": Meaning.NOT_ALLOWED,
    "53": Meaning.NO_ROOM,  # disk full, out of memory, a limit
    "53300": Meaning.BUSY,  # too many connections
    "55006": Meaning.BUSY,  # object in use
    "55P03": Meaning.BUSY,  # lock not available
    "57": Meaning.BUSY,  # an operator or a timeout cancelled it
    "57P": Meaning.UNREACHABLE,  # it shuts down, crashed or starts
    "58": Meaning.NO_ROOM,  # I/O error, files that are missing or in the way
    "72": Meaning.BUSY,  # snapshot too old
    "F0": Meaning.UNREACHABLE,  # its configuration
    "XX001": Meaning.DAMAGED,  # a page
    "XX002": Meaning.DAMAGED,  # an index
}
# It has no code for a quota that is full or a file that may not grow, and calls them errors of its
# own. Where they come from tells them apart, in every language: these files write to the disk.
_POSTGRESQL_INTERNAL: Final = "XX000"
_POSTGRESQL_WRITERS: Final = frozenset({"md.c", "fd.c", "buffile.c", "copydir.c"})


def meaning_of(error: DBAPIError) -> Meaning | None:
    """What it says about the database; None where it says that the statement is wrong."""
    if isinstance(error.orig, sqlite3.Error):
        # The primary result code, without the extended bits.
        return _SQLITE.get(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF)
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # the server never answered
        return Meaning.UNREACHABLE if isinstance(error, OperationalError) else None
    if state == _POSTGRESQL_INTERNAL:
        source = getattr(getattr(error.orig, "diag", None), "source_file", None)
        return Meaning.NO_ROOM if source in _POSTGRESQL_WRITERS else None
    return next(
        (_POSTGRESQL[part] for part in (state, state[:3], state[:2]) if part in _POSTGRESQL), None
    )
