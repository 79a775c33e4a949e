"""The fast path is byte-equal to the RFC 8785 package, over anything it takes."""

from __future__ import annotations

import json
import math
import struct
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from domain.canonical import (
    INTEGER_MAX,
    bytes_as_read,
    canonical_bytes,
    digest,
    digest_as_read,
    digests_as_read,
    leaf_hash,
    sha256_hex,
)
from domain.errors import DocumentInvalid, NotCanonical
from domain.strict_json import read_json

INTEGERS = st.integers(-INTEGER_MAX, INTEGER_MAX)
FLOATS = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1e-4, 1e-4)
    | st.floats(1e14, 1e22)
    | st.floats(-100, 100).map(lambda value: round(value, 3))
    | st.integers(-(10**6), 10**6).map(float)
    | st.integers(0, 2**64 - 1)
    .map(lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0])
    .filter(math.isfinite)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = TEXTS | st.sampled_from(["a", "b", "é", "\ufb33", "\U0001f600", "\u20ac", "\r", "1", ""])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=1500)
@example(-0.0)
@example({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3})
@example([1e-7, 1e-6, 1e-5, 1e15, 1e16, 1e20, 1e21, 1e22, 5e-324, 1.7976931348623157e308])
@example({"a": 1.0, "b": [0.1, 4.5e-5, 123456789.5]})
@example('\u0000\u001f\u007f\u2028\u2029"\\/')
@given(DOCUMENTS)
def test_every_document_has_the_bytes_that_rfc8785_gives_it(document: Any) -> None:
    assert canonical_bytes(document) == rfc8785.dumps(document)


@settings(max_examples=500)
@example({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3})
@example([-0.0, 1.0, 1e-7, 1e-6, 1e-5, 1e15, 1e16, 1e20, 1e21, 1e22, 5e-324, 2.0**53])
@example(1.0)
@example(1e22)
@example(["1.0", "1.0,", "a:1.0]", "3e5,", {"1.0": "1e5}"}])
@given(DOCUMENTS)
def test_of_what_was_read_the_digest_is_the_same(document: Any) -> None:
    try:
        read = read_json(json.dumps(document), name="it")
    except DocumentInvalid:
        reject()
    assert digest_as_read(read) == digest(read)


@settings(max_examples=300)
@example([{"a": 1.0}, {"a": [{"b": 1}, {"b": 2}]}])
@example([{"a": "},{"}, {"a": "1.0,"}, {"\ufb33": 1, "\U0001f600": 2}])
@example([{"a": 5.0}, {"b": -0.0}, {"c": 1e-7}])
@example([{}, {}])
@example([{"a": "},{},{"}, 5, {"b": 1}])
@given(st.lists(DOCUMENTS, max_size=4))
def test_of_many_that_were_read_the_digests_are_the_same(documents: list[Any]) -> None:
    try:
        read = read_json(json.dumps(documents), name="it")
    except DocumentInvalid:
        reject()
    assert [each.hex() for each in digests_as_read(read)] == [digest(each) for each in read]


@settings(max_examples=500)
@example({"a": (1.0, -0.0), "\u20ac": 2**53 - 1, "é": 5.0})
@given(DOCUMENTS)
def test_what_is_folded_has_the_same_bytes_too(document: Any) -> None:
    """Events hold tuples, and whole floats where they stand for numbers."""
    assert bytes_as_read(document) == canonical_bytes(document)


@settings(max_examples=500)
@given(st.lists(FLOATS, min_size=20, max_size=20))
def test_every_number_has_the_digits_that_rfc8785_gives_it(numbers: list[float]) -> None:
    for number in numbers:
        assert canonical_bytes(number) == rfc8785.dumps(number)


@settings(max_examples=300)
@given(DOCUMENTS)
def test_what_is_read_back_has_the_same_bytes(document: Any) -> None:
    content = canonical_bytes(document)
    again = json.loads(content)
    if _has_large_integers(again):
        return  # 1e17 is written as an integer that only a double may hold
    assert canonical_bytes(again) == content


@given(st.dictionaries(TEXTS, INTEGERS, max_size=8))
def test_the_order_of_keys_does_not_matter(document: dict[str, int]) -> None:
    turned = dict(reversed(document.items()))
    assert digest(turned) == digest(document)


def test_keys_are_ordered_as_the_rfc_orders_them() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    content = canonical_bytes(dict.fromkeys(keys, 0)).decode()
    assert list(json.loads(content)) == [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [  # RFC 8785, appendix B
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (333333333.3333332, "333333333.3333332"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.2, "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_the_rfc_writes_them(number: float, text: str) -> None:
    assert canonical_bytes({"n": number}) == f'{{"n":{text}}}'.encode()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"a": [1, float("nan")]}, "/a/1: nan .*not a finite number"),
        ({"a/b": {"~": 10**5000}}, "/a~1b/~0: an integer of 16610 bits .*beyond 2\\^53 - 1"),
        (float("inf"), "/: inf .*not a finite number"),
        ({"a": 2**53}, "/a: 9007199254740992 .*beyond 2\\^53 - 1"),
        (-(2**53), "beyond 2\\^53 - 1"),
        ({"a": {"b": "\ud800"}}, "/a/b: .*lone surrogate"),
        ({"\udfff": 1}, "lone surrogate"),
        ({1: 2}, "a key that is not a string"),
        ({"a": {1, 2}}, "/a: .*a set"),
        (b"bytes", "a bytes"),
        ({"a": MappingProxyType({"b": 1})}, "/a: .*a mapping that is no dict.*convert it"),
    ],
)
def test_what_has_no_canonical_form_is_refused_with_its_path(document: object, said: str) -> None:
    with pytest.raises(NotCanonical, match=said):
        canonical_bytes(document)


def test_a_document_is_not_nested_without_end() -> None:
    document: list[Any] = []
    document.append(document)
    with pytest.raises(NotCanonical, match="nested deeper than 64"):
        canonical_bytes(document)


def test_digests_are_those_of_the_bytes() -> None:
    assert digest({}) == sha256_hex(b"{}")
    # RFC 6962: the hash of a leaf is that of a zero byte and the leaf
    assert leaf_hash(b"").hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )


def _has_large_integers(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_large_integers(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_large_integers(item) for item in value)
    return isinstance(value, int) and abs(value) > INTEGER_MAX
