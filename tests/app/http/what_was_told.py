"""What a ledger says at all its doors, but for what must differ between two of the same story."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from app.proof.leaf_memory import NO_LEAVES
from app.proof.verify.verification import verify
from domain.canonical import canonical_bytes
from domain.events.cloud_event import cloud_event
from domain.events.expansion import expanded
from tests.app.cli.command_line import whyledger
from tests.app.golden_story import placed
from tests.app.http.routes.running import pages, process_behind
from tests.app.http.tellers import BASE, MODEL, Teller
from tests.app.projections.test_many_rows import read_models
from tests.app.proof.signed_ledger import Kept, checked
from tests.app.proof.test_receipts import check

# Ids of others than rows, positions, and what the machine's clock said.
OF_ITS_OWN: Final = {
    "at", "counted_until", "days_since_evaluation", "ended_position", "id", "label_cutoff",
    "position", "registry_run", "request_id", "since", "started_position",
}  # fmt: skip
ASKED: Final = (
    "/models",
    f"/models/{MODEL}/health",
    f"/models/{MODEL}/cycles",
    "/audit/decisions",
    "/audit/changes",
)
# The story is told of years long gone, so a later time is one at which it was told.
_CLOCK: Final = re.compile(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+Z?)?")
_UUID: Final = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# Positions, sizes and ids as pages show them.
_IN_PAGES: Final = re.compile(
    r"\b[0-9]+ entries|\b(?:position|entry|checkpoint) [0-9]+|cursor=[0-9]+|[0-9a-f]{8}…[0-9a-f]{4}"
    r"|<span>[0-9]+</span> ledger entries|class=\"big\">[0-9]+<"
)
_CHECKPOINT: Final = "/ledger/checkpoint?new=true"
_FILE: Final = f"/models/{MODEL}/datasets/"
_TALLIES: Final = ("rows-refused", "dataset-received")  # of a request, however many rows it has


def told(teller: Teller) -> dict[str, Any]:
    """What came of it: in read models and windows, as events, in figures, and in exports."""
    events = events_of(teller)
    asked = {url: _answer(teller, url).json() for url in ASKED}
    exports = {kind: _export(teller, kind) for kind in _EXPORTS}
    said = {
        "read models": read_models(process_behind(teller.client).ledger, MODEL),
        "events": [_said(each) for each in events if not _is_tally(each)],
        "refused": _refused(events),
        "uploads": dict(teller.uploads),
        "answered": teller.answered,
        **asked,
        "page": _answer(teller, "/").text.splitlines(),
        **{kind: read(exports[kind]) for kind, read in _EXPORTS.items()},
    }
    numbers = {id: f"prediction {number}" for number, (id, _) in enumerate(teller.predicted)}
    return {what: _common(each, numbers) for what, each in said.items()}


def events_of(teller: Teller) -> list[dict[str, Any]]:
    """Every row that there is, page by page, some of which end inside an entry."""
    return [each for page in pages(teller.client, "/events?limit=100") for each in page]


def unlike(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Where the two differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from unlike(one[name], other[name], f"{where}/{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for at, (each, its) in enumerate(zip(one, other, strict=True)):
            yield from unlike(each, its, f"{where}/{at}")
    elif one != other:
        yield f"{where}: {one!r:.300} and not {other!r:.300}"


def taken_home(teller: Teller, folder: Path) -> dict[str, list[str]]:
    """The names of what the bundle holds beside rows, once it is found whole by whoever has it.

    Its rows are those of `GET /events`, each of them, and the ledger it is of is whole itself.
    """
    process, note = process_behind(teller.client), _answer(teller, _CHECKPOINT).text
    kept = Kept(process.checkpoints.signer.key, note, b"")
    found = verify(process.ledger, kept.key, retained=[note], remembered=NO_LEAVES)
    assert found.whole, found.breaks
    bundle = folder / f"bundle-{teller.together}"
    _typed(teller, "export", "--bundle", bundle)
    code, words = checked(bundle, kept, folder, ["note"])
    assert code == 0, words
    assert rows_in(bundle, process.ledger_id) == events_of(teller)
    named = ("artefacts", "contracts", "policies")
    return {name: sorted(path.name for path in (bundle / name).iterdir()) for name in named}


def rows_in(bundle: Path, ledger_id: str) -> list[dict[str, Any]]:
    """All that stands in a bundle's files, as whoever reads the ledger is given it."""
    entries, payloads, rows = (
        path.read_bytes().splitlines() if path.exists() else []
        for path in (bundle / f"{name}.jsonl" for name in ("events", "payloads", "rows"))
    )
    lines = [canonical_bytes(json.loads(line)["envelope"]) for line in entries]
    return [cloud_event(each, ledger_id) for each in expanded(placed(lines, payloads, rows))]


