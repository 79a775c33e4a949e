"""Write app/proof/verify/guard_texts.json: what the migrations make, on both databases.

    python tests/app/proof/verify/guard_texts.py

After a migration that adds or changes a table, trigger or function of the ledger's own. A test
compares what stands in the file with what the migrations make.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory

from app.database.engine import create_database
from app.database.migrating import migrations_directory, upgrade
from app.proof.verify import guards
from app.proof.verify.schema_objects import schema_objects
from app.settings import Settings

FILE = Path(guards.__file__).with_name("guard_texts.json")


def revisions() -> list[str]:
    """Every revision of the schema, the first one first."""
    config = Config()
    config.set_main_option("script_location", str(migrations_directory()))
    config.set_main_option("path_separator", "os")
    walked = ScriptDirectory.from_config(config).walk_revisions()
    return [script.revision for script in walked][::-1]


def stands_at_each(url: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Migrate the empty database from revision to revision: what guards its tables at each."""
    engine = create_database(url, Settings(database_url=url))
    for revision in revisions():
        upgrade(engine, 30, revision)
        with engine.connect() as connection:
            yield revision, schema_objects(connection)
    engine.dispose()


def spans(url: str) -> list[dict[str, Any]]:
    """Each text with the revision that made it and the one that changed or removed it."""
    found: list[dict[str, Any]] = []
    for revision, there in stands_at_each(url):
        standing = {each["name"]: each for each in found if each["until"] is None}
        for name, each in standing.items():
            if there.get(name) != each["text"]:
                each["until"] = revision
        found += [
            {"name": name, "from": revision, "until": None, "text": text}
            for name, text in there.items()
            if name not in standing or standing[name]["until"] is not None
        ]
    return found


if __name__ == "__main__":
    from tests.postgres import create, named, running_postgres

    with tempfile.TemporaryDirectory() as folder, running_postgres() as server:
        create(server, "guards", like="template0")
        texts = {
            "sqlite": spans(f"sqlite:///{folder}/ledger.db"),
            "postgresql": spans(named(server, "guards")),
        }
    FILE.write_text(json.dumps(texts, indent=1) + "\n")
