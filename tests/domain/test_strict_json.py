"""Strict JSON: one meaning or a refusal, with the place of every fault."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import DocumentInvalid
from domain.faults import (
    FAULTS_MAX,
    MESSAGE_SHOWN_MAX,
    PATH_SHOWN_MAX,
    STEP_LENGTH_MAX,
    Fault,
)
from domain.quick_json import UNREAD, read_json_quickly
from domain.strict_json import read_json
from tests.domain.fault_places import VALUES, broken, leads_nowhere
from tests.steps import steps


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(DocumentInvalid) as refused:
        read_json(text, name="the body")
    return {fault.path: fault.message for fault in refused.value.faults}


@given(VALUES)
def test_what_any_reader_reads_one_way_is_read_that_way(value: Any) -> None:
    assert read_json(json.dumps(value), name="it") == value


@pytest.mark.parametrize(
    ("text", "path", "saying"),
    [
        ("NaN", "", "NaN is not JSON; leave the field out, or send null"),
        ('{"a": [0, -Infinity]}', "/a/1", "-Infinity is not JSON"),
        ('{"a": 1e999}', "/a", "the number 1e999 is too large; send a finite one, or null"),
        ('{"a": 9007199254740992}', "/a", "beyond ±9007199254740991 (2^53 - 1), where readers"),
        ('{"a": -' + "9" * 5000 + "}", "/a", "the integer -999"),
        ('[{"a/b": {"~": 1, "~": 2}}]', "/0/a~1b/~0", "the key '~' stands twice in one object"),
        ('{"a/b": ["\\u0000"]}', "/a~1b/0", "holds U+0000 (NUL); send plain text"),
        ('{"a": {"b": "\\udc00"}}', "/a/b", "holds U+DC00 (a lone surrogate)"),
        ('{"a": {"\\ud800": 1e999}}', "/a", "has a key with U+D800 (a lone surrogate)"),
    ],
    ids=lambda value: value[:30],
)
def test_what_json_has_not_is_refused_with_its_place(text: str, path: str, saying: str) -> None:
    found = faults_of(text)
    assert list(found) == [path]
    assert saying in found[path]


TEXTS = (
    *('"a"', '"b:"', '"\\u003a"', '"\\u003A"', '"a\\":"', '"é"', '":::"', '"\\u0061"'),
    *('"\\\\u003a"', '"\\u0000"', '"\\\\u0000"', '"\\ud83d\\ude00"', '"\\udc00"', '"\\u00e9"'),
)
NUMBERS = (
    *("1", "-0", "-0.0", "1.50", "1E2", "1e300", "1e400", "9007199254740991", "9007199254740992"),
    *("18446744073709551616", "9007199254740993.0", "-9223372036854775809"),
)


def containers(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lists and objects, as somebody may write them: a key twice, a blank before a colon."""
    fields = st.tuples(st.sampled_from(TEXTS), st.sampled_from((":", " : ")), values)
    return st.lists(values, max_size=3).map(lambda items: f"[{','.join(items)}]") | st.lists(
        fields.map("".join), max_size=4
    ).map(lambda items: f"{{{', '.join(items)}}}")


@given(
    st.recursive(
        st.sampled_from((*TEXTS, *NUMBERS, "null", "true", "NaN", "nul", "")),
        containers,
        max_leaves=8,
    )
)
@example('{"a":1,"a" :2}')
@example('{"a":":","a":1}')
@example('{"a":1,"a":"\\u003a"}')
@example('{"a":{"b":1,"b":2},"c":":"}')
def test_the_quick_reader_takes_what_the_other_takes_and_nothing_else(text: str) -> None:
    def read(quickly: bool) -> str:
        with pytest.MonkeyPatch.context() as patch:
            if not quickly:
                patch.setattr("domain.strict_json.read_json_quickly", lambda _: UNREAD)
            try:
                return repr(read_json(text, name="it"))
            except DocumentInvalid as refused:
                return refused.message

    assert read(quickly=True) == read(quickly=False)


@example({"Größe": "ünï"}, True)
@given(VALUES, st.booleans())
def test_what_is_plain_is_read_by_the_quick_reader(value: Any, escaped: bool) -> None:
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text = json.dumps(value, ensure_ascii=escaped, separators=(",", ":"))
    numbers = re.findall(r"-?\d[\d.eE+-]*", raw)
    broken = re.search("[\ud800-\udfff]", raw) or "\\u0000" in raw
    plain = not broken and all(abs(float(each)) < 1e15 for each in numbers)
    assert (read_json_quickly(text) is not UNREAD) or not plain


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("[" + "NaN," * 1000 + "1]", True),
        ("[" + "1," * 1000 + "NaN]", True),
        ("{" + '"a":1,' * 1000 + '"a":1}', True),
        ("[" + '"\\u0000",' * 1000 + "1]", True),
        ('["\\u00e9",' + "1," * 1000 + "1]", False),
    ],
    ids=lambda value: str(value)[:12],
)
def test_whoever_is_refused_gives_way_again_and_again_and_nobody_else(
    text: str, refused: bool
) -> None:
    pauses: list[None] = []
    try:
        read_json(text, name="it", pause=lambda: pauses.append(None))
    except DocumentInvalid:
        assert refused
    assert (len(pauses) > 10) == refused


