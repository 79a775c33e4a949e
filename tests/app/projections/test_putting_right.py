"""Who compares read models with the ledger: over which errors, how often, and until when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import delete, event

from app.ledger.store import Ledger
from app.projections.putting_right import ReadModelWatch, is_suspicious
from app.projections.rebuild import rebuild
from app.projections.refusals import REFUSALS
from domain.errors import PolicyNotDecided, ReadModelUnfit
from tests.ledger_events import put, refused
from tests.patience import until

QUICK = 0.02
UNFIT = ReadModelUnfit("a column holds what no fold puts there.")


def spoil(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        connection.execute(delete(REFUSALS))


@pytest.fixture
def watch(ledger: Ledger) -> Iterator[ReadModelWatch]:
    put(ledger, "observations-cars", refused())
    with closing(ReadModelWatch(ledger, look_seconds=QUICK)) as made:
        made.start()
        yield made


def error_of(work: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as found:  # noqa: PT011 whatever it is
        work()
    return found.value


def test_text_of_a_file_and_refusals_of_ours_compare_nothing() -> None:
    assert not is_suspicious(error_of(b"\xff".decode))
    assert not is_suspicious(PolicyNotDecided("the rules gave no outcome."))
    assert not is_suspicious(OSError("the disk is full"))


def test_what_a_wrong_row_may_have_made_is_suspected_wherever_it_was_used() -> None:
    assert is_suspicious(UNFIT)
    assert is_suspicious(error_of(lambda: dict[str, str]()["title"]))


def test_a_spoilt_row_is_folded_anew_although_a_comparison_found_nothing_just_now(
    ledger: Ledger, watch: ReadModelWatch
) -> None:
    watch.hears(KeyError("title"))
    until(lambda: watch.alarm is None)
    assert watch.suspected(KeyError("title")) is None, "it is a mistake of ours"
    spoil(ledger)
    assert watch.suspected(UNFIT) is UNFIT
    until(lambda: f"somebody changed {REFUSALS.name}" in str(watch.alarm))
    assert rebuild(ledger).differing == ()


def test_a_comparison_ends_with_the_service_and_changes_nothing(ledger: Ledger) -> None:
    put(ledger, "observations-cars", *[refused()] * 5)
    spoil(ledger)
    watch = ReadModelWatch(ledger, look_seconds=QUICK)
    watch.close()
    watch.hears(UNFIT)
    watch._look()
    assert REFUSALS.name in rebuild(ledger).differing


def test_a_comparison_holds_no_transaction_from_one_page_to_the_next(ledger: Ledger) -> None:
    put(ledger, "observations-cars", *[refused()] * 30)
    pool = ledger.engine.pool
    held: list[int] = []
    out = 0

    def checked_out(*_: object) -> None:
        nonlocal out
        out += 1

    def checked_in(*_: object) -> None:
        nonlocal out
        out -= 1

    event.listen(pool, "checkout", checked_out)
    event.listen(pool, "checkin", checked_in)
    rebuild(ledger, lambda done, of: held.append(out), page_entries=10)
    assert held
    assert set(held) == {0}
