"""Bundles changed by chance: each is refused with one line, or is accepted and says what it did.

They are checked in a process of its own that has little memory, whose every file opened for
writing is noticed, and whose calls are counted: no bundle takes more of them than a true one does
by much. `make test` tries a few dozen, `make soak` thousands.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.proof import verify_bundle
from app.settings import Settings
from tests.app.proof.bundle_mutator import Mutator
from tests.app.proof.signed_ledger import Kept, exported, fill, fill_further
from tests.soak.tables import Show
from tests.told import ToldOnce

SHORT, LONG = 60, 5000
SEED = 9
WORK_MAX = 2.0  # calls, as a multiple of those that the true bundle takes
WORDS_MAX = 2000  # characters of what it says when it refuses
PROGRAM = """
import io, json, os, resource, sys
sys.path.insert(0, sys.argv[1])
import verify_bundle
verify_bundle.read_key(sys.argv[2])
import cryptography.hazmat.primitives.asymmetric.ed25519, traceback, zipfile
written = []
def look(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (
        os.O_WRONLY | os.O_RDWR | os.O_CREAT
    ) or event in ("os.mkdir", "os.rename", "os.remove", "os.link", "os.symlink", "os.truncate"):
        written.append([event, repr(arguments)])
sys.addaudithook(look)
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (160 << 20),) * 2)
calls = 0
def count(frame, event, argument):
    global calls
    calls += 1
for line in sys.stdin:
    calls, sys.stdout = 0, io.StringIO()
    sys.setprofile(count)
    try:
        code = verify_bundle.main([line[:-1], "--key", *sys.argv[2:]])
    except BaseException:
        code = traceback.format_exc()
    sys.setprofile(None)
    said, sys.stdout = sys.stdout.getvalue(), sys.__stdout__
    print(json.dumps([code, said, calls, written]), flush=True)
    written.clear()
"""


def signed(ledger: Ledger, settings: Settings) -> Kept:
    fill(ledger, settings)
    return fill_further(ledger, settings)


@pytest.fixture
def kept(told_once: ToldOnce) -> Kept:
    kept: Kept = told_once(signed, Settings()).gives
    return kept


@pytest.fixture
def true_bundle(told_once: ToldOnce, kept: Kept, tmp_path: Path) -> Path:
    ledger = open_ledger(told_once(signed, Settings()).settings)
    bundle = exported(ledger, kept, tmp_path / "true")
    ledger.close()
    return bundle


class Checking:
    """The verifier, alone in a process of its own, one bundle after another."""

    def __init__(self, kept: Kept, folder: Path) -> None:
        alone, self._room = folder / "alone", folder / "room"
        alone.mkdir()
        self._room.mkdir()
        (alone / "verify_bundle.py").write_bytes(Path(verify_bundle.__file__).read_bytes())
        (alone / "kept.note").write_text(kept.note)
        words = [str(alone), str(kept.key), "--checkpoint", str(alone / "kept.note")]
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-c", PROGRAM, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._room,
        )

    def check(self, bundle: Path) -> tuple[Any, str, int, list[Any]]:
        """Exit code or trace, words, calls, and what it wrote."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{bundle}\n")
        self._process.stdin.flush()
        code, said, calls, written = json.loads(self._process.stdout.readline())
        return code, said, calls, written + [str(path) for path in self._room.iterdir()]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait() == 0


@pytest.fixture
def checking(kept: Kept, tmp_path: Path) -> Iterator[Checking]:
    made = Checking(kept, tmp_path)
    yield made
    made.close()


def test_every_mutated_bundle_is_refused_or_holds_what_was_signed(
    true_bundle: Path, checking: Checking, tmp_path: Path, soaking: bool, show: Show
) -> None:
    random = Random(SEED)
    (tmp_path / "mutated").mkdir()
    mutator = Mutator(true_bundle, tmp_path / "mutated", random)
    true = contents(true_bundle)
    code, said, work, written = checking.check(true_bundle)
    assert (code, written) == (0, []), said

    outcomes: Counter[tuple[str, str]] = Counter()
    faults: list[tuple[int, str, str, str]] = []
    for number in range(LONG if soaking else SHORT):
        kind, made = mutator.mutate()
        code, said, calls, written = checking.check(made)
        fault = fault_of(code, said, true, made)
        if calls > WORK_MAX * work:
            fault = f"{calls} calls; the true one takes {work}"
        if written:
            fault = f"it wrote {written}"
        if fault:
            faults.append((number, kind, fault, said[-300:]))
        outcomes[
            kind.partition(",")[0], {0: "clean", 1: "broken", 2: "cannot check"}.get(code, "fault")
        ] += 1
    show("bundles", table(outcomes))
    assert faults == [], f"seed {SEED}"


def fault_of(code: object, said: str, true: Mapping[str, bytes], made: Path) -> str:
    """What is wrong with how it ended; empty when nothing is."""
    if code in (1, 2):
        begins = ("BROKEN: ", "CANNOT CHECK: ")[code == 2]
        lines = said.splitlines()
        if len(lines) != 1 or not lines[0].startswith(begins) or len(said) > WORDS_MAX:
            return f"{len(lines)} lines, {len(said)} characters"
        return ""
    return strange(true, contents(made), said) if code == 0 else str(code)


def strange(true: Mapping[str, bytes], made: Mapping[str, bytes], said: str) -> str:
    """What differs in a bundle that was accepted, and was not said; empty when nothing does."""
    for name in sorted(true.keys() | made.keys()):
        one, other = true.get(name), made.get(name)
        if one == other or name in verify_bundle.UNSIGNED:  # always said
            continue
        if one is None and name.startswith("artefacts/") and "unnamed" in said:
            continue
        if one is None or other is None:
            return f"{name} is {'more' if one is None else 'missing'}"
        if name not in SAME or not SAME[name](one, other):
            return f"{name} differs"
    return ""


def same_trailer(one: bytes, other: bytes) -> bool:
    """Whether it says the same of what is signed."""
    said, true = json.loads(one), json.loads(other)
    return all(said[field] == true[field] for field in ("format", "entries", "root"))


def signed_in(checkpoints: bytes) -> set[str]:
    """What is signed in them; lines may be fewer, or stand twice, and a signature said again."""
    return {json.loads(line)["note"].rpartition("\n\n")[0] for line in checkpoints.splitlines()}


# Where other bytes may say the same.
SAME: Final[Mapping[str, Callable[[bytes, bytes], bool]]] = {
    "trailer.json": same_trailer,
    "checkpoints.jsonl": lambda one, other: signed_in(one) >= signed_in(other),
    "payloads.jsonl": lambda one, other: sorted(one.splitlines()) == sorted(other.splitlines()),
}


def contents(bundle: Path) -> dict[str, bytes]:
    """Every file of it."""
    if bundle.is_dir():
        files = (path for path in bundle.rglob("*") if path.is_file())
        return {path.relative_to(bundle).as_posix(): path.read_bytes() for path in files}
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def table(outcomes: Counter[tuple[str, str]]) -> str:
    """By kind: tried, broken, cannot check, clean."""
    lines = ["| what was done | tried | broken | cannot check | clean, and it is |"]
    lines.append("| --- | --: | --: | --: | --: |")
    for kind in sorted({kind for kind, _ in outcomes}):
        each = [
            outcomes[kind.partition(",")[0], how] for how in ("broken", "cannot check", "clean")
        ]
        tried = sum(number for (what, _), number in outcomes.items() if what == kind)
        lines.append(f"| {kind} | {tried} | {each[0]} | {each[1]} | {each[2]} |")
    return "\n".join(lines)
