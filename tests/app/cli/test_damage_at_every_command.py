"""Whatever is edited in the database, every command says damage, or what does not rest on it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from typer.main import get_command

from app.cli.main import app
from app.cli.terminal import Exit
from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.cli.command_line import whyledger
from tests.app.damaged import CONTRACT, CSV, EDITS, FORGED, KEY, everything
from tests.app.web.car_story import MODEL
from tests.told import ToldOnce, retold

CYCLE: Final = f"cycle --model {MODEL}"  # stopped by any damage
ROLLBACK: Final = f"rollback {MODEL} --to car-price/4 --reason complaints"
IMPORT: Final = f"import {MODEL} {{folder}}/cars.csv"
ERASE: Final = f"erase {MODEL} --identity {KEY} --reason asked --legal-basis law"
BUNDLE: Final = "export --bundle {folder}/bundle"
# In this order: a cycle would start where nothing was met yet.
COMMANDS: Final = (
    "repair --plan",
    "replay",
    "decisions",
    "changes",
    "why {decision}",
    "state",
    "export --format html",
    BUNDLE,
    "adopt {folder}/contract.json",
    IMPORT,
    ROLLBACK,
    ERASE,
    CYCLE,
    "settle --reason seen",
)
# What ends by itself only over damage; a ledger of its own; and what has its own tests.
OVER_ENTRIES: Final = ("serve --port 0", f"whatif --policy challenger --model {MODEL}")
NOT_ASKED: Final = {*(words.split()[0] for words in OVER_ENTRIES), "demo", "verify"}
READING_TABLES: Final = {"decisions", "changes", "why {decision}", "settle --reason seen"}
GOES_ON: Final = {IMPORT, ERASE}  # over entries that say nothing any more
# No command but `verify` and `repair` looks at tiles.
DAMAGED: Final = {
    "entries": {*COMMANDS} - READING_TABLES - GOES_ON,
    "payloads": {"replay", "state", BUNDLE, CYCLE},  # it was met when the state is asked for
    "artefacts": {BUNDLE, ROLLBACK, CYCLE},
}


@pytest.mark.parametrize("edit", DAMAGED)
def test_every_command_says_damage_or_what_does_not_rest_on_it(
    told_once: ToldOnce, settings: Settings, tmp_path: Path, edit: str
) -> None:
    told = told_once(everything, settings)
    ledger = open_ledger(retold(told, settings))
    EDITS[edit](ledger)
    ledger.close()
    (tmp_path / "contract.json").write_bytes(CONTRACT)
    (tmp_path / "cars.csv").write_text(CSV.replace(",4,", ",5,"))
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert known == {words.split()[0] for words in COMMANDS} | NOT_ASKED
    damaged = set()
    for words in COMMANDS:
        asked = words.format_map({**told.gives, "folder": tmp_path}).split()
        done = whyledger(settings.state_dir, *asked, WHYLEDGER_DATABASE_URL=settings.ledger_url)
        assert "report it" not in done.stderr
        assert FORGED not in done.stdout + done.stderr, words
        if done.returncode == Exit.INTEGRITY:
            damaged.add(words)
        else:
            assert done.returncode == Exit.OK, (words, done.stderr)
    assert damaged == DAMAGED[edit]


@pytest.mark.parametrize("words", OVER_ENTRIES)
def test_who_serves_or_lives_years_again_says_in_one_line_that_entries_are_damaged(
    told_once: ToldOnce, settings: Settings, words: str
) -> None:
    told = told_once(everything, settings)
    ledger = open_ledger(retold(told, settings))
    EDITS["entries"](ledger)
    ledger.close()
    done = whyledger(settings.state_dir, *words.split(), WHYLEDGER_DATABASE_URL=settings.ledger_url)
    assert done.returncode == Exit.INTEGRITY, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "ledger entry 0: the stored bytes hash to" in last
    for never in ("Traceback", "report it", FORGED):
        assert never not in done.stdout + done.stderr
