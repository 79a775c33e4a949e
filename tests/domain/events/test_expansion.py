"""An entry of many rows is read, and expands to the very plain events that its rows are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from domain.blocks import layouts
from domain.blocks.block import Block, block_of
from domain.blocks.lines import lines_of
from domain.canonical import canonical_bytes
from domain.errors import LedgerDamaged
from domain.events import envelope as envelopes
from domain.events import upcasting
from domain.events.block_events import PredictionsMade
from domain.events.cloud_event import cloud_event
from domain.events.envelope import Recorded, event_from_data, parse_entry, why_unreadable
from domain.events.erasure import Erased
from domain.events.events import PredictionMade
from domain.events.expansion import expand, expanded, rows_about, rows_of
from domain.events.unreadable import EntryUnreadable
from domain.stored_damage import StoredDamage
from tests.repository import REPOSITORY

VECTORS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((REPOSITORY / "tests" / "vectors" / "blocks").glob("*.json"))
}
CARS = VECTORS["predictions"]


def stored(vector: Any) -> Block:
    salts = b"".join(bytes.fromhex(each["salt"]) for each in vector["rows"])
    return Block(salts, "\n".join(each["line"] for each in vector["rows"]).encode())


def read(content: bytes, block: Block | None) -> Recorded:
    return parse_entry(content, position=812, stream_version=3, blocks=lambda _: block)


def entry_of(vector: Any) -> Recorded:
    return read(vector["envelope"].encode(), stored(vector))


@pytest.mark.parametrize("name", VECTORS)
def test_each_row_is_the_plain_event_it_replaces(name: str) -> None:
    vector = VECTORS[name]
    entry = entry_of(vector)
    said = json.loads(vector["envelope"])
    plain = layouts.LAYOUTS[said["type"], 1].plain

    rows = expanded([entry])

    assert [each.row for each in rows] == list(range(entry.rows)) == list(range(len(rows)))
    assert [each.place for each in rows] == [812 << 16 | row for row in range(len(rows))]
    for found, expected in zip(rows, vector["rows"], strict=True):
        event = event_from_data(plain, said["data"]["row_schema"], expected["data"])
        assert (found.event, found.id) == (event, expected["id"])
        assert found.occurred_at == expected["occurred_at"]
        assert (found.position, found.stream_version, found.rows) == (812, 3, entry.rows)
        shared = ("stream", "recorded_at", "actor", "correlation_id", "causation_id")
        assert [getattr(found, each) for each in shared] == [said[each] for each in shared]
        assert list(expand(found)) == [found]
    assert list(expand(entry, 1)) == rows[1:]
    assert list(rows_of(entry, [1])) == [rows[1]]
    identities = [str(getattr(each.event, "identity", "")) for each in rows]
    for identity in [*identities, "nobody"]:
        about = [row for row, each in enumerate(identities) if each == identity]
        assert list(rows_about(entry, identity)) == about
    assert list(rows_about(rows[0], identities[0])) == []


def test_numbers_that_json_writes_as_integers_are_floats_again() -> None:
    last = expanded([entry_of(CARS)])[-1].event
    assert isinstance(last, PredictionMade)
    assert (type(last.prediction), last.prediction) == (float, 7.0)


def test_an_erased_row_keeps_its_id_and_nothing_else() -> None:
    block = stored(CARS).erased({1: CARS["rows"][1]["id"]})
    entry = read(CARS["envelope"].encode(), block)
    before, gone, after = expanded([entry])
    whole = expanded([entry_of(CARS)])

    assert (before, after) == (whole[0], whole[2])
    assert gone.event == Erased(type="predictions.prediction-made", schema=1)
    assert (gone.id, gone.row, gone.occurred_at) == (whole[1].id, 1, entry.occurred_at)


def test_rows_are_told_apart_from_outside_by_their_sequence() -> None:
    entry = entry_of(CARS)
    last = expanded([entry])[2]
    shown = cloud_event(last, "a ledger")
    assert (shown["sequence"], shown["type"]) == (
        "812.00002",
        "org.whyledger.predictions.prediction-made.v1",
    )
    assert (shown["id"], shown["time"]) == (CARS["rows"][2]["id"], CARS["rows"][2]["occurred_at"])
    assert shown["data"] == CARS["rows"][2]["data"]
    assert cloud_event(entry, "a ledger")["sequence"] == "812"
    assert cloud_event(entry, "a ledger")["data"] == json.loads(CARS["envelope"])["data"]


def test_rows_of_an_older_schema_are_read_as_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        upcasting.UPCASTERS,
        ("predictions.prediction-made", 1),
        lambda data: data | {"model": "renamed"},
    )
    monkeypatch.setitem(
        envelopes._EVENT_BY_NAME, ("predictions.prediction-made", 2), PredictionMade
    )
    (first, *_) = expanded([entry_of(CARS)])
    assert isinstance(first.event, PredictionMade)
    assert first.event.model == "renamed"


def test_lines_are_read_by_the_layout_they_were_written_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block's event of schema 2 has another layout; one of schema 1 keeps its own."""
    name = PredictionsMade.type
    monkeypatch.setitem(upcasting.UPCASTERS, (name, 1), lambda data: data)
    monkeypatch.setitem(envelopes._EVENT_BY_NAME, (name, 2), PredictionsMade)
    later = replace(layouts.LAYOUTS[name, 1], fixed=())
    monkeypatch.setitem(layouts.LAYOUTS, (name, 2), later)

    entry = entry_of(CARS)

    assert entry.rows_apart is not None
    assert entry.rows_apart.layout is layouts.LAYOUTS[name, 1]
    assert len(expanded([entry])) == 3


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(CARS["envelope"])
    change(document)
    return canonical_bytes(document)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (changed(lambda d: d["data"].update(rows=1)), "1 rows, where an entry of many has 2 to"),
        (changed(lambda d: d["data"].update(rows=10_001)), "10001 rows, where"),
        (changed(lambda d: d.update(id="cars-1")), "an id that is no UUID"),
        (changed(lambda d: d["data"].update(rows_root="ab")), "root of its rows that is no SHA"),
        (changed(lambda d: d["data"].update(row_schema=0)), "prediction-made' schema 0, unknown"),
        (changed(lambda d: d["data"].update(row_schema=2)), "prediction-made' schema 2, unknown"),
        (changed(lambda d: d["data"].update(occurred_from="2")), "times that are not those of"),
        (changed(lambda d: d.update(occurred_at="1")), "times that are not those of its rows"),
        (changed(lambda d: d["data"]["columns"].reverse()), "columns that do not ascend"),
        (changed(lambda d: d["data"].update(identity=["id"])), "no column 'id', which it names"),
        (
            changed(lambda d: d["data"]["event_time"].update(read_as="day")),
            "data that is none of 'predictions.predictions-made' schema 1",
        ),
        (
            changed(lambda d: (d.update(data_commit="0" * 64), d.pop("data"))),
            "many rows whose data stands apart twice",
        ),
        (
            changed(lambda d: d.update(stream="observations-cars")),
            "does not belong into the stream",
        ),
    ],
)
def test_an_envelope_of_many_rows_that_nobody_can_have_written_is_unreadable(
    content: bytes, said: str
) -> None:
    with pytest.raises(EntryUnreadable, match=said):
        read(content, stored(CARS))
    assert said.partition(" schema")[0] in str(why_unreadable(content, 812))


