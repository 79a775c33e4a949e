"""Replay, verification and proofs of a whole ledger, against a raw scan and against a peer.

A raw scan reads every stored byte and hashes it; nothing can verify faster. The peer is
pyeventsourcing, replaying the same payloads from its own SQLite database; it is installed into an
environment of its own below `.benchmarks/` on first use. BENCH_EVENTS says how many events
(100,000 by default; the figures for a million take some minutes).
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import quantiles

import orjson

from app.cause import Cause
from app.clock import new_id
from app.ledger.reading import read_entries
from app.ledger.store import Ledger, StreamAppend
from app.ledger.tree import StoredTree, read_head
from app.projections.rebuild import rebuild
from app.proof.verify.verification import verify
from benchmarks.cars import prediction
from benchmarks.databases import CACHE, scratch, sqlite_ledger
from benchmarks.report import Figure, report

EVENTS = int(os.environ.get("BENCH_EVENTS", "100000"))
PEER = "eventsourcing==9.5.6"
PEER_EVENTS_MAX = 50_000  # more of them take it minutes, and it is linear
BATCH = 2_000
PROOFS = 500


def main() -> None:
    """Fill a ledger, measure everything on it, print the reports."""
    with scratch() as directory, sqlite_ledger(directory) as ledger:
        fill(ledger, EVENTS)
        size = ledger.size()
        scan = size / seconds_of(lambda: raw_scan(ledger))
        tenth = size // 10
        rates = {
            "raw scan: read and hash every byte": scan,
            "verify: bytes, tree, tiles, stream versions": size
            / seconds_of(lambda: verify(ledger, None, read_models=False)),
            "verify, read models too": size / seconds_of(lambda: verify(ledger, None)),
            "replay into events": size / seconds_of(lambda: decode(ledger, size)),
            "replay into events, a tenth of them": tenth
            / seconds_of(lambda: decode(ledger, tenth)),
            "rebuild of all read models, digests twice": size / seconds_of(lambda: rebuild(ledger)),
        }
        peer = peers_rate(ledger, directory, EVENTS)
        proofs = cold_proofs(ledger)
    rates["pyeventsourcing: replay of the same payloads"] = peer
    figures: list[Figure] = [
        {"what": what, "events/s": rate, "of raw scan": rate / scan, "times peer": rate / peer}
        for what, rate in rates.items()
    ]
    load = f"load average {os.getloadavg()[0]:.1f} at the end"
    report(f"A ledger of {size:,} entries on SQLite ({load})", figures)
    cuts = quantiles(proofs, n=100)
    report(
        f"Cold inclusion proof at {size:,} leaves ({load})",
        [{"proofs": len(proofs), "p50 ms": cuts[49], "p99 ms": cuts[98], "target ms": 1.0}],
    )


def fill(ledger: Ledger, events: int) -> None:
    """Append so many predictions, `BATCH` a transaction."""
    for start in range(0, events, BATCH):
        made = [prediction(number) for number in range(start, min(start + BATCH, events))]
        together = StreamAppend(made[0].stream, tuple(each.events[0] for each in made), None)
        ledger.append([together], Cause.unauthenticated(new_id()))


def raw_scan(ledger: Ledger) -> None:
    """Read every entry's bytes in order and hash them: the floor."""
    with ledger.connect() as connection:
        rows = connection.exec_driver_sql('SELECT bytes FROM entries ORDER BY "position"')
        for (content,) in rows:
            hashlib.sha256(b"\x00" + content).digest()


def decode(ledger: Ledger, entries: int) -> None:
    """Read the first entries back into checked events."""
    after = -1
    with ledger.connect() as connection:
        while after + 1 < entries:
            page = read_entries(connection, after, min(500, entries - after - 1))
            after = page[-1].position


def cold_proofs(ledger: Ledger) -> list[float]:
    """Milliseconds of inclusion proofs at random positions, nothing of the tree in memory."""
    chance = random.Random(0)
    took = []
    with ledger.connect() as connection:
        size = read_head(connection).size
        for _ in range(PROOFS):
            began = time.perf_counter()
            StoredTree(connection, size).inclusion(chance.randrange(size))
            took.append((time.perf_counter() - began) * 1000)
    return took


def peers_rate(ledger: Ledger, directory: Path, events: int) -> float:
    """Events a second that the peer replays of the same payloads: of so many, or the most."""
    python = environment() / "bin" / "python"
    count = min(events, PEER_EVENTS_MAX)
    contents = islice(ledger.stored_bytes(1, count), count)
    payloads = b"\n".join(orjson.dumps(orjson.loads(each)["data"]) for each in contents)
    program = Path(__file__).with_name("eventsourcing_replay.py")
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        done = subprocess.run(
            [python, program, folder], input=payloads + b"\n", capture_output=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"the peer failed: {done.stderr.decode()[-2000:]}")
    return float(done.stdout)


def environment() -> Path:
    """The peer's own environment, made on first use."""
    folder = CACHE / "eventsourcing"
    ready = folder / ".ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", PEER]
        subprocess.run(install, check=True, stdout=sys.stderr)
        ready.touch()
    return folder


def seconds_of(work: Callable[[], object]) -> float:
    """How long one run takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
