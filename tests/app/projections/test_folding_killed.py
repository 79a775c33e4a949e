"""A fold is killed at any of its statements: the next one goes on, and comes to the same rows.

The process that folds sends itself SIGKILL, so nothing of it is left to tidy up.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any, Final

from app.ledger.store import Ledger
from app.projections import rows_apart
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.projections.rows_apart import FoldedRows
from app.settings import Settings
from tests import ledger_events as events
from tests.app.proof.forged_rows import erase, fill
from tests.forked import Forked

_STATEMENTS: Final = frozenset({"execute", "executemany", "commit"})
PAGE_ENTRIES: Final = 2
STEPS_SHORT = {"sqlite": 16, "postgresql": 96}  # statements from one death to the next
STEP_LONG = 1


def fold_and_die(statement: int) -> None:
    """Fold, and be gone at this statement; to the end when there are fewer."""
    rows_apart._PAGE_ENTRIES = PAGE_ENTRIES  # type: ignore[misc]
    settings = Settings()
    ledger = open_ledger(settings, answers_within=settings.busy_timeout_seconds)  # folds a page
    seen = 0

    def look(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal seen
        name = argument.__name__ if event == "c_call" else frame.f_code.co_name
        if event in ("call", "c_call") and name in _STATEMENTS:
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)
    ledger.rows.catch_up()
    sys.setprofile(None)


def begun_anew(ledger: Ledger) -> None:
    """Nothing is folded."""
    assert isinstance(ledger.rows, FoldedRows)
    ledger.rows.begin_anew()


def test_killed_at_any_statement_a_fold_is_gone_on_with_and_comes_to_the_same(
    ledger: Ledger, settings: Settings, soaking: bool
) -> None:
    fill(ledger)
    events.put(ledger, "observations-cars", events.observation("car=1"))
    erase(ledger, (1, 0), (3, 1))
    events.put(ledger, "observations-cars", events.observation("car=9"))
    folded: set[int] = set()
    statement, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        statement += STEP_LONG if soaking else STEPS_SHORT[ledger.engine.dialect.name]
        begun_anew(ledger)
        environment = os.environ | settings.as_environment()
        code = Forked(fold_and_die, (statement,), environment).wait()
        with ledger.snapshot() as connection:
            folded.add(ledger.rows.folded(connection))
        ledger.rows.catch_up()
        assert rebuild(ledger).differing == ()
    assert code == 0
    assert len(folded) > 2, "it died in several pages"
