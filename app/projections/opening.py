"""Open the ledger with its read models: every append folds what is new into them."""

from __future__ import annotations

from app.ledger import store
from app.ledger.store import Ledger
from app.projections.runner import apply
from app.settings import Settings


def open_ledger(settings: Settings, *, begin: bool = True) -> Ledger:
    """As `app.ledger.store.open_ledger`, given the projection of this version of the service.

    Raises:
        LedgerBusy: the database is in use or out of reach.
        LedgerDamaged: its schema is newer than this code.
    """
    return store.open_ledger(settings, project=apply, begin=begin)
