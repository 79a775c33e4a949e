from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.intake.documents import parse_document
from domain.errors import DocumentInvalid
from tests.repository import REPOSITORY

CONTRACTS = REPOSITORY / "data" / "contracts"


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_documents_read_as_any_yaml_reader_reads_them(path: Path) -> None:
    assert parse_document(path.read_bytes(), name=path.name) == yaml.safe_load(path.read_text())


def test_yaml_is_read_to_what_json_knows() -> None:
    text = """
    text: plain
    number: -1.5e3
    integers: [1, +2, -3]
    words: {yes: no, on: off}     # not truth values: two readers would differ
    truth: [true, False]
    nothing: [null, ~, ]
    empty:
    date: 1976-07-01
    quoted: ["1", 'true']
    lines: |
      one
      two
    """
    assert parse_document(text, name="x") == {
        "text": "plain",
        "number": -1500.0,
        "integers": [1, 2, -3],
        "words": {"yes": "no", "on": "off"},
        "truth": [True, False],
        "nothing": [None, None],
        "empty": None,
        "date": "1976-07-01",
        "quoted": ["1", "true"],
        "lines": "one\ntwo\n",
    }


def test_a_text_that_begins_with_a_brace_is_json() -> None:
    assert parse_document(b'\xef\xbb\xbf\n {"a": "\\ud83d\\ude00", "b":\t1}', name="x") == {
        "a": "😀",
        "b": 1,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: {x: 1, x: 2}", "line 2: the key 'x' a second time is refused; remove one"),
        (
            '{"a": 1, "b": {"c": 1,\n"c": 2}}',
            "/b/c: the key 'c' stands twice",
        ),
        (
            '{\t"a": 1,\n\t"a": 2}',
            "doc is not taken: /a: the key 'a' stands twice in one object; keep one",
        ),
        ("a: .nan", "line 1: the number .nan is refused; write a finite one, or null"),
        ("a: -.inf", "the number -.inf is refused"),
        ("a: 1e999", "the number 1e999 is refused"),
        ('{"a": NaN}', "/a: NaN is not JSON; leave the field out, or send null"),
        ('{"a": -Infinity}', "/a: -Infinity is not JSON"),
        ('{"a": 1e999}', "/a: the number 1e999 is too large; send a finite one, or null"),
        ("a:\n- 010", "line 2: the number 010 is refused; write it decimal, or quote it"),
        ("a: 0x1F", "the number 0x1F is refused"),
        ("a: 9007199254740992", "the integer 9007199254740992 is refused; quote it"),
        ("a: " + "9" * 5000, "is refused; quote it"),
        ('{"a": 9007199254740992}', "/a: the integer 9007199254740992 is beyond ±9007199254740991"),
        ('{"a": ' + "9" * 5000 + "}", "/a: the integer 9999"),
        ("a: &x 1", "the anchor &x is refused; write the value out"),
        ("a: &x [1]", "the anchor &x is refused"),
        ("a: *x", "the alias *x is refused"),
        ("a: !!python/object/apply:os.system [ls]", "the tag tag:yaml.org,2002:python/object"),
        ("a: !!int '3'", "the tag tag:yaml.org,2002:int is refused; remove it"),
        ("a: 1\n---\nb: 2", "line 2: a second document is refused"),
        ("1: 2", "line 1: the key 1 is refused; write keys as text"),
        ("? [1]\n: 2", "the key [] is refused"),
        ("? \n: 2", "the key None is refused"),
        ("a: [1,\n2", "line 3: did not find expected ',' or ']'"),
        ("a: 1\n b: 2", "line 2: mapping values are not allowed in this context"),
        ("a: \x00", "line 1: a character that YAML does not allow"),
        ("é: é\né: é\x00", "line 2: a character that YAML does not allow"),
        ("- a\n" * 50_001, "doc has more than 50,000 keys and values"),
        ('{"a": [' + "1," * 100_000 + "1]}", "doc has more than 50,000 keys and values"),
        (b"a: 1\nb: \xff", "line 2: not UTF-8; save it as UTF-8"),
        ('{"a": 1,\n}', "not JSON: Expecting property name"),
        ('{"a": "\\ud800"}', "a lone surrogate"),
        ("a: " + "[" * 40 + "]" * 40, "nesting deeper than 32 is refused; flatten it"),
        ('{"a":' + "[" * 90_000, "nested too deeply, beyond 64 levels; flatten it"),
        ("a: " + "[" * 100_000, "nesting deeper than 32"),
        ("- 1\n- 2", "doc holds no object"),
        ("just text", "doc holds no object"),
        ("", "doc holds no object"),
        ("a: " + "x" * 1_000_000, "is 1000003 long; a document has at most 1000000"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_broken_or_ambiguous_document_is_refused_naming_the_place(
    text: str | bytes, said: str
) -> None:
    with pytest.raises(DocumentInvalid) as refused:
        parse_document(text, name="doc")
    assert said in refused.value.message
    assert refused.value.message.startswith("doc")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=15,
)


@given(st.dictionaries(st.text("abcdef", min_size=1), json_values))
def test_every_json_object_is_read_as_itself(document: dict[str, Any]) -> None:
    assert parse_document(orjson.dumps(document), name="x") == document


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_at_all_is_a_document_or_is_refused(text: str | bytes) -> None:
    try:
        read: object = parse_document(text, name="x")
    except DocumentInvalid:
        read = {}
    assert isinstance(read, dict)
