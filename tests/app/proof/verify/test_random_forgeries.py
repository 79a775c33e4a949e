"""Forgeries by chance: any stored value or row changed, removed, doubled, swapped, added, restored.

Each is found by `verify` with a checkpoint that was kept elsewhere, or stands in the list of what
the threat model names as not covered. `make test` tries a few, `make soak` hundreds on each
database, and prints what was tried, found and named.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from app.database.engine import READ_MODELS_SCHEMA
from app.database.migrating import CannotJudge
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.projections.rows import ROWS, STATE
from app.proof.verify.verification import Verified
from app.settings import Settings
from domain.errors import LedgerDamaged
from tests.app.proof.forger import guards_dropped
from tests.app.proof.signed_ledger import Kept, fill, fill_further, verified
from tests.app.proof.verify.random_forger import (
    TABLES,
    Dump,
    Forger,
    Forgery,
    differences,
    dump,
    put_back,
)
from tests.soak.tables import Show
from tests.told import ToldOnce, retold

SHORT, LONG = 12, 500  # forgeries on each database
SEED = 9
# What docs/threat-model.md names as not covered, by what differs, and what is said all the same.
NOT_COVERED: Final = {
    "entries.request_digest": "not in the hashed bytes",
    "payloads.request_digest": "not in the hashed bytes",
    "checkpoints.signed_at": "not in the hashed bytes",
    "checkpoints -row": "the kept note proves as much",
    "ledger_head.id": "the number of the head's only row, which nobody reads",
    "read_model_positions +row": "what a service of another version keeps",
    "read_model_positions.position": "an earlier one: what lies between is folded again",
}
SAID: Final = {"artefacts +row": "unnamed"}  # no break, but counted
AFTER_THE_LAST: Final = "unproven"  # entries that no checkpoint covers are said to be that


def story(ledger: Ledger, settings: Settings) -> tuple[Kept, Dump]:
    """A signed history, with rows of persons of whom one was erased; and how it stood before."""
    fill(ledger, settings)
    with ledger.engine.connect() as connection:
        earlier = dump(connection)
    return fill_further(ledger, settings), earlier


def found_by(ledger: Ledger, kept: Kept, changed: set[str]) -> str:
    """`found`, or why it is not: one of the words of the lists above; empty for a fault."""
    try:
        found = verified(ledger, kept)
    except (LedgerDamaged, CannotJudge):
        return "found"
    except Exception as error:  # noqa: BLE001 what is no finding is a fault
        print("crashed:", repr(error)[:200])  # noqa: T201 beside the table
        return ""
    if found.breaks:
        return "found"
    left = {each for each in changed if not said(each, found)}
    return "" if left else "named"


def said(changed: str, found: Verified) -> bool:
    """Whether the threat model names it, or the verification says it without calling it broken."""
    if changed in SAID:
        return bool(getattr(found, SAID[changed]))
    return changed in NOT_COVERED or bool(found.unproven)


def test_every_forgery_is_found_or_named_as_not_covered(
    settings: Settings, told_once: ToldOnce, soaking: bool, show: Show
) -> None:
    told = told_once(story, settings)
    kept, earlier = told.gives
    ledger = open_ledger(retold(told, settings))
    random = Random(SEED)
    whole = verified(ledger, kept)
    assert (whole.breaks, whole.unproven, whole.unnamed) == ((), "", 0)
    with ledger.engine.connect() as connection:
        before = dump(connection)
        stored = inspect(connection)
        schemas = {None} | ({READ_MODELS_SCHEMA} & set(stored.get_schema_names()))
        names = {name for schema in schemas for name in stored.get_table_names(schema)}
    apart = {table.name for table in ROWS.tables} | {STATE.name}  # on SQLite in another file
    assert names - apart == {table.name for table in TABLES}, "he reaches every other table"
    assert [name for name, rows in before.items() if not rows] == [], "each holds what he can forge"

    tried: Counter[tuple[Forgery, str]] = Counter()
    faults = []
    while tried.total() < (LONG if soaking else SHORT):
        with guards_dropped(ledger) as connection:
            nested = connection.begin_nested()
            try:
                forgery = Forger(connection, earlier, random).forge()
                nested.commit()
            except DBAPIError:
                nested.rollback()
                continue
            changed = differences(before, dump(connection))
        if changed:
            outcome = found_by(ledger, kept, changed)
            tried[forgery, outcome] += 1
            if not outcome:
                faults.append((tried.total(), forgery, sorted(changed)))
            with guards_dropped(ledger) as connection:
                put_back(connection, before)
    assert verified(ledger, kept) == whole, "all of it was put back"
    ledger.close()
    show(f"forgeries, {ledger.engine.dialect.name}", table(tried))
    assert faults == [], f"seed {SEED}"


def table(tried: Counter[tuple[Forgery, str]]) -> str:
    """By table: tried, found, and said or named in the threat model without being called broken."""
    lines = ["| table | tried | found | named |", "| --- | --: | --: | --: |"]
    for name in sorted({forgery.table for forgery, _ in tried}):
        outcomes: Counter[str] = Counter()
        for (forgery, outcome), number in tried.items():
            outcomes[outcome] += number if forgery.table == name else 0
        named = outcomes.total() - outcomes["found"] - outcomes[""]
        lines.append(f"| {name} | {outcomes.total()} | {outcomes['found']} | {named} |")
    return "\n".join(lines)
