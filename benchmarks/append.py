"""Durable appends a second, by 1 and by 64 producers, against the disk's own fdatasync rate.

One event an append, each waited for. "Unsynced" is the same with SQLite's syncs turned off, in the
same run: what is left is what our own code and the database cost. "Unguarded" is the same without
the triggers on the ledger's tables (on SQLite unsynced, too): what it costs that whoever may append
may plant nothing.
"""

from __future__ import annotations

import os
import threading
import time
from itertools import count
from pathlib import Path

from app.cause import Cause
from app.clock import new_id
from app.ledger import tables as ledger_tables
from app.ledger.store import Ledger
from benchmarks.cars import prediction
from benchmarks.databases import postgres_ledger, scratch, sqlite_ledger
from benchmarks.report import Figure, fdatasync_per_second, report

SECONDS = 3.0
PRODUCERS = (1, 64)


def main() -> None:
    """Measure both databases and print the report."""
    figures: list[Figure] = []
    with scratch() as directory:
        floor = fdatasync_per_second(directory)
        for name in ("synced", "unsynced", "unguarded"):
            (directory / name).mkdir()
        with sqlite_ledger(directory / "unsynced", synced=False) as ledger:
            unsynced = rates_of(ledger)
        with sqlite_ledger(directory / "unguarded", synced=False) as ledger:
            unguard(ledger)
            unguarded = rates_of(ledger)
        guards = {producers: unsynced[producers] / unguarded[producers] for producers in PRODUCERS}
        with sqlite_ledger(directory / "synced") as ledger:
            figures += measured("sqlite", rates_of(ledger), floor, unsynced, guards)
    with postgres_ledger() as ledger:
        place = Path(str(ledger.engine.url.query.get("host", "."))).parent
        floor, rates = fdatasync_per_second(place), rates_of(ledger)
        unguard(ledger)
        guards = {
            producers: rates[producers] / rate for producers, rate in rates_of(ledger).items()
        }
        figures += measured("postgresql", rates, floor, {}, guards)
    report(
        f"Durable appends of one event (load average {os.getloadavg()[0]:.1f} at the end)", figures
    )


def unguard(ledger: Ledger) -> None:
    """Take away every trigger on the ledger's tables."""
    sqlite = ledger.engine.dialect.name == "sqlite"
    with ledger.engine.begin() as connection:
        if sqlite:
            query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for (name,) in connection.exec_driver_sql(query).all():
                connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        else:
            for table in ledger_tables.METADATA.sorted_tables:
                connection.exec_driver_sql(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")


def rates_of(ledger: Ledger) -> dict[int, float]:
    """Appends a second, by number of producers."""
    return {producers: appends_per_second(ledger, producers) for producers in PRODUCERS}


def measured(
    name: str,
    rates: dict[int, float],
    floor: float,
    unsynced: dict[int, float],
    guards: dict[int, float],
) -> list[Figure]:
    """One line for each number of producers.

    `floor` is the disk's fdatasync calls a second; `guards` the rate as a share of that without
    them.
    """
    return [
        {
            "database": name,
            "producers": producers,
            "appends/s": rate,
            "fdatasync/s": floor,
            "of fdatasync": rate / floor,
            "of one producer": rate / rates[1],
            "of unsynced": rate / unsynced[producers] if unsynced else "-",
            "guarded, of unguarded": guards[producers],
        }
        for producers, rate in rates.items()
    ]


def appends_per_second(ledger: Ledger, producers: int) -> float:
    """How many appends a second are acknowledged to so many threads together."""
    numbers, done = count(), [0] * producers
    end = threading.Event()
    start = threading.Barrier(producers + 1)

    def produce(index: int) -> None:
        start.wait()
        while not end.is_set():
            ledger.append([prediction(next(numbers))], Cause.unauthenticated(new_id()))
            done[index] += 1

    threads = [threading.Thread(target=produce, args=(index,)) for index in range(producers)]
    for thread in threads:
        thread.start()
    start.wait()
    time.sleep(0.5)  # not counted: connections, caches
    before, began = sum(done), time.perf_counter()
    time.sleep(SECONDS)
    rate = (sum(done) - before) / (time.perf_counter() - began)
    end.set()
    for thread in threads:
        thread.join()
    return rate


if __name__ == "__main__":
    main()
