"""Ledgers that take long to tell: told once, closed, and copied for each test that goes on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from app.ledger.store import Ledger
from app.settings import Settings
from tests.postgres import command, create

Story = Callable[[Ledger, Settings], Any]


@dataclass(frozen=True, slots=True)
class Told:
    """Where a closed ledger stands, and what telling its story gave."""

    settings: Settings
    gives: Any


ToldOnce = Callable[[Story, Settings], Told]


def retold(told: Told, settings: Settings) -> Settings:
    """These settings, where a copy of the ledger and of its state directory now stands."""
    copied(told.settings.state_dir, settings.state_dir)
    theirs, ours = make_url(told.settings.ledger_url), make_url(settings.ledger_url)
    if dialect_of(settings) == "sqlite":
        database = Path(str(ours.database))
        (settings.state_dir / "ledger.db").replace(database)
        for rows in settings.state_dir.glob("ledger.db.rows-*"):
            rows.replace(
                database.with_name(f"{database.name}{rows.name.removeprefix('ledger.db')}")
            )
    else:
        server = ours.set(database="postgres").render_as_string(hide_password=False)
        command(server, f"DROP DATABASE {ours.database}")
        create(server, str(ours.database), like=str(theirs.database))
    return settings


def copied(kept: Path, state: Path) -> Path:
    """A copy of a state directory, in which MLflow writes to the copy's own folders."""
    shutil.copytree(kept, state)
    if (state / "mlflow.db").exists():
        places = (kept.as_uri(), state.as_uri())
        with closing(sqlite3.connect(state / "mlflow.db")) as store, store:
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                change = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
                store.execute(change, places)
    return state


def dialect_of(settings: Settings) -> str:
    """`sqlite` or `postgresql`."""
    return make_url(settings.ledger_url).get_backend_name()