def test_whether_an_entry_can_be_read_is_said_without_its_rows() -> None:
    assert why_unreadable(CARS["envelope"].encode(), 812) is None
    entry = read(CARS["envelope"].encode(), None)
    assert (entry.rows, entry.rows_apart, list(expand(entry))) == (3, None, [entry])
    with pytest.raises(LedgerDamaged, match="nothing was given to read them from"):
        parse_entry(CARS["envelope"].encode(), position=812, stream_version=0)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Block(stored(CARS).salts[:-1], stored(CARS).content), "47 bytes of salts"),
        (Block(bytes(48), stored(CARS).content), "rows whose root is [0-9a-f]{64}, and the entry"),
    ],
)
def test_rows_that_are_not_those_of_the_root_are_damage(block: Block, said: str) -> None:
    with pytest.raises(StoredDamage, match=f"entry 812 are not as written: .*{said}") as damage:
        read(CARS["envelope"].encode(), block)
    assert damage.value.position == 812


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((5.5, [], 0, None, 0.5, "KR", 1971), "row 1, which has no value of the identity"),
        ((5.5, [], 0, 1, 0.5, 1971), "row 1, which has 6 values, not 7"),
    ],
)
def test_a_row_that_is_none_of_its_layout_makes_the_entry_unreadable(
    values: tuple[Any, ...], said: str
) -> None:
    rows = [each["values"] for each in CARS["rows"]]
    lines = [lines_of([row])[0] for row in (rows[0], values, rows[2])]
    block = block_of(lines, stored(CARS).salts)
    content = changed(lambda d: d["data"].update(rows_root=block.root().hex()))
    with pytest.raises(EntryUnreadable, match=said):
        read(content, block)


def test_a_text_with_nul_makes_the_entry_unreadable() -> None:
    lines = [each["line"].replace("US", "\\u0000").encode() for each in CARS["rows"]]
    block = block_of(lines, stored(CARS).salts)
    content = changed(lambda d: d["data"].update(rows_root=block.root().hex()))
    with pytest.raises(EntryUnreadable, match="NUL"):
        read(content, block)