def receipts_hold(teller: Teller, newest: int) -> int:
    """Each of the newest rows that shares an entry and is there is proven by a receipt of its own.

    How many do. No receipt shows another row.
    """
    key, among = process_behind(teller.client).checkpoints.signer.key, 0
    _answer(teller, _CHECKPOINT)
    for event in events_of(teller)[-newest:]:
        position, _, row = event["sequence"].partition(".")
        if row and not event.get("erased"):
            url = f"/ledger/events/{position}/rows/{int(row)}?receipt=true"
            check(_answer(teller, url).json()["receipt"], key)
            among += 1
    return among


def _answer(teller: Teller, url: str) -> Any:
    answer = teller.client.get(url)
    assert answer.status_code == 200, answer.text
    return answer


def _typed(teller: Teller, *words: object) -> str:
    """What the command says, typed beside the service that runs."""
    settings = teller.settings
    done = whyledger(settings.state_dir, *words, WHYLEDGER_DATABASE_URL=settings.ledger_url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _export(teller: Teller, kind: str) -> str:
    """The same from the command line as from the service."""
    text: str = _answer(teller, f"/audit/export?format={kind}").text
    assert _typed(teller, "export", "--format", kind).splitlines() == text.splitlines()
    return text


def _is_tally(event: dict[str, Any]) -> bool:
    return str(event["type"]).rpartition(".")[0].endswith(_TALLIES)


def _refused(events: list[dict[str, Any]]) -> Counter[str]:
    """Of all requests together: how many rows were refused, and for what."""
    found: Counter[str] = Counter()
    for event in events:
        if "rows-refused" in event["type"]:
            found.update({"rows": event["data"]["rows"]} | event["data"]["reasons"])
    return found


def _said(event: dict[str, Any]) -> tuple[Any, ...]:
    """What an event says of itself; of an erased one how it is told from others.

    When that happened is gone with its line, where it shared an entry.
    """
    erased = event.get("erased", False)
    time = None if erased else event["time"]
    return (event["type"], event["subject"], event["actor"], time, event.get("data"), erased)


def _common(value: Any, numbers: dict[str, str]) -> Any:
    """The same with what must differ left out or named alike, prediction ids by their number."""
    if isinstance(value, dict):
        said = {name: each for name, each in value.items() if name not in OF_ITS_OWN}
        if {"entries", "rows"} <= said.keys():  # an erasure names the places of what it erased
            said["entries"] = len(said["entries"]) + len(said.pop("rows"))
        if str(said.get("source")).startswith((BASE, _FILE)):  # which has its lines counted
            said |= {"source": BASE, "source_id": ""}
        return {name: _common(each, numbers) for name, each in said.items()}
    if isinstance(value, list | tuple):
        return [_common(each, numbers) for each in value]
    if isinstance(value, str):
        named = numbers.get(value, value)
        return _IN_PAGES.sub("·", _UUID.sub("an id", _CLOCK.sub("now", named)))
    return value


def _rows_of_csv(text: str) -> list[dict[str, Any]]:
    return [*csv.DictReader(io.StringIO(text))]


def _rows_of_jsonl(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


_EXPORTS: Final[dict[str, Callable[[str], Any]]] = {
    "jsonl": _rows_of_jsonl,
    "csv": _rows_of_csv,
    "html": str.splitlines,
}
