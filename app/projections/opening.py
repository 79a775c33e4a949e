"""Open the ledger with its read models: what is missing in them is folded, and appends go on."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from app.clock import now
from app.ledger import store
from app.ledger.store import Ledger, Progress
from app.projections.keeping import Keeping
from app.projections.runner import apply
from app.settings import Settings
from domain.times import format_time, parse_time

_KEPT: Final = timedelta(days=7)  # read models of another version, since nobody folds into them
_LOG: Final = logging.getLogger("whyledger.ledger")


def open_ledger(
    settings: Settings,
    *,
    begin: bool = True,
    progress: Progress = lambda done, of: None,
    keeping: Keeping = apply,
) -> Ledger:
    """As `app.ledger.store.open_ledger`, given the read models of this version of the service.

    Those of other versions are dropped when an entry of a week ago is not folded into them.

    Raises:
        LedgerBusy: the database is in use or out of reach.
        LedgerDamaged: its schema is newer than this code, or an entry cannot be read.
    """
    ledger = store.open_ledger(settings, project=keeping, begin=begin, progress=progress)
    try:
        _drop_abandoned(ledger, keeping)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _drop_abandoned(ledger: Ledger, keeping: Keeping) -> None:
    with ledger.snapshot() as connection:
        others = keeping.others(connection)
    if others:
        with ledger.writing() as connection:
            limit = format_time(parse_time(now()) - _KEPT)
            dropped = keeping.drop_others(connection, unfolded_before=limit)
        if dropped:
            _LOG.info("dropped %s: no process folds into them any more", ", ".join(dropped))
