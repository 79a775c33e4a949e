"""Two versions of the service on one ledger: each keeps its own read models, and both are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)

from app.cause import Cause
from app.clock import new_id
from app.database.engine import insert_rows
from app.ledger.past import Past
from app.ledger.store import Ledger, StreamAppend
from app.projections.cycles import CYCLES
from app.projections.keeping import Keeping
from app.projections.opening import open_ledger
from app.projections.positions import POSITIONS, positions_of
from app.projections.read_model import METADATA, ReadModel, table_of
from app.projections.rebuild import rebuild
from app.projections.refusals import REFUSALS, rows_between
from app.projections.runner import READ_MODELS, WITH_THE_LEDGER
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.errors import LedgerBusy
from domain.events.envelope import Recorded
from domain.events.events import RowsRefused
from tests import ledger_events as events
from tests.postgres import command, logging_in


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterRefusal:
    """What a later version might keep of a refusal: twice the rows, and no reasons."""

    position: int
    model: str
    twice: int


LATER = table_of(
    LaterRefusal, "refusals", number=2, key="position", metadata=MetaData(schema=METADATA.schema)
)


def _refused(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(RowsRefused, entry.event)
        insert_rows(connection, LATER, [(entry.position, event.model, 2 * event.rows)])


LATER_MODELS = (  # all of this version, but for `refusals_2` in place of `refusals_1`
    *(each for each in WITH_THE_LEDGER if each.table is not REFUSALS),
    ReadModel(LATER, {RowsRefused: _refused}),
)


@pytest.fixture
def opened() -> Iterator[Callable[[Settings, Keeping], Ledger]]:
    """Opens the ledger as a version that keeps these read models."""
    ledgers: list[Ledger] = []

    def open_as(settings: Settings, keeping: Keeping) -> Ledger:
        ledgers.append(open_ledger(settings, keeping=keeping))
        return ledgers[-1]

    yield open_as
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def old(settings: Settings, opened: Callable[..., Ledger]) -> Ledger:
    return opened(settings, Keeping(WITH_THE_LEDGER))


@pytest.fixture
def new(settings: Settings, old: Ledger, opened: Callable[..., Ledger]) -> Ledger:
    """Opened when the older version had recorded something."""
    refuse(old, 3)
    return opened(settings, Keeping(LATER_MODELS))


def refuse(ledger: Ledger, rows: int) -> None:
    events.put(ledger, "observations-cars", events.refused(rows))


def refuse_long_ago(ledger: Ledger) -> None:
    append = StreamAppend("observations-cars", (events.new(events.refused(1)),), None)
    ledger.append([append], Cause.unauthenticated(new_id()), recorded_at=events.TIME)


def append(ledger: Ledger) -> None:
    refuse(ledger, 1)


def append_with_a_check(ledger: Ledger) -> None:
    seen: list[int] = []

    def check(connection: Connection) -> None:
        seen.append(connection.execute(select(func.sum(LATER.c.twice))).scalar_one())

    one = StreamAppend("observations-cars", (events.new(events.refused(1)),), None)
    ledger.append([one], Cause.unauthenticated(new_id()), check=check)
    assert seen == [2 * 5 * 9]


def hold_the_lock(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        assert connection.execute(select(func.sum(LATER.c.twice))).scalar_one() == 2 * 5 * 9


def refused_by_old(ledger: Ledger) -> int:
    with ledger.connect() as connection:
        return rows_between(connection, "cars", after=-1, up_to=1000).refused


def refused_by_new(ledger: Ledger) -> int:
    with ledger.connect() as connection:
        return int(connection.execute(select(func.sum(LATER.c.twice))).scalar_one())


def started_cycles(ledger: Ledger) -> int:
    with ledger.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(CYCLES)).scalar_one())


def names_that_stand(ledger: Ledger) -> set[str]:
    with ledger.snapshot() as connection:
        schema = None if connection.dialect.name == "sqlite" else METADATA.schema
        return {n for n in inspect(connection).get_table_names(schema) if n.startswith("refusals")}


def test_a_new_number_is_folded_from_what_the_older_version_recorded(new: Ledger) -> None:
    assert refused_by_new(new) == 6


def test_both_append_and_each_answers_with_what_the_other_appended(
    old: Ledger, new: Ledger
) -> None:
    refuse(old, 10)
    assert refused_by_new(new) == 26
    refuse(new, 100)
    refuse(new, 1000)
    assert refused_by_old(old) == 1113
    events.put(new, "cycle-cars-1", events.started(1))
    events.put(old, "cycle-cars-2", events.started(2))
    refuse(old, 10_000)
    assert (refused_by_old(old), refused_by_new(new)) == (11_113, 22_226)
    assert (started_cycles(old), started_cycles(new)) == (2, 2)  # a number that both keep


def test_what_both_keep_equals_a_rebuild(old: Ledger, new: Ledger) -> None:
    for rows in range(1, 8):
        refuse(old if rows % 3 else new, rows)
        events.put(new if rows % 2 else old, f"cycle-cars-{rows}", events.started(rows))
    for ledger, read_models in ((old, WITH_THE_LEDGER), (new, LATER_MODELS)):
        found = rebuild(ledger, read_models=read_models)
        assert found.differing == ()
        assert found.position == ledger.size() - 1
    assert refused_by_old(old) == 3 + sum(range(1, 8))


def test_a_verification_finds_nothing_wrong_with_what_is_only_behind(
    old: Ledger, new: Ledger
) -> None:
    refuse(new, 1)
    found = verify(old, None)
    assert (found.breaks, found.read_models) == ((), len(READ_MODELS))


def test_a_check_under_the_lock_sees_what_the_other_appended(old: Ledger, new: Ledger) -> None:
    events.put(old, "cycle-cars-1", events.started(1))
    refuse(new, 1)
    refuse(old, 50)
    with new.writing() as connection:
        assert connection.execute(select(func.sum(LATER.c.twice))).scalar_one() == 108


def test_a_fold_that_was_cut_off_goes_on_where_it_was(settings: Settings, old: Ledger) -> None:
    keeping = Keeping(LATER_MODELS, page_entries=10)
    for _ in range(4):
        events.put(old, "observations-cars", *[events.refused(1)] * 10)
    said: list[tuple[int, int]] = []

    def give_up(done: int, of: int) -> None:
        said.append((done, of))
        refuse(old, 1)  # the older version goes on meanwhile
        if len(said) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_ledger(settings, keeping=keeping, progress=give_up)
    with old.snapshot() as connection:
        assert positions_of(connection)[LATER.name] == 19
    new = open_ledger(settings, keeping=keeping, progress=lambda done, of: said.append((done, of)))
    assert said == [(10, 41), (20, 42), (30, 43), (40, 43)]
    assert refused_by_new(new) == 2 * refused_by_old(old) == 84
    new.close()


def test_numbers_that_nobody_keeps_up_are_dropped_after_a_week(
    settings: Settings, old: Ledger, new: Ledger, opened: Callable[..., Ledger]
) -> None:
    refuse(new, 1)
    opened(settings, Keeping(LATER_MODELS))
    assert names_that_stand(new) == {"refusals_1", "refusals_2"}  # a week has not passed
    refuse_long_ago(new)
    refused_by_old(old)  # keeps them up
    opened(settings, Keeping(LATER_MODELS))
    assert names_that_stand(new) == {"refusals_1", "refusals_2"}
    refuse_long_ago(new)
    opened(settings, Keeping(LATER_MODELS))
    assert names_that_stand(new) == {"refusals_2"}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_who_may_only_read_drops_nothing_and_is_not_refused_for_it(
    settings: Settings, new: Ledger, opened: Callable[..., Ledger]
) -> None:
    refuse_long_ago(new)
    with logging_in(settings.ledger_url, "whyledger_app") as url:
        reads_only = f"ALTER ROLE {make_url(url).username} SET default_transaction_read_only = on"
        command(settings.ledger_url, reads_only)
        looking = opened(settings.model_copy(update={"database_url": url}), Keeping(LATER_MODELS))
        assert refused_by_new(looking) == 8
        looking.close()
    assert names_that_stand(new) == {REFUSALS.name, LATER.name}


def test_an_older_version_that_comes_back_after_all_folds_its_own_anew(
    old: Ledger, new: Ledger
) -> None:
    refuse(new, 7)
    with new.writing() as connection:
        assert new.project.drop_others(connection) == [REFUSALS.name]
    assert refused_by_old(old) == 10
    refuse(old, 1)
    with old.writing() as connection:
        assert old.project.drop_others(connection) == [LATER.name]
    refuse(new, 1)
    assert refused_by_new(new) == 24


def test_a_table_that_only_looks_like_a_read_model_is_left_alone(
    settings: Settings, old: Ledger, new: Ledger, opened: Callable[..., Ledger]
) -> None:
    operators = Table("labels_2024", MetaData(schema=METADATA.schema), Column("row", Integer))
    with new.writing() as connection:
        operators.create(connection)
        connection.execute(insert(operators).values(row=1))
    refuse_long_ago(new)
    opened(settings, Keeping(LATER_MODELS))  # drops what nobody keeps up
    with new.writing() as connection:
        new.project.drop_others(connection)  # drops what others keep, as an erasure does
    assert names_that_stand(new) == {LATER.name}
    with new.snapshot() as connection:
        assert connection.execute(select(operators)).all() == [(1,)]


def test_a_view_on_an_old_read_model_stops_no_start_and_is_named_to_an_erasure(
    settings: Settings, old: Ledger, new: Ledger, opened: Callable[..., Ledger]
) -> None:
    with new.writing() as connection:
        holds = connection.dialect.name == "postgresql"  # where a view keeps its table
        if holds:
            view = f"CREATE VIEW read_models.board AS SELECT * FROM read_models.{REFUSALS.name}"
            connection.execute(text(view))
    refuse_long_ago(new)

    opened(settings, Keeping(LATER_MODELS))

    assert (REFUSALS.name in names_that_stand(new)) == holds
    named = pytest.raises(LedgerBusy, match=f"{REFUSALS.name!r} of another .* stands on it")
    with named if holds else nullcontext(), new.writing() as connection:
        assert new.project.drop_others(connection) == []


def test_what_another_version_folded_from_entries_that_are_gone_is_dropped_too(
    old: Ledger, new: Ledger
) -> None:
    with new.writing() as connection:  # as when an older back-up was restored
        connection.execute(update(POSITIONS).values(position=999))
    refuse(new, 1)
    with new.writing() as connection:
        assert new.project.drop_others(connection) == [REFUSALS.name]
    assert (refused_by_new(new), refused_by_old(old)) == (8, 4)


def test_opening_beside_another_version_does_not_wait_for_who_appends(
    settings: Settings, old: Ledger, new: Ledger, opened: Callable[..., Ledger]
) -> None:
    refuse(new, 1)
    impatient = settings.model_copy(update={"busy_timeout_seconds": 0.1})
    with new.writing():
        assert refused_by_new(opened(impatient, Keeping(LATER_MODELS))) == 8
    assert names_that_stand(new) == {REFUSALS.name, LATER.name}


@pytest.mark.parametrize("how", [append, append_with_a_check, hold_the_lock])
def test_however_far_one_is_behind_no_transaction_folds_more_than_a_page_of_it(
    settings: Settings,
    old: Ledger,
    opened: Callable[..., Ledger],
    how: Callable[[Ledger], None],
) -> None:
    folded: Counter[object] = Counter()  # entries, by the transaction

    def count(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
        folded[connection.get_transaction()] += len(entries)
        _refused(connection, past, entries)

    keeping = Keeping([ReadModel(LATER, {RowsRefused: count})], page_entries=10)
    new = opened(settings, keeping)
    for _ in range(5):  # then the older version drops what it does not keep, and goes on
        events.put(old, "observations-cars", *[events.refused(1)] * 9)
    with old.writing() as connection:
        old.project.drop_others(connection)
    folded.clear()

    how(new)

    assert max(folded.values()) <= 10 + 1  # and what it appends itself
    assert refused_by_new(new) == 2 * refused_by_old(old)
    assert rebuild(new, read_models=keeping.read_models).differing == ()


class Raced(Keeping):
    """One that another version's append overtakes, again and again, when it looks how far it is."""

    appends: Iterator[Callable[[], None]] = iter(())

    def is_behind(self, connection: Connection) -> bool:
        next(self.appends, lambda: None)()
        return super().is_behind(connection)


def test_whoever_reads_never_sees_read_models_that_lack_an_entry(
    settings: Settings, new: Ledger, opened: Callable[..., Ledger]
) -> None:
    raced = Raced(WITH_THE_LEDGER)
    old = opened(settings, raced)
    raced.appends = iter([lambda: refuse(new, 10), lambda: refuse(new, 100)])
    assert refused_by_old(old) == 113

    raced.appends = iter([lambda: refuse(new, 1)] * 3)
    with pytest.raises(LedgerBusy, match="3 times they lacked an entry"):
        refused_by_old(old)
    assert refused_by_old(old) == 116
