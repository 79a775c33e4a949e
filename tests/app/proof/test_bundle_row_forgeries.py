"""Whatever somebody makes of rows of many in a bundle is found there, by position and row.

He has the key, and recomputes every hash that he can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from domain.blocks.block import Block, block_of, erased_line
from domain.blocks.ids import prediction_id
from domain.canonical import canonical_bytes
from tests.app.many_rows import Many, envelope, observations, predictions
from tests.app.proof.forged_rows import FIRST
from tests.app.proof.signed_history import History, lines_of, true_history, verified
from tests.app.proof.signed_ledger import checked
from tests.ledger_events import prediction

ROWS_1 = "position 1: expected 3 rows with the root"

# What somebody makes of a bundle's rows.

Lines = list[bytes]


def of(position: int, change: Callable[[Lines], Lines]) -> Callable[[History], None]:
    """The lines of the rows there become others."""

    def forged(history: History) -> None:
        history.rows[position] = change(history.rows[position])

    return forged


def resalted(line: bytes, salt: bytes) -> bytes:
    return re.sub(rb"[0-9a-f]{32}", salt, line, count=1)


def exchanged(history: History) -> None:
    first, second = history.rows[1], history.rows[2]
    history.rows[1] = [line.replace(b'"position":2', b'"position":1') for line in second]
    history.rows[2] = [line.replace(b'"position":1', b'"position":2') for line in first]


def hidden(row: int, id: str | None = None) -> Callable[[History], None]:
    """A leaf hash in place of a row of the predictions."""

    def forged(history: History) -> None:
        line = history.rows[1][row]
        matched = re.search(rb'"salt":"(.*)","data":(.*)\}\n', line)
        assert matched
        leaf = Block(bytes.fromhex(matched[1].decode()), matched[2]).leaves()[0]
        gone = erased_line(leaf, id or prediction_id(FIRST, row))
        history.rows[1][row] = b'{"position":1,"row":%d,"erased":%s}\n' % (row, gone)

    return forged


def brought_back(history: History) -> None:
    history.erase((1, 1), (2, 0))


def erased_too_early(history: History) -> None:
    history.erase((7, 0))
    block = history.add_many(observations(8, 9))
    history.rows[7] = lines_of(7, block.erased({0: (observations(8, 9).ids or ())[0]}))


def erased_of_another_model(history: History) -> None:
    history.add_many(predictions(1, 2, model="vans"))
    history.erase((6, 0))


def erased_behind_the_last(history: History) -> None:
    history.erase((1, 3))


def erased_with_another_id(history: History) -> None:
    history.erase((1, 1))
    hidden(1, prediction_id(FIRST, 9))(history)


def without_rows(history: History) -> None:
    del history.rows[2]


def on_a_plain_entry(history: History) -> None:
    history.rows[4] = [line.replace(b'"position":1', b'"position":4') for line in history.rows[1]]


def behind_the_last(history: History) -> None:
    history.rows[9] = [line.replace(b'"position":1', b'"position":9') for line in history.rows[1]]


EDITED: dict[str, tuple[Callable[[History], None], str]] = {
    "an edited line": (of(1, lambda each: [each[0].replace(b"0.5", b"0.6"), *each[1:]]), ROWS_1),
    "an edited salt": (of(1, lambda each: [resalted(each[0], b"ab" * 16), *each[1:]]), ROWS_1),
    "swapped rows": (
        of(1, lambda each: [
            each[1].replace(b'"row":1', b'"row":0'), each[0].replace(b'"row":0', b'"row":1'),
            each[2],
        ]),
        ROWS_1,
    ),
    "swapped lines": (of(1, lambda each: [each[1], each[0], each[2]]), "position 1: row 0: "),
    "a dropped line": (of(1, lambda each: [each[0], each[2]]), "position 1: row 1: "),
    "a last line dropped": (of(1, lambda each: each[:-1]), "position 1: row 2: "),
    "a repeated line": (of(1, lambda each: [each[0], each[0], *each[1:]]), "position 1: row 1: "),
    "an added line": (
        of(1, lambda each: [*each, each[2].replace(b'"row":2', b'"row":3')]),
        "position 1: row 3: expected none",
    ),
    "a line cut": (of(1, lambda each: [each[0][:60] + b"\n", *each[1:]]), "position 1: row 0: r"),
    "a newline in a line": (
        of(1, lambda each: [each[0].replace(b"[]", b"[\n]"), *each[1:]]), "position 1: row 0: rows"
    ),
    "a salt cut": (
        of(1, lambda each: [resalted(each[0], b"ab"), *each[1:]]),
        "position 1: row 0: rows.jsonl, line 1",
    ),
    "no line of the format": (of(2, lambda each: [b"{}\n", *each]), "rows.jsonl, line 4 is cut"),
    "more behind a line": (
        of(1, lambda each: [each[0].replace(b"]}", b'],"row":[1]}'), *each[1:]]),
        "position 1: row 0 is cut or no JSON",
    ),
    "no rows": (without_rows, "position 2: row 0: expected it, the entry has 3 rows"),
    "exchanged blocks": (exchanged, "position 1: row 0: "),
    "rows of a plain entry": (on_a_plain_entry, "position 4: row 0: expected none"),
    "rows of no entry": (behind_the_last, "position 9: row 0: expected none"),
    "a hidden row": (
        hidden(1),
        "position 1: row 1: expected it there, or an entry that says it is erased; found neither",
    ),
    "an erased row brought back": (
        brought_back,
        "position 1: row 1: expected it erased, as an entry says; found there",
    ),
    "an erasure before its row": (erased_too_early, "position 6: the erasure names row 0 of"),
    "an erasure of another model's": (
        erased_of_another_model, "position 7: the erasure names row 0 of entry 6",
    ),
    "an erasure of no row": (erased_behind_the_last, "position 6: the erasure names row 3"),
    "another id of an erased row": (erased_with_another_id, "position 1: row 1: expected the id"),
}  # fmt: skip


@pytest.mark.parametrize("edited", EDITED)
def test_rows_that_are_not_those_of_the_entries_are_named(tmp_path: Path, edited: str) -> None:
    history = true_history()
    change, expected = EDITED[edited]
    change(history)
    code, said = verified(history, tmp_path)
    assert (code, said.startswith(f"BROKEN: {expected}")) == (1, True), said


# What somebody can write under a root of its own.

PLAIN = "expected one of 'predictions.prediction-made'"
GOOD = [b'[7.5,[],"1",0.5,1976]', b'[7.5,[],"2",0.5,1976]']
WRITTEN: dict[str, tuple[list[bytes], dict[str, Any], str]] = {
    "a whole number as a float": ([GOOD[0], b'[7.0,[],"2",0.5,1976]'], {}, "row 1: expected one"),
    "another writing of a number": ([b'[7.5,[],"1",5e-1,1976]', GOOD[1]], {}, "row 0: expected"),
    "a blank": ([b'[7.5,[],"1", 0.5,1976]', GOOD[1]], {}, "row 0: expected one of"),
    "an escape that is none": ([b'[7.5,[],"\\u0031",0.5,1976]', GOOD[1]], {}, "row 0: expected"),
    "a NUL": ([b'[7.5,[],"\\\\\\u0000",0.5,1976]', GOOD[1]], {}, f"row 0: {PLAIN}; found text th"),
    "half a character": ([b'[7.5,[],"\\ud800",0.5,1976]', GOOD[1]], {}, "row 0: expected one of"),
    "an infinite number": ([b'[1e999,[],"1",0.5,1976]', GOOD[1]], {}, "row 0: expected one of"),
    "a number that is none": ([b'[NaN,[],"1",0.5,1976]', GOOD[1]], {}, "row 0 holds NaN"),
    "too large a number": ([b'[9007199254740992,[],"1",0.5,1976]', GOOD[1]], {}, "row 0: expected"),
    "a value too many": ([GOOD[0], b'[7.5,[],"2",0.5,1976,1]'], {}, "row 1: expected one of"),
    "a yes": ([b'[true,[],"1",0.5,1976]', GOOD[1]], {}, "row 0: expected one of"),
    "a list in a column": ([b'[7.5,[],"1",[],1976]', GOOD[1]], {}, "row 0: expected one of"),
    "no identity": ([b'[7.5,[],null,0.5,1976]', GOOD[1]], {}, "row 0: expected one of"),
    "no year": ([b'[7.5,[],"1",0.5,0]', GOOD[1]], {}, "row 0: expected one of"),
    "a time that is none": (
        [b'[7.5,[],"1",0.5,"1976-13-01T00:00:00.000000Z"]', GOOD[1]],
        {"event_time": {"column": "year", "read_as": "timestamp"}},
        "row 0: expected one of",
    ),
    "a leaf in place of a row": ([b"1", GOOD[1]], {}, "row 0: rows.jsonl, line 9"),
    "two names of one column": (GOOD, {"columns": ("car", "car", "year")}, "'predictions.pred"),
    "columns in another order": (GOOD, {"columns": ("hpwt", "car", "year")}, "'predictions.pred"),
    "an identity that is no column": (GOOD, {"identity": ("van",)}, "'predictions.predictions-ma"),
    "no column of times": (GOOD, {"event_time": {"column": "t", "read_as": "mid-year"}}, "'pred"),
    "another reading": (GOOD, {"event_time": {"column": "year", "read_as": "noon"}}, "'predictio"),
    "an earlier time than any row": (
        GOOD, {"occurred_from": "1975-07-01T00:00:00.000000Z"}, "expected rows from 1975",
    ),
    "a later row than it says": (
        [GOOD[0], b'[7.5,[],"2",0.5,1977]'], {}, "expected rows from 1976-07-01",
    ),
    "more rows than may be": (GOOD, {"rows": 10_001}, "'predictions.predictions-made' with 10001"),
    "one row": (GOOD, {"rows": 1}, "'predictions.predictions-made' with 1 rows"),
    "rows that are no number": (GOOD, {"rows": True}, "'predictions.predictions-made' with True"),
    "one row more than there are": (GOOD, {"rows": 3}, "row 2: expected it, the entry has 3 rows"),
    "no root": (GOOD, {"rows_root": "ab"}, "'predictions.predictions-made' with a root"),
    "a root of nothing": (GOOD, {"rows_root": "0" * 64}, "expected 2 rows with the root 0000"),
    "no schema of rows": (GOOD, {"row_schema": 0}, "'predictions.predictions-made' with rows of"),
    "no model": (GOOD, {"model": 7}, "'predictions.predictions-made' with no model"),
}  # fmt: skip
SECOND = FIRST.replace("fffe", "8000")


def own(many: Many, lines: list[bytes], **data: Any) -> tuple[bytes, Block]:
    """An entry whose root is that of these lines; its data says `data` all the same."""
    salts = bytes(range(16 * len(lines)))
    block = Block(salts, b"\n".join(lines))
    root = block_of(lines, salts).root().hex() if all(each[:1] == b"[" for each in lines) else ""
    usual: dict[str, Any] = {
        "rows": len(lines),
        "rows_root": root or "0" * 64,
        "occurred_from": min(many.times),
        "occurred_until": max(many.times),
    }
    first = (many.ids or (SECOND,))[0]
    content = json.loads(envelope(structs.replace(many.event, **usual), many.stream, first))
    content["data"] |= data
    return canonical_bytes(content), block


@pytest.mark.parametrize("made", WRITTEN)
def test_rows_that_nobody_can_have_written_are_named_under_their_own_root(
    tmp_path: Path, made: str
) -> None:
    lines, data, expected = WRITTEN[made]
    history = true_history()
    history.put(*own(predictions(1, 2), lines, **data))
    code, said = verified(history, tmp_path)
    assert (code, said.startswith(f"BROKEN: position 6: {expected}")) == (1, True), said


def twice_in_one(history: History) -> None:
    many = observations(8, 9)
    (first, other) = many.values
    lines = [b'["8-0",null,"8",0.5,8.25,1976]', b'["8-0",null,"9",0.5,8.25,1976]']
    history.put(*own(replace(many, values=[first, other]), lines))


def twice_in_two(history: History) -> None:
    history.add_many(observations(9, 5, source="/tests"))


def of_a_plain_entry(history: History) -> None:
    history.add(prediction("car=9"), "predictions-cars", prediction_id(FIRST, 2))


def overlapping(history: History) -> None:
    history.add_many(predictions(1, 2), prediction_id(FIRST, 2))


def of_another_first(history: History) -> None:
    many = observations(8, 9)
    history.add_many(replace(many, ids=(many.ids or ())[::-1]))


IDS: dict[Callable[[History], None], str] = {
    twice_in_one: "position 6: row 1: the id",
    twice_in_two: "position 6: row 1: the id",
    of_a_plain_entry: "position 6: the id",
    overlapping: "position 6: the id",
    of_another_first: "position 6: row 0: expected the id of its entry",
}


@pytest.mark.parametrize("forged", IDS, ids=lambda each: each.__name__)
def test_an_id_that_stands_for_two_rows_is_named(
    tmp_path: Path, forged: Callable[[History], None]
) -> None:
    history = true_history()
    forged(history)
    code, said = verified(history, tmp_path)
    assert (code, said.startswith(f"BROKEN: {IDS[forged]}")) == (1, True), said


def test_the_id_of_an_erased_row_that_its_source_named_is_held_by_the_trailer_alone(
    tmp_path: Path,
) -> None:
    many = observations(4, 5)
    history = History()
    block = history.add_many(many)
    history.rows[0] = lines_of(0, block.erased({1: (many.ids or ())[1]}))
    history.erase((0, 1))
    bundle, kept = history.bundle(tmp_path / "bundle")
    assert checked(bundle, kept, tmp_path, ["note"])[0] == 0
    lines = (bundle / "rows.jsonl").read_bytes()
    (bundle / "rows.jsonl").write_bytes(lines.replace(lines[-15:-3], b"0" * 12))
    code, said = checked(bundle, kept, tmp_path, ["note"])
    assert (code, "the file 'rows.jsonl' is not the one that was written" in said) == (1, True)


def test_an_entry_of_many_belongs_into_a_stream_of_its_rows_and_says_its_data_itself(
    tmp_path: Path,
) -> None:
    for number, (old, new, expected) in enumerate(
        [
            (
                b'"stream":"predictions-cars"',
                b'"stream":"model-cars"',
                "with a stream that is none",
            ),
            (FIRST.encode(), b"an id", "with an id that is no UUID"),
            (b'"data":', b'"data_commit":', "with data that stands apart twice"),
        ]
    ):
        history = true_history()
        history.entries[1] = history.entries[1].replace(old, new)
        (tmp_path / str(number)).mkdir()
        code, said = verified(history, tmp_path / str(number))
        assert (code, expected in said) == (1, True), said
        assert said.startswith("BROKEN: position 1: 'predictions.predictions-made'")


def test_rows_of_a_newer_schema_are_for_a_newer_verifier(tmp_path: Path) -> None:
    history = true_history()
    history.say(1, row_schema=99)
    code, said = verified(history, tmp_path)
    assert (code, "'predictions.prediction-made' schema 99 are unknown" in said) == (2, True), said


def test_where_a_row_is_erased_the_times_bound_those_that_are_left(tmp_path: Path) -> None:
    early, late = predictions(1, year=1970), predictions(2, year=1990)
    many = replace(early, values=[*early.values, *late.values], times=[*early.times, *late.times])
    for number, row in enumerate((0, 1)):
        history = History()
        block = history.add_many(many, FIRST)
        history.rows[0] = lines_of(0, block.erased({row: prediction_id(FIRST, row)}))
        history.erase((0, row))
        (tmp_path / str(number)).mkdir()
        assert verified(history, tmp_path / str(number))[0] == 0


def test_times_that_do_not_bound_the_rows_that_are_left_are_found(tmp_path: Path) -> None:
    early, late = predictions(1, year=1970), predictions(2, year=1990)
    many = replace(early, values=[*early.values, *late.values], times=[*early.times, *late.times])
    history = History()
    block = history.add_many(many, FIRST)
    history.say(0, occurred_from="1980-07-01T00:00:00.000000Z")  # 1970 is left
    history.rows[0] = lines_of(0, block.erased({1: prediction_id(FIRST, 1)}))
    history.erase((0, 1))
    code, said = verified(history, tmp_path)
    assert (code, "position 0: expected rows from 1980-07-01" in said) == (1, True), said


@pytest.mark.parametrize("format", ["whyledger.bundle/1", "whyledger.bundle/2"])
def test_the_file_of_rows_is_in_every_bundle_of_the_second_format_and_in_no_other(
    tmp_path: Path, format: str
) -> None:
    bundle, kept = true_history().bundle(tmp_path / "bundle")
    trailer = json.loads((bundle / "trailer.json").read_text())
    if format.endswith("2"):
        (bundle / "rows.jsonl").unlink()
        del trailer["files"]["rows.jsonl"]
    (bundle / "trailer.json").write_text(json.dumps(trailer | {"format": format}))
    code, said = checked(bundle, kept, tmp_path, ["note"])
    assert (code, "rows.jsonl is in every bundle of whyledger.bundle/2" in said) == (1, True), said


def test_an_entry_of_many_in_a_bundle_of_the_first_format_has_no_rows(tmp_path: Path) -> None:
    bundle, kept = true_history().bundle(tmp_path / "bundle")
    (bundle / "rows.jsonl").unlink()
    trailer = json.loads((bundle / "trailer.json").read_text()) | {"format": "whyledger.bundle/1"}
    del trailer["files"]["rows.jsonl"]
    (bundle / "trailer.json").write_text(json.dumps(trailer))
    code, said = checked(bundle, kept, tmp_path, ["note"])
    assert (code, "position 1: row 0: expected it, the entry has 3 rows; found none" in said) == (
        1,
        True,
    )
