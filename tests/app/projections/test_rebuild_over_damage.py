"""Read models that hold what the ledger has lost are not exchanged for others that lack it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Table

from app.ledger.store import Ledger
from app.projections.folding import digests
from app.projections.predictions import PREDICTIONS
from app.projections.putting_right import put_right
from app.projections.rebuild import rebuild
from app.projections.refusals import REFUSALS
from app.projections.runner import READ_MODELS
from domain.errors import LedgerDamaged, ReadModelUnfit
from domain.events.unreadable import Unreadable
from tests.app.proof.forger import change
from tests.ledger_events import observation, prediction, put, refused

DAMAGES = {
    "edited": "UPDATE payloads SET bytes = :content WHERE position = 2",
    "removed": "DELETE FROM payloads WHERE position = 2",
}


def rows(ledger: Ledger, table: Table) -> int:
    with ledger.connect() as connection:
        return len(connection.execute(table.select()).all())


@pytest.fixture(params=DAMAGES)
def damaged(ledger: Ledger, request: pytest.FixtureRequest) -> Ledger:
    """An observation and a prediction of persons; the prediction's data is damaged."""
    put(ledger, "observations-cars", observation("owner=1"), personal=True)
    put(ledger, "predictions-cars", prediction("owner=1"), personal=True)
    put(ledger, "observations-cars", refused())
    assert rows(ledger, PREDICTIONS) == 1, "it is folded"
    change(ledger, DAMAGES[request.param], content=b"{}")
    return ledger


def test_a_rebuild_over_damaged_data_leaves_the_rows_that_hold_what_it_said(
    damaged: Ledger,
) -> None:
    with damaged.connect() as connection:
        before = digests(connection, READ_MODELS)
    with pytest.raises(LedgerDamaged, match=r"entry 2 .*they were left as they are"):
        rebuild(damaged)
    with pytest.raises(LedgerDamaged, match="they were left as they are"):
        put_right(damaged, ReadModelUnfit("a row is wrong"))
    with damaged.connect() as connection:
        assert digests(connection, READ_MODELS) == before
    assert rows(damaged, PREDICTIONS) == 1
    (met,) = damaged.met.all()
    assert met.position == 2


def test_a_rebuild_that_goes_on_meets_what_the_first_one_met(
    damaged: Ledger, tmp_path: Path
) -> None:
    def give_up(done: int, of: int) -> None:
        if done == of:
            raise KeyboardInterrupt

    folder = tmp_path / "kept"
    with pytest.raises(KeyboardInterrupt):
        rebuild(damaged, give_up, page_entries=1, kept=folder)
    with pytest.raises(LedgerDamaged, match=r"entry 2 .*they were left as they are"):
        rebuild(damaged, page_entries=1, kept=folder)


def test_nor_does_it_begin_anew_where_another_read_model_is_gone(
    damaged: Ledger,
) -> None:
    with damaged.writing() as connection:
        REFUSALS.drop(connection)
    with pytest.raises(LedgerDamaged, match="they were left as they are"):
        rebuild(damaged)
    assert rows(damaged, PREDICTIONS) == 1


def test_where_the_read_models_are_what_the_ledger_gives_it_says_so(ledger: Ledger) -> None:
    put(ledger, "predictions-cars", prediction("owner=1"), personal=True)
    change(ledger, "DELETE FROM payloads WHERE position = 1")
    ledger.fold_anew()
    ledger.rows.fold_anew()
    assert isinstance(ledger.entry(1).event, Unreadable)
    assert rebuild(ledger).differing == ()
