"""However much damage a process met, to say so costs what saying one costs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from app.cause import Cause
from app.ledger.damage import record_damage, settle_known
from app.ledger.known_damage import known_damage
from app.ledger.met_damage import Met
from app.ledger.store import Ledger
from app.proof.damage_watch import DamageWatch
from app.settings import Settings
from domain.decisions.damage import SettleDamage

SOMEBODY = Cause.unauthenticated("somebody")
FIRST = Met(1, "position 1 is damaged.")


@contextmanager
def asked(ledger: Ledger) -> Iterator[list[str]]:
    """The statements that are run inside, by this thread or the writer's."""
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if threading.current_thread().name != "verify":
            said.append(statement)

    event.listen(ledger.engine, "after_cursor_execute", hear)
    yield said
    event.remove(ledger.engine, "after_cursor_execute", hear)


def reads(statements: list[str]) -> list[str]:
    return [each for each in statements if each.startswith("SELECT")]


def meet(ledger: Ledger, *met: Met) -> None:
    for each in met:
        ledger.met.add(each)


def test_fifty_are_said_after_as_many_reads_as_one_and_none_of_them_twice(
    ledger: Ledger,
) -> None:
    many = [Met(n, f"position {n} is damaged.") for n in range(2, 52)]
    meet(ledger, FIRST)
    with asked(ledger) as for_one:
        record_damage(ledger, SOMEBODY)
    meet(ledger, FIRST, *many)
    with asked(ledger) as for_fifty:
        record_damage(ledger, SOMEBODY)
    assert reads(for_fifty) == reads(for_one)
    with ledger.snapshot() as connection:
        said = [each.found.said for each in known_damage(connection)]
    assert said == [each.said for each in (FIRST, *many)]
    assert ledger.met.all() == ()


def test_a_service_asks_nothing_about_accepted_damage_that_is_met_at_each_read(
    ledger: Ledger, settings: Settings
) -> None:
    meet(ledger, FIRST)
    record_damage(ledger, SOMEBODY)
    settle_known(ledger, SettleDamage(how="accepted", reason="we know"), SOMEBODY)
    watch = DamageWatch(ledger, settings, look_seconds=3600, pause_share=1e9)
    watch.start()
    watch.close()
    with asked(ledger) as quiet:
        watch._look()
    meet(ledger, FIRST)
    with asked(ledger) as told:
        watch._look()
    assert (told, ledger.met.all()) == (quiet, ())
    assert "It was accepted: we know." in str(watch.alarm)