@pytest.mark.parametrize(
    "items",
    [
        [1, -2],
        [1, 0.5],
        ["a:b", ":"],
        ["a:", 1],
        [None, True],
        [None, 1],
        [{"a:": 1}, "x:"],
        [[1], None],
        [[":"], {":": ":"}],
    ],
)
def test_many_items_are_looked_through_together_as_each_is(items: list[Any]) -> None:
    """Of lists and objects with more items than are looked at one by one."""
    named = {f"{number}:": items[number % 2] for number in range(80)}
    for value in (items * 40, named, [items * 40, named]):
        assert read_json_quickly(json.dumps(value)) == value
    twice = json.dumps([*items * 40, named]).replace('"1:"', '"3:"')
    assert read_json_quickly(twice) is UNREAD
    for beyond in (2**53, -(2**53)):
        assert read_json_quickly(json.dumps([*items * 40, beyond])) is UNREAD


def test_every_fault_is_named_at_once() -> None:
    found = faults_of('{"a": NaN, "b": [1e999, {"c": 1, "c": "\\u0000", "d": 9007199254740993}]}')
    assert list(found) == ["/a", "/b/0", "/b/1/c", "/b/1/d"]


def test_fractions_and_exponents_are_numbers() -> None:
    assert read_json("[0.5, -1e3, 2E-2]", name="it") == [0.5, -1000.0, 0.02]


def test_a_pair_of_surrogates_is_one_sign() -> None:
    assert read_json('"\\ud83d\\ude00"', name="it") == "😀"


def test_broken_json_is_refused_naming_line_and_column() -> None:
    with pytest.raises(
        DocumentInvalid, match=r"it is not JSON: Expecting .* at line 2, column 1\."
    ):
        read_json('{"a":\n}', name="it")


@pytest.mark.parametrize("levels", [65, 500, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_more_than_64_levels_are_refused(opening: str, closing: str, levels: int) -> None:
    with pytest.raises(DocumentInvalid, match="nested too deeply, beyond 64 levels; flatten it"):
        read_json(opening * levels + "1" + closing * levels, name="it")


def test_64_levels_and_any_number_of_objects_beside_each_other_are_taken() -> None:
    deep = "[" * 64 + "]" * 64
    assert read_json(deep, name="it") == json.loads(deep)
    wide: list[Any] = [{"a": [{}]}] * 1000
    assert read_json(json.dumps(wide), name="it") == wide
    assert read_json(json.dumps("[{" * 100), name="it") == "[{" * 100


def test_a_key_that_stands_twice_among_very_many_is_found_in_one_pass() -> None:
    keys = ",".join(f'"{number}":0' for number in range(200_000))  # pair by pair: many minutes
    assert list(faults_of("{" + keys + ',"199999":0}')) == ["/199999"]


ROWS = {"rows": [{"a/b": 1, "c": [2, {"~": 3}]}, {"d": None}], "model": "m"}
UNWANTED = st.sampled_from([math.nan, math.inf, 2**53, 10**400, "\0", "\ud800"])


@given(broken(ROWS, VALUES | UNWANTED), st.booleans())
def test_every_fault_points_at_what_was_sent(document: Any, twice: bool) -> None:
    text = json.dumps(document)
    if twice and document:
        text = f"{text[:-1]},{text[1:]}" if isinstance(document, dict) else text
    faults: tuple[Fault, ...] = ()
    try:
        read_json(text, name="it")
    except DocumentInvalid as refused:
        faults = refused.faults
        assert faults
    assert not [fault for fault in faults if leads_nowhere(fault, document)]


# The first three faults, each with its place, and what stands around them.
SAID_MAX = 3 * (PATH_SHOWN_MAX + MESSAGE_SHOWN_MAX) + STEP_LENGTH_MAX
HOSTILE: dict[str, Callable[[int], str]] = {
    "a key again and again": lambda count: "{" + '"a":1,' * count + '"a":1}',
    "keys that each stand twice": lambda count: (
        "{" + ",".join(f'"{n}":1,"{n}":2' for n in range(count // 2)) + "}"
    ),
    "no numbers": lambda count: "[" + "NaN," * count + "NaN]",
    "numbers too large": lambda count: "[" + "1e999," * count + "1e999]",
    "integers too large": lambda count: "[" + "9" * 17 + ("," + "9" * 17) * count + "]",
    "NUL": lambda count: "[" + '"\\u0000",' * count + "1]",
    "names with NUL": lambda count: "{" + ",".join(f'"\\u0000{n}":1' for n in range(count)) + "}",
    "a long name above": lambda count: '{"' + "n" * count * 4 + '":[' + "NaN," * count + "1]}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_refused_takes_steps_in_proportion_to_its_bytes(name: str) -> None:
    def refused(count: int) -> None:
        with pytest.raises(DocumentInvalid) as said:
            read_json(HOSTILE[name](count), name="the body")
        assert len(said.value.faults) <= FAULTS_MAX
        assert said.value.more_faults + len(said.value.faults) >= count // 2
        assert said.value.message.startswith("the body is not taken: ")
        assert len(said.value.message) <= SAID_MAX

    once, again = steps(lambda: refused(2000)), steps(lambda: refused(4000))
    assert again <= 2.2 * once


def test_faults_are_listed_in_the_order_of_the_text_and_the_others_counted() -> None:
    with pytest.raises(DocumentInvalid) as refused:
        read_json('{"a": [' + "NaN," * 150 + '1], "b": Infinity, "c": {"d": 1, "d": 2}}', name="it")
    assert [fault.path for fault in refused.value.faults] == [f"/a/{n}" for n in range(FAULTS_MAX)]
    assert refused.value.more_faults == 52
