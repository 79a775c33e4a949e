"""What verifying, exporting's reader and signing hold does not grow with the ledger."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.ledger.store import Ledger
from app.proof import signer, verify_bundle
from app.proof.checkpoints import Checkpoints
from app.proof.verify import payload_checks, verification
from app.proof.verify.block_checks import BlockChecks
from app.settings import Settings
from domain.canonical import leaf_hash
from tests.app.many_rows import observations, put_many
from tests.app.proof.forger import change
from tests.app.proof.signed_ledger import Kept, checked, exported, leaves_of, verified
from tests.ledger_events import observation, put, refused
from tests.peak import peak
from tests.told import ToldOnce, retold

FEW = 1000
AT_ONCE = 100
ROWS = 50  # of an entry of many
TILE = 8192  # bytes
# Of four times the entries. A list of 32 bytes for each would come to 1.7.
GROWS_MAX = 1.3


def grow_to(ledger: Ledger, size: int) -> None:
    """Rows of everybody and, a third of them, of persons; some share an entry."""
    while (missing := size - ledger.size()) > 0:
        part = min(missing, 300)
        many = part // 60
        rows = [refused(1 + n % 7) for n in range(part - part // 3 - many)]
        put(ledger, "observations-cars", *rows)
        for _ in range(many):
            put_many(ledger, observations(*range(ROWS), source=f"/{ledger.size()}"))
        people = [observation(f"owner={ledger.size() + n}") for n in range(part // 3)]
        put(ledger, "observations-cars", *people, personal=True)


def collecting(work: Callable[..., Any]) -> Callable[..., Any]:
    """The same, behind a collection at every tenth time: what nobody collected yet is garbage,
    and of tuples that are gone Python keeps two thousand of each length for the next ones."""
    times = count()

    def collected(*arguments: Any) -> Any:
        if tracemalloc.is_tracing() and next(times) % 10 == 0:
            gc.collect()
        return work(*arguments)

    return collected


def of_few(ledger: Ledger, _: Settings) -> None:
    grow_to(ledger, FEW)


@pytest.fixture
def settings(settings: Settings, told_once: ToldOnce) -> Settings:
    """A ledger of few entries stands there."""
    return retold(told_once(of_few, settings), settings)


@pytest.fixture
def checkpoints(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Checkpoints]:
    """Of a ledger of few entries; the pages are short, so that few are many pages."""
    monkeypatch.setattr(verification, "_PAGE_ENTRIES", AT_ONCE)
    monkeypatch.setattr(signer, "_LEAVES_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(payload_checks, "_ROWS", AT_ONCE)
    monkeypatch.setattr(BlockChecks, "_check_block", collecting(BlockChecks._check_block))
    named = payload_checks._named_otherwise
    monkeypatch.setattr(payload_checks, "_named_otherwise", collecting(named))
    made = Checkpoints(ledger, settings)
    yield made
    made.close()


def kept_by(checkpoints: Checkpoints) -> Kept:
    note = checkpoints.sign().note
    return Kept(checkpoints.signer.key, note, leaves_of(checkpoints.signer))


def verify(ledger: Ledger, checkpoints: Checkpoints, note: str) -> None:
    key, memory = checkpoints.signer.key, checkpoints.signer.remembered_leaves()
    found = verification.verify(
        ledger,
        key,
        retained=[note],
        remembered=memory,
        read_models=False,
        progress=collecting(lambda *_: None),
    )
    assert (found.breaks, found.covered) == ((), ledger.size())


def check(ledger: Ledger, bundle: Path, kept: Kept, folder: Path) -> None:
    code, said = checked(bundle, kept, folder)
    assert (code, f"entries      {ledger.size()}" in said) == (0, True), said


def sign_first(ledger: Ledger, checkpoints: Checkpoints) -> None:
    for path in (checkpoints.signer.last_path, checkpoints.signer.leaves_path):
        path.unlink(missing_ok=True)
    assert checkpoints.sign().checkpoint.size == ledger.size()


def test_of_a_verification(ledger: Ledger, checkpoints: Checkpoints) -> None:
    held = []
    for times in (1, 4):
        grow_to(ledger, times * FEW)
        note = checkpoints.sign().note
        held.append(peak(partial(verify, ledger, checkpoints, note)))
    assert held[1] <= GROWS_MAX * held[0]


def test_of_whoever_checks_a_bundle(
    ledger: Ledger, checkpoints: Checkpoints, tmp_path: Path
) -> None:
    held = []
    for times in (1, 4):
        grow_to(ledger, times * FEW)
        kept = kept_by(checkpoints)
        bundle = exported(ledger, kept, tmp_path / f"{times}")
        held.append(peak(partial(check, ledger, bundle, kept, tmp_path)))
    assert held[1] <= GROWS_MAX * held[0]


def test_of_signing_all_of_it_for_the_first_time(ledger: Ledger, checkpoints: Checkpoints) -> None:
    held = []
    for times in (1, 4):
        grow_to(ledger, times * FEW)
        held.append(peak(partial(sign_first, ledger, checkpoints)))
    assert held[1] <= GROWS_MAX * held[0] + 2 * TILE  # the tree's right edge, a tile a level


def test_an_id_is_known_again_many_pages_later(ledger: Ledger, checkpoints: Checkpoints) -> None:
    first, last = ledger.stored_bytes(3, 3)[0], FEW - 2
    again = {
        "content": first,
        "leaf": leaf_hash(first),
        "type": ledger.entry(3).event.type,
        "occurred": ledger.entry(3).occurred_at,
        "recorded": ledger.entry(3).recorded_at,
    }
    change(
        ledger,
        "UPDATE entries SET bytes = :content, leaf_hash = :leaf, type = :type,"
        f" occurred_at = :occurred, recorded_at = :recorded WHERE position = {last}",
        **again,
    )
    found = verified(ledger, Kept(checkpoints.signer.key, "", b""), leaves=False, note=False)
    id = ledger.entry(3).id
    said = f"position {last}: the id: expected one of its own; found {id!r} again."
    assert said in [each.sentence() for each in found.breaks]


def test_the_bundle_verifier_says_that_it_has_no_room(
    ledger: Ledger, checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_by(checkpoints)
    bundle = exported(ledger, kept, tmp_path / "bundle")

    class Full(verify_bundle.Seen):
        def __init__(self) -> None:
            super().__init__()
            self._file.execute("PRAGMA max_page_count = 12")

    monkeypatch.setattr(verify_bundle, "Seen", Full)
    code, said = checked(bundle, kept, tmp_path)
    assert code == 2
    assert said.startswith("CANNOT CHECK: what is kept aside meanwhile has no room: database or")
