"""Who may look into what we write, and what we say when we may not write: by chance, in rounds.

Whatever the umask of who starts us and however wide what stood there, nothing of the state is
ever open to others. Whatever right is taken, each command says so in one line and each route with
503, and both go on once it is back. `make test` tries each once, `make soak` in many rounds.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx2
import pytest

from app.settings import Settings
from tests.app.cli.command_line import environment, whyledger, whyledger_by_itself
from tests.app.database.test_private_files import open_to_others
from tests.app.http.routes.running import AMC, CAR_PRICE, STRICT_AND, running
from tests.app.plain_rights import plain_rights
from tests.app.watched_files import WatchedFiles
from tests.patience import HANGS_SECONDS, until
from tests.repository import REPOSITORY
from tests.soak.service import NOBODY, cars, send
from tests.soak.tables import Show
from tests.told import copied

SEED = 9
UMASKS_SHORT, UMASKS_LONG = (0o000,), (0o000, 0o022, 0o077, 0o777)
CONTRACT = REPOSITORY / "data" / "contracts" / "car-price.yaml"
POLICY = REPOSITORY / "rules" / "policies" / "strict-and.yaml"
CARS = REPOSITORY / "data" / "us_cars_1971_1990.csv"
FOLDERS = ("keys", "locks", "logs", "merged", "mlartifacts", "quarantine", "registry")
YAML, CSV = {"Content-Type": "application/yaml"}, {"Content-Type": "text/csv"}
ROW = AMC | {"price": 4.9}
UPLOAD = "\n".join([",".join(ROW), ",".join(map(str, ROW.values())), "no,car", ""])

COMMANDS: tuple[tuple[object, ...], ...] = (
    ("adopt", CONTRACT),
    ("import", "car-price", CARS),
    ("decisions",),
    ("changes",),
    ("state",),
    ("export", "--format", "jsonl"),
    ("verify",),
    ("repair", "--plan"),
    ("replay",),
    ("rollback", "car-price", "--to", "car-price/1", "--reason", "complaints"),
    ("cycle", "--model", "car-price"),
)
PLACES = ("", "keys", "locks", "logs", "merged", "quarantine", "mlartifacts", "ledger.db")
WAYS = {"may only be read": 0o500, "is closed": 0o000, "is another user's": 0o700}
HINDERED = ("cannot be used", "cannot be reached", "cannot write", "cannot be read")
LOSSES_SHORT, LOSSES_LONG = 1, 44  # a place, a way and a command each
ROUTE_LOSSES_LONG = 16


@contextmanager
def serving(state: Path, more: Mapping[str, str], umask: int) -> Iterator[httpx2.Client]:
    """`whyledger serve` on this state, as somebody with this umask starts it."""
    words = [sys.executable, "-m", "app.cli.main", "serve", "--port", "0", "--json"]
    with subprocess.Popen(
        words,
        cwd=REPOSITORY,
        env={**environment(state), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        umask=umask,
    ) as process:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "it did not start"
            told += line
        address = json.loads(told)["address"]
        with httpx2.Client(base_url=address, timeout=HANGS_SECONDS, verify=NOBODY) as client:
            yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(HANGS_SECONDS) == 0


def ran(state: Path, *words: object, umask: int, **more: str) -> subprocess.CompletedProcess[str]:
    """A command of ours in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", *map(str, words)],
        cwd=REPOSITORY,
        env=environment(state) | more,
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
    )


def asked(client: httpx2.Client) -> dict[str, httpx2.Response]:
    """Answers of routes that write, and of some that read."""
    answers = {
        "contract": client.post("/contracts", content=CAR_PRICE, headers=YAML),
        "policy": client.post("/policies", content=STRICT_AND, headers=YAML),
        "observe": send(client, cars(0, 10)),
        "upload": client.post("/models/car-price/datasets", content=UPLOAD, headers=CSV),
        "predict": client.post("/predictions", json={"model": "car-price", "row": AMC}),
    }
    for path in ("/ledger/checkpoint?new=true", "/audit/export?format=jsonl", "/", "/models"):
        answers[path] = client.get(path)
    return answers


def made_wider(state: Path, random: Random) -> int:
    """Files and directories of the state are opened to others, as a restored back-up may be."""
    chosen = [path for path in (state, *state.rglob("*")) if "signing" not in path.name]
    chosen = [path for path in chosen if random.random() < 0.5 and not path.is_symlink()]
    for path in chosen:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return len(chosen)


def test_nothing_of_the_state_is_ever_open_to_others(
    tmp_path: Path, soaking: bool, show: Show
) -> None:
    random = Random(SEED)
    lines = ["| umask | files and directories | made wider, narrowed at the start |"]
    lines.append("| --- | --: | --: |")
    for umask in UMASKS_LONG if soaking else UMASKS_SHORT:
        folder = tmp_path / f"{umask:o}"
        state, watcher = folder / "state", folder / "watcher"
        watcher.mkdir(parents=True)
        watched = WatchedFiles(state, watcher, folder / "anchors")
        state.mkdir()
        for name in FOLDERS:
            if random.random() < 0.5:
                (state / name).mkdir()
                (state / name / "left").touch()
        wider = made_wider(state, random)
        anchor = {"WHYLEDGER_ANCHOR_FILE": str(folder / "anchors" / "notes")}
        (folder / "anchors").mkdir()
        more = watched.environment | anchor
        if soaking:  # what trains and merges writes with MLflow and DVC
            for words in (
                ("adopt", POLICY),
                ("adopt", CONTRACT),
                ("import", "car-price", CARS),
                ("cycle", "--model", "car-price", "--as-of", "1976-01-01T00:00:00.000000Z"),
                ("export", "--bundle", folder / "anchors" / "bundle"),
            ):
                done = ran(state, *words, umask=umask, **more)
                assert done.returncode == 0, (words, done.stderr)
        with serving(state, more, umask) as client:
            for path, answer in asked(client).items():
                assert answer.status_code < 500 or path == "predict", (path, answer.text)
            assert open_to_others(state) == []
            if soaking:
                wider += made_wider(state, random)  # while it runs
                asked(client)
        if soaking:
            with serving(state, more, umask):
                assert open_to_others(state) == [], "narrowed at the next start"
        assert watched.open_to_others() == []
        ours = [path for path in open_to_others(folder / "anchors") if "anchors " not in path]
        assert ours == []
        assert any((state / "quarantine").glob("*.jsonl"))
        if soaking:
            assert any((state / "merged").rglob("*.dvc"))
            assert watched.by_dvc(), "it is told apart from what is ours"
            assert any((state / "mlartifacts").rglob("*"))
        lines.append(f"| {umask:03o} | {sum(1 for _ in state.rglob('*'))} | {wider} |")
    show("umasks", "\n".join(lines))


