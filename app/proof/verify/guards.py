"""Whether the database still refuses what the migrations taught it to refuse, to the letter."""

from __future__ import annotations

import json
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from app.database.read_only import judged_revision
from app.proof.verify.breaks import Break
from app.proof.verify.schema_objects import schema_objects

# Each object's text from one revision to the one before another; see tests/…/guard_texts.py.
_TEXTS: Final = Path(__file__).with_name("guard_texts.json")
_SHOWN: Final = 200  # characters of a text that differs
_BEFORE: Final = 40  # of them, where it does not yet
_NAMED: Final = 20  # objects in one finding


def guard_breaks(connection: Connection, revision: str | None) -> list[Break]:
    """What guards the tables and is not as the migrations up to `revision` made it.

    Triggers, the functions they call, columns, constraints, rules and policies are compared by
    their text. An index more is nobody's business, unless it is unique: then it refuses rows.
    """
    expected = guard_texts(connection.dialect.name, revision)
    found = schema_objects(connection)
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected and not _harmless(name, found[name])]
    changed = [name for name in expected if name in found and found[name] != expected[name]]
    breaks = []
    if missing:
        breaks.append(_break(f"{len(expected)} of them", f"these dropped: {_listed(missing)}"))
    if extra:
        breaks.append(_break("none but those of the migrations", f"also {_listed(extra)}"))
    if changed:
        first = changed[0]
        right, wrong = _where_they_differ(expected[first], found[first])
        said = f"these changed: {_listed(changed)}; the first says {wrong}"
        breaks.append(_break(f"{first} to say {right}", said))
    return breaks


def tables_of(connection: Connection) -> frozenset[str]:
    """The ledger's tables at the revision of its schema: an older one has fewer.

    Raises:
        CannotJudge: the schema is newer than this code, or none that it knows.
        LedgerDamaged: it does not say its revision.
    """
    texts = guard_texts(connection.dialect.name, judged_revision(connection))
    return frozenset(name.removeprefix("table ") for name in texts if name.startswith("table "))


@cache
def guard_texts(dialect: str, revision: str | None) -> dict[str, str]:
    """What guards the tables at a revision of the schema: kind and name -> text."""
    return {
        each["name"]: each["text"]
        for each in json.loads(_TEXTS.read_bytes())[dialect]
        if revision is not None
        and each["from"] <= revision
        and (each["until"] is None or revision < each["until"])
    }


def _break(expected: str, found: str) -> Break:
    return Break(None, "the database's guards", expected, found)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _where_they_differ(expected: str, found: str) -> tuple[str, str]:
    """A piece of each text, from shortly before the first character that differs."""
    pairs = enumerate(zip_longest(expected, found))
    at = max(0, next(n for n, (right, wrong) in pairs if right != wrong) - _BEFORE)
    return repr(expected[at : at + _SHOWN]), repr(found[at : at + _SHOWN])


def _harmless(name: str, text: str) -> bool:
    unique = text.upper().startswith("CREATE UNIQUE") or ", unique" in text
    return name.startswith("index ") and not unique
