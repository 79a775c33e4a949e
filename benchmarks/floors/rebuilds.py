"""A rebuild of all read models: its parts, other designs of it, and what none does without."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from os import environ
from pathlib import Path
from statistics import median
from typing import Final, cast

import orjson

from app.database.engine import fetch, insert_rows
from app.ledger.past import Past
from app.ledger.reading import dense_pages, head
from app.ledger.store import Ledger
from app.projections.folding import PAGE_ENTRIES, digests, fold, scratch
from app.projections.label_days import LABEL_DAYS
from app.projections.labels import LABELS, told_labels
from app.projections.predictions import PREDICTIONS, predictions_in
from app.projections.read_model import ReadModel, tables_of
from app.projections.rebuild import rebuild
from app.projections.rows import ROWS
from app.projections.runner import READ_MODELS
from app.projections.zones import add_to_zones
from app.settings import Settings
from benchmarks.growth.extent import Extent
from benchmarks.replay import peers_rate
from benchmarks.report import Figure
from benchmarks.servers import ROOT
from domain.events.block_events import ObservationsRecorded
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade
from domain.events.quick import entry_quickly
from domain.identities import row_digest

_REST: Final = [each for each in READ_MODELS if each is not ROWS]
_PARTS: Final = {"rows": [ROWS], "rest": _REST}
_READ: Final = "of which entries read and checked"
_DIGESTS: Final = "of which digests of both"
_INSERTED: Final = "what stands in the end, inserted in key order"
_FLOOR: Final = "floor: read and checked, inserted in key order, digests of both"


def rebuilds(ledger: Ledger, settings: Settings, directory: Path, extent: Extent) -> list[Figure]:
    """Microseconds an entry, and how many times the peer's rate that is."""
    entries, peers = ledger.size(), 2 * extent.peers
    before = [peers_rate(ledger, directory, entries) for _ in range(peers // 2)]
    found = {
        "as it is: page by page, digests of both": _seconds(lambda: rebuild(ledger)),
        _READ: _seconds(lambda: _read(ledger)),
        _DIGESTS: 2 * _seconds(lambda: _digests(ledger)),
        "in two processes: rows, and the rest": _seconds(lambda: _side_by_side(settings)),
        "rows gathered in memory, inserted once in key order": _seconds(lambda: _gathered(ledger)),
        "bytes hashed and decoded, nothing compared": _seconds(lambda: _decoded(ledger)),
        _INSERTED: _inserted_again(ledger),
    }
    found[_FLOOR] = found[_READ] + found[_DIGESTS] + found[_INSERTED]
    after = [peers_rate(ledger, directory, entries) for _ in range(peers // 2)]
    rate = median([*before, *after]) if peers else 0.0
    if rate:
        found["pyeventsourcing, the same payloads"] = entries / rate
    return [
        {
            "design": name,
            "µs an entry": seconds / entries * 1e6,
            "times pyeventsourcing": entries / seconds / rate if rate else "–",
        }
        for name, seconds in found.items()
    ]


def _seconds(work: Callable[[], object]) -> float:
    """The less of two."""
    took = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def _pages(ledger: Ledger) -> Iterator[tuple[Past, list[Recorded]]]:
    with ledger.connect() as connection:
        for page in dense_pages(connection, -1, head(connection), PAGE_ENTRIES):
            yield Past(connection), page


def _read(ledger: Ledger) -> None:
    for _ in _pages(ledger):
        pass


def _digests(ledger: Ledger) -> None:
    with ledger.connect(with_rows=True) as connection:
        digests(connection, READ_MODELS)


def _side_by_side(settings: Settings) -> None:
    """Each reads the whole ledger, and folds its part."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.floors.rebuilds", part],
            cwd=ROOT,
            env={**environ, **settings.as_environment()},
        )
        for part in _PARTS
    ]
    if any(each.wait() for each in running):
        raise RuntimeError("a part of the rebuild failed")


def _gathered(ledger: Ledger) -> None:
    """Nothing is looked up while rows are read; days are counted at the end, in memory.

    For entries of one row, none of them erased and none labelled twice, as in this ledger.
    """
    predicted: list[tuple[bytes, str, int, int]] = []
    labels: list[tuple[object, ...]] = []
    named: dict[str, tuple[int, str, str]] = {}  # id -> place, identity, event time
    days: Counter[tuple[str, str, str]] = Counter()
    day_of: dict[bytes, tuple[str, str, str]] = {}
    late: Counter[tuple[str, str, str]] = Counter()
    with scratch(READ_MODELS) as beside:
        for past, page in _pages(ledger):
            fold(_REST, beside, past, page)
            made = list(
                predictions_in(each for each in page if isinstance(each.event, PredictionMade))
            )
            add_to_zones(beside, made)
            for some in made:
                predicted += some.stored()
                for digest, date in zip(some.digests, some.days, strict=True):
                    day_of[digest] = (some.model, some.model_version, date)
            labels += _told(past, page, named)
        days.update(day_of.values())
        late.update(day_of.values())
        for row in labels:
            day = day_of.get(cast(bytes, row[2]))
            if day is not None:
                late[day] -= 1
        insert_rows(beside, PREDICTIONS, sorted(predicted))
        insert_rows(beside, LABELS, sorted(labels, key=itemgetter(0)))
        insert_rows(beside, LABEL_DAYS, [(*key, rows, late[key]) for key, rows in days.items()])
        after = digests(beside, READ_MODELS)
    with ledger.connect(with_rows=True) as connection:
        stands = digests(connection, READ_MODELS)
    if differing := [name for name, digest in after.items() if stands[name] != digest]:
        raise RuntimeError(f"what was gathered is not what stands in {', '.join(differing)}")


def _told(
    past: Past, page: Sequence[Recorded], named: dict[str, tuple[int, str, str]]
) -> Iterator[tuple[object, ...]]:
    for each in page:
        event = each.event
        if isinstance(event, PredictionMade):
            named[each.id] = (each.place, event.identity, each.occurred_at)
        elif isinstance(event, OutcomeRecorded):
            place, identity, at = named[event.prediction_id]
            digest = row_digest(event.model, identity)
            yield each.place, event.model, digest, identity, at, event.label, place
        elif isinstance(event, ObservationRecorded | ObservationsRecorded):
            yield from told_labels(past, [each])


def _decoded(ledger: Ledger) -> None:
    """Every entry's bytes read by the driver, hashed, and decoded; nothing is compared."""
    with ledger.connect() as connection:
        for start in range(0, head(connection) + 1, PAGE_ENTRIES):
            asked = 'SELECT bytes FROM entries WHERE "position" BETWEEN ? AND ?'
            for (content,) in fetch(connection, asked, (start, start + PAGE_ENTRIES - 1)):
                hashlib.sha256(content).digest()
                if entry_quickly(content) is None:
                    orjson.loads(content)


def _inserted_again(ledger: Ledger) -> float:
    """Seconds that all rows of all read models take, in the order of their keys."""
    with ledger.connect(with_rows=True) as connection, scratch(READ_MODELS) as beside:
        held = {
            table: [
                tuple(row)
                for row in connection.execute(table.select().order_by(*table.primary_key.columns))
            ]
            for table in tables_of(READ_MODELS)
        }
        began = time.perf_counter()
        for table, rows in held.items():
            insert_rows(beside, table, rows)
        return time.perf_counter() - began


def _part(read_models: Sequence[ReadModel]) -> None:
    from app.projections.opening import open_ledger  # noqa: PLC0415 - the program's alone

    ledger = open_ledger(Settings())
    try:
        rebuild(ledger, read_models=read_models)
    finally:
        ledger.close()


if __name__ == "__main__":
    _part(_PARTS[sys.argv[1]])