@contextmanager
def lost(path: Path, way: str) -> Iterator[None]:
    """This right to this place is taken, and given back."""
    before = path.stat()
    theirs = way == "is another user's" and os.geteuid() == 0
    if theirs:
        os.chown(path, 65534, 65534)
    path.chmod(WAYS[way] & ~(0o100 if path.is_file() else 0))
    try:
        yield
    finally:
        path.chmod(before.st_mode & 0o777)
        if theirs:
            os.chown(path, before.st_uid, before.st_gid)


def without_rights(state: Path, words: Sequence[object]) -> subprocess.CompletedProcess[str]:
    """A command of somebody for whom modes count."""
    run = whyledger_by_itself if words[0] == "cycle" else whyledger  # it may leave a worker behind
    with plain_rights():
        return run(state, *words)


def without_trace(done: subprocess.CompletedProcess[str]) -> bool:
    return "Traceback" not in done.stderr and "please report it" not in done.stderr


@pytest.fixture
def state(tmp_path: Path, request: pytest.FixtureRequest, soaking: bool) -> Path:
    """A state with a contract; in the long form one with a champion."""
    state = tmp_path / "state"
    if soaking:
        copied(request.getfixturevalue("bootstrapped_state"), state)
    for name in FOLDERS:
        (state / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    if not soaking:
        shutil.copy(request.getfixturevalue("sqlite_template"), state / "ledger.db")
    state.chmod(0o700)
    return state


def test_a_command_that_may_not_says_so_in_one_line_and_does_it_once_it_may(
    state: Path, soaking: bool, show: Show
) -> None:
    random = Random(SEED)
    tried: Counter[tuple[str, str]] = Counter()
    faults = []
    commands = list(COMMANDS)
    for number in range(LOSSES_LONG if soaking else LOSSES_SHORT):
        words = commands[number % len(commands)]
        place, way = random.choice(PLACES), random.choice(list(WAYS))
        if number == 0:
            place, way = "ledger.db", "may only be read"
        with lost(state / place, way):
            done = without_rights(state, words)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        said = f"{words[0]}, where {place or 'the state'} {way}"
        if not without_trace(done) or (done.returncode != 0) != (len(errors) == 1):
            faults.append((said, done.returncode, done.stderr[-500:]))
        tried[str(words[0]), "refused" if errors else "done"] += 1
        again = without_rights(state, words)
        if not without_trace(again) or any(words in again.stderr for words in HINDERED):
            faults.append((f"{said}, and back", again.returncode, again.stderr[-500:]))
    lines = ["| command | one line | not hindered |", "| --- | --: | --: |"]
    for name in sorted({name for name, _ in tried}):
        lines.append(f"| {name} | {tried[name, 'refused']} | {tried[name, 'done']} |")
    show("rights, commands", "\n".join(lines))
    assert faults == [], f"seed {SEED}"


def test_a_route_that_may_not_answers_503_and_goes_on_once_it_may(
    state: Path, soaking: bool, show: Show
) -> None:
    random = Random(SEED)
    tried: Counter[tuple[str, str]] = Counter()
    faults = []
    losses = [("quarantine", "may only be read"), ("", "is closed")]
    if soaking:
        losses += [
            (random.choice(PLACES), random.choice(list(WAYS))) for _ in range(ROUTE_LOSSES_LONG)
        ]
    with plain_rights(), running(Settings(state_dir=state)) as client:
        asked(client)
        before = {path: answer.status_code for path, answer in asked(client).items()}
        for place, way in losses:
            with lost(state / place, way):
                for path, answer in asked(client).items():
                    refused = answer.status_code == 503 and path != "predict"
                    later = "Retry-After" in answer.headers or not refused
                    tried[path, "503" if refused else "answered"] += 1
                    if not later or answer.status_code not in (before[path], 503):
                        faults.append((path, place, way, answer.status_code, answer.text[:300]))
            until(lambda: client.get("/readyz").status_code == 200)
            after = {path: answer.status_code for path, answer in asked(client).items()}
            if after != before:
                faults.append(("afterwards", place, way, 0, f"{after}, and {before} before"))
    lines = ["| route | 503 | not hindered |", "| --- | --: | --: |"]
    for name in sorted({name for name, _ in tried}):
        lines.append(f"| {name} | {tried[name, '503']} | {tried[name, 'answered']} |")
    show("rights, routes", "\n".join(lines))
    assert faults == [], f"seed {SEED}"
    assert tried["upload", "503"] > 0
