"""kill -9 under load, again and again: what was acknowledged is there once, the rest is whole."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.ledger.store import Ledger
from app.projections.rebuild import rebuild
from app.proof.checkpoints import Checkpoints
from app.proof.verify.verification import verify
from app.settings import Settings
from tests.forked import FORKING, Forked
from tests.ledger_events import put, refused
from tests.patience import HANGS_SECONDS, until
from tests.soak.load import append_without_end
from tests.soak.progress import counted
from tests.soak.watching import Watch

ROUNDS_SHORT = 4
ROUNDS_LONG = {"sqlite": 200, "postgresql": 50}
ACKNOWLEDGED = 50, 500  # at least so many, and at most, by the one that is then killed


class Loader:
    """One process that runs `append_without_end`."""

    def __init__(self, settings: Settings, notes: Path, seed: int) -> None:
        self.notes = notes
        self._its, theirs = FORKING.Pipe()
        environment = os.environ | settings.as_environment()
        self._process = Forked(append_without_end, (notes, seed, theirs), environment)
        theirs.close()

    def go(self) -> None:
        """Begin to load, once the ledger is open."""
        assert self._its.poll(HANGS_SECONDS)
        assert self._its.recv() == "ready"
        self._its.send("go")

    def kill(self) -> dict[str, int]:
        """kill -9; event id -> position of what had been acknowledged."""
        self._process.kill()
        self._process.wait()
        self._its.close()
        lines = self._noted()
        return {id: int(position) for id, _, position in (line.partition(" ") for line in lines)}

    def bear(self, events: int) -> None:
        """Let it load until so many events are acknowledged."""
        until(lambda: len(self._noted()) >= events)

    def _noted(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []


@contextmanager
def loader(settings: Settings, folder: Path, number: int) -> Iterator[Loader]:
    made = Loader(settings, folder / f"acknowledged-{number}", number)
    try:
        yield made
    finally:
        made.kill()


def assert_verified(ledger: Ledger, settings: Settings, size: int) -> None:
    """Nothing is broken, and the checkpoint of this moment covers every entry."""
    checkpoints = Checkpoints(ledger, settings)
    note = checkpoints.sign().note
    found = verify(ledger, checkpoints.signer.key, retained=[note])
    checkpoints.close()
    assert (found.breaks, found.covered, found.entries) == ((), size, size)


def test_whatever_is_killed_what_was_acknowledged_is_there_once(
    ledger: Ledger, settings: Settings, tmp_path: Path, soaking: bool, kills_asked: int | None
) -> None:
    chance = random.Random(20)
    watch = Watch(ledger)
    rounds = ROUNDS_LONG[ledger.engine.dialect.name] if soaking else ROUNDS_SHORT
    rounds = kills_asked or rounds
    acknowledged = 0
    with ExitStack() as stack:
        coming = stack.enter_context(loader(settings, tmp_path, 0))
        for earlier in counted(rounds, "kills"):
            number = earlier + 1
            current = coming
            current.go()
            if number < rounds:  # the next one opens the ledger while this one is killed
                coming = stack.enter_context(loader(settings, tmp_path, number))
            current.bear(chance.randint(*ACKNOWLEDGED))
            said = current.kill()
            watch.look()
            watch.assert_kept(said)
            acknowledged += len(said)
    both = {"predictions-cars", "observations-cars"}
    assert all(streams in ({"ledger"}, both) for streams in watch.streams.values())
    assert acknowledged < watch.size
    assert put(ledger, "observations-cars", refused())[0].position == watch.size
    watch.look()
    assert rebuild(ledger, page_entries=5000).differing == ()
    assert_verified(ledger, settings, watch.size)
    said_so = f"{rounds} kills, {acknowledged} acknowledged, {watch.size} entries, none lost"
    sys.stdout.write(f"\n{said_so}\n")
