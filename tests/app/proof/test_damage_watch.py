"""Damage that any reader meets stops signing and promoting, until it is gone or accepted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import pytest

from app.cause import Cause
from app.ledger.damage import record_damage, refuse_on_damage, settle_known
from app.ledger.known_damage import known_damage
from app.ledger.store import Ledger
from app.proof.checkpoints import Checkpoints
from app.proof.damage_watch import DamageWatch
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.decisions.damage import SettleDamage, standing
from domain.errors import LedgerDamaged
from domain.events.events import DamageFound, DamageSettled
from domain.events.unreadable import Unreadable
from tests.app.proof.forger import change, edited
from tests.ledger_events import put, refused
from tests.patience import until

EDITED = 2
SOMEBODY = Cause.unauthenticated("somebody")


@pytest.fixture
def original(ledger: Ledger) -> bytes:
    """The bytes of an entry that somebody edits; its hash stays."""
    put(ledger, "observations-cars", *[refused(n + 1) for n in range(5)])
    (content,) = ledger.stored_bytes(EDITED, EDITED)
    return content


@pytest.fixture
def watch(ledger: Ledger, settings: Settings) -> Iterator[DamageWatch]:
    made = DamageWatch(ledger, settings, look_seconds=0.02, again_seconds=0.02)
    yield made
    made.close()


def sign(ledger: Ledger, settings: Settings) -> int:
    """Sign all there is, as the service does; how many entries there are."""
    checkpoints = Checkpoints(ledger, settings)
    size = checkpoints.sign().checkpoint.size
    checkpoints.close()
    return size


def put_bytes(ledger: Ledger, content: bytes) -> None:
    statement = f"UPDATE entries SET bytes = :content WHERE position = {EDITED}"
    change(ledger, statement, content=content)


def edit(ledger: Ledger, original: bytes, rows: int = 99) -> None:
    put_bytes(ledger, edited(original, rows=rows))


PASS_OVER: dict[str, Callable[[Ledger], object]] = {  # and say why
    "an entry": lambda ledger: ledger.entry(EDITED).event,
    "a list": lambda ledger: ledger.read()[EDITED].event,
    "who knows its id": lambda ledger: ledger.known([id_of(ledger)])[id_of(ledger)][0].event,
    "a page of rows": lambda ledger: ledger.read_rows(1, limit=1)[0].event,
}
STOP: dict[str, Callable[[Ledger], object]] = {
    "a stream": lambda ledger: ledger.read_stream("observations-cars"),
    "its bytes": lambda ledger: ledger.stored_bytes(0, 5),
    "a fold from the first on": lambda ledger: ledger.fold_anew(),
}


def id_of(ledger: Ledger) -> str:
    with ledger.snapshot() as connection:
        query = f"SELECT id FROM entries WHERE position = {EDITED}"
        return str(connection.exec_driver_sql(query).scalar_one())


@pytest.mark.parametrize("reader", [*PASS_OVER, *STOP])
def test_whoever_meets_it_stops_the_signing(
    ledger: Ledger, settings: Settings, original: bytes, reader: str
) -> None:
    edit(ledger, original)
    checkpoints = Checkpoints(ledger, settings)
    if reader in PASS_OVER:
        passed_over = PASS_OVER[reader](ledger)
        assert isinstance(passed_over, Unreadable)
        assert passed_over.why.startswith("ledger entry 2: the stored bytes hash to")
    else:
        with pytest.raises(LedgerDamaged, match="ledger entry 2: the stored bytes hash to"):
            STOP[reader](ledger)
    with pytest.raises(LedgerDamaged, match="ledger entry 2: the stored bytes hash to"):
        checkpoints.sign()
    assert checkpoints.signer.last_note() is None
    checkpoints.close()


def test_what_one_process_met_stops_the_others_and_is_said_once(
    ledger: Ledger, settings: Settings, original: bytes
) -> None:
    edit(ledger, original)
    other = Ledger(ledger.engine, ledger.project, busy_timeout_seconds=5)
    for _ in range(2):
        ledger.entry(EDITED)
        record_damage(ledger, SOMEBODY)
    with other.snapshot() as connection:
        (known,) = known_damage(connection)
    with pytest.raises(LedgerDamaged, match="ledger entry 2"):
        refuse_on_damage(other)
    assert (known.found.position, ledger.met.all()) == (EDITED, ())


def test_a_verification_beside_the_service_finds_it_gone_and_signing_goes_on(
    ledger: Ledger, settings: Settings, original: bytes, watch: DamageWatch
) -> None:
    sign(ledger, settings)
    edit(ledger, original)
    watch.start()
    assert watch.alarm is None
    ledger.entry(EDITED)
    assert "ledger entry 2: the stored bytes hash to" in str(watch.alarm)
    until(lambda: "The last verification of" in str(watch.alarm))
    put_bytes(ledger, original)
    until(lambda: watch.alarm is None)
    last = ledger.read()[-1].event
    assert isinstance(last, DamageSettled)
    assert (last.how, last.reason.split(",")[0]) == (
        "verified",
        f"{ledger.size() - 1} entries were verified",
    )
    assert sign(ledger, settings) == ledger.size()


def test_a_verification_beside_the_service_says_what_it_cannot_prove(
    ledger: Ledger, settings: Settings, original: bytes, watch: DamageWatch
) -> None:
    edit(ledger, original)
    ledger.entry(EDITED)
    put_bytes(ledger, original)
    watch.start()
    until(lambda: "Nothing is broken any more, but no entry is proven" in str(watch.alarm))
    with pytest.raises(LedgerDamaged, match="ledger entry 2"):
        sign(ledger, settings)


def test_a_verification_names_what_nobody_accepted_and_its_own_words_bring_no_more(
    ledger: Ledger, original: bytes, watch: DamageWatch
) -> None:
    edit(ledger, original)
    change(ledger, "UPDATE entries SET type = 'other' WHERE position = 4")
    ledger.entry(EDITED)
    record_damage(ledger, SOMEBODY)
    settle_known(ledger, SettleDamage(how="accepted", reason="the copy is right"), SOMEBODY)
    watch.start()
    until(lambda: "position 4: column 'type'" in str(watch.alarm))
    verifications: set[int] = set()

    def several() -> bool:
        verifications.add(id(watch._verifying))
        return len(verifications) > 2

    until(several)
    found = [entry.event for entry in ledger.read(5)]
    assert [each.position for each in found if isinstance(each, DamageFound)] == [EDITED, 4]


def test_accepted_damage_stays_an_alarm_and_stops_nothing_but_other_damage_does(
    ledger: Ledger, settings: Settings, original: bytes, watch: DamageWatch
) -> None:
    edit(ledger, original)
    ledger.entry(EDITED)
    record_damage(ledger, SOMEBODY)
    settle_known(ledger, SettleDamage(how="accepted", reason="the copy is right"), SOMEBODY)
    watch.start()
    assert "It was accepted: the copy is right." in str(watch.alarm)
    checkpoints = Checkpoints(ledger, settings)
    assert checkpoints.sign().checkpoint.size == ledger.size()
    edit(ledger, original, rows=77)
    ledger.entry(EDITED)
    with pytest.raises(LedgerDamaged, match="ledger entry 2"):
        checkpoints.sign()
    checkpoints.close()


def test_nobody_slips_through_while_what_was_met_goes_into_the_ledger(
    ledger: Ledger, original: bytes
) -> None:
    edit(ledger, original)
    with ledger.snapshot() as before:
        before.exec_driver_sql(
            "SELECT count(*) FROM entries"
        ).all()  # sees this moment from here on
        ledger.entry(EDITED)
        record_damage(ledger, SOMEBODY)
        assert (known_damage(before), ledger.met.all()) == ((), ())
        with pytest.raises(LedgerDamaged, match="ledger entry 2"):
            refuse_on_damage(ledger)


def test_where_the_ledger_cannot_say_so_the_process_remembers(
    ledger: Ledger, settings: Settings, original: bytes
) -> None:
    edit(ledger, original)
    change(ledger, "UPDATE ledger_head SET size = 4096")  # nothing can be appended any more
    ledger.entry(EDITED)
    with pytest.raises(LedgerDamaged, match="the head of the ledger's tree"):
        record_damage(ledger, SOMEBODY)
    with ledger.snapshot() as connection:
        with pytest.raises(LedgerDamaged, match="ledger entry 2"):
            refuse_on_damage(ledger)
        assert standing(known_damage(connection)) == ()


def test_looking_costs_no_append_and_no_verification_while_nothing_is_damaged(
    ledger: Ledger, settings: Settings, watch: DamageWatch
) -> None:
    before = ledger.size()
    watch.start()
    put(ledger, "observations-cars", refused())
    watch.close()
    assert (watch.alarm, ledger.size()) == (None, before + 1)
    assert watch._verifying is None


def test_it_says_how_far_a_verification_is_and_ends_in_its_pause(
    ledger: Ledger, settings: Settings, original: bytes
) -> None:
    edit(ledger, original)
    ledger.entry(EDITED)
    slow = DamageWatch(ledger, settings, look_seconds=0.02, pause_share=1e9)
    slow.start()
    until(lambda: f"Verifying: {ledger.size()} of {ledger.size()} entries." in str(slow.alarm))
    verifying = slow._verifying
    assert verifying is not None
    slow.close()
    slow._look()
    assert (slow._verifying, verifying.is_alive()) == (verifying, False)


def test_a_verification_that_pauses_keeps_no_transaction_open(ledger: Ledger) -> None:
    put(ledger, "observations-cars", *[refused(n + 1) for n in range(1001)])
    open_while_paused = []

    def pause(done: int, of: int) -> None:
        if done == 1000:  # a page; entries come in meanwhile
            put(ledger, "observations-cars", refused())
            open_while_paused.append(transactions(ledger))

    found = verify(ledger, None, progress=pause)
    assert open_while_paused == [0]
    assert (found.entries, found.breaks) == (ledger.size(), ())


def transactions(ledger: Ledger) -> int:
    """Of others than who asks; on SQLite, whether one keeps the log from being emptied."""
    with ledger.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            asked = "state = 'idle in transaction' AND datname = current_database()"
            query = f"SELECT count(*) FROM pg_stat_activity WHERE {asked}"
            return int(connection.exec_driver_sql(query).scalar_one())
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        ((busy, _, _),) = raw.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchall()
        return int(busy)


@pytest.mark.parametrize(
    ("accepted", "said"),
    [(False, "damage is over: everything was verified"), (True, "damage was accepted")],
)
def test_the_log_says_that_damage_is_over_or_accepted(
    ledger: Ledger,
    settings: Settings,
    watch: DamageWatch,
    original: bytes,
    accepted: bool,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("WARNING", "whyledger.ledger")
    sign(ledger, settings)
    edit(ledger, original)
    ledger.entry(EDITED)
    watch.start()
    until(lambda: "damage: ledger entry 2" in caplog.text)
    if accepted:
        settle_known(ledger, SettleDamage(how="accepted", reason="we know"), SOMEBODY)
    else:
        put_bytes(ledger, original)
    until(lambda: said in caplog.text)


def test_damage_is_one_alarm_though_nothing_is_signed_for_it(
    ledger: Ledger, settings: Settings, original: bytes
) -> None:
    edit(ledger, original)
    ledger.entry(EDITED)
    checkpoints = Checkpoints(ledger, settings)
    checkpoints.start()
    try:
        until(lambda: "Nothing is promoted and nothing is signed" in str(checkpoints.refusal))
        assert checkpoints.alarm is None, "the damage has an alarm of its own"
    finally:
        checkpoints.close()
