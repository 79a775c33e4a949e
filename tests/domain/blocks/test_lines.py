"""Lines are RFC 8785 to the byte, whatever a row holds, and read back as the row."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence

import orjson
import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.blocks.lines import lines_of, objects_of
from domain.canonical import INTEGER_MAX, canonical_bytes
from domain.errors import NotCanonical

FLOATS = (
    st.floats(-INTEGER_MAX, INTEGER_MAX)
    | st.floats(-1e-4, 1e-4)
    | st.floats(-100, 100).map(lambda value: round(value, 3))
    | st.integers(-(10**6), 10**6).map(float)
    | st.sampled_from([-0.0, 1e-5, 9.999e-6, 1e15, 999999999999999.9, float(INTEGER_MAX), 5e-324])
)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
) | st.sampled_from(["", "\x1f\x7f\u2028", '"\\/', "\n", "\\u0000"])
INTEGERS = st.integers(-INTEGER_MAX, INTEGER_MAX)
CELLS = st.none() | FLOATS | INTEGERS | TEXTS | st.booleans()
# A column of one kind is looked at as a whole, a mixed one cell by cell.
KINDS = st.sampled_from([FLOATS, INTEGERS, TEXTS, CELLS, st.lists(TEXTS, max_size=2)])


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[object, ...]]:
    kinds = draw(st.lists(KINDS, min_size=1, max_size=5))
    rows = draw(st.integers(1, 6))
    columns = [draw(st.lists(kind, min_size=rows, max_size=rows)) for kind in kinds]
    return list(zip(*columns, strict=True))


@settings(max_examples=600)
@example([(1.0, "é"), (0.1, "a")])
@example([(1e-7, None), (2e-7, 1.5), (-0.0, 3.0)])
@given(tables())
def test_every_line_has_the_bytes_that_rfc8785_gives_it(rows: list[tuple[object, ...]]) -> None:
    lines = lines_of(rows)

    assert lines == [rfc8785.dumps(row) for row in rows]  # type: ignore[arg-type]
    assert lines == [canonical_bytes(row) for row in rows]
    assert [tuple(orjson.loads(line)) for line in lines] == rows
    assert b"\n" not in b"".join(lines)


@settings(max_examples=300)
@example([("a", 1), ("b", 2.0), ("c", 1e-7)], ["\U0001f600", "\ufb33"])
@given(tables(), st.permutations(["a", "b", "car", "é", "\U0001f600"]))
def test_rows_with_names_have_the_bytes_of_their_objects(
    rows: list[tuple[object, ...]], names: list[str]
) -> None:
    named = [dict(zip(names, row, strict=False)) for row in rows]

    columns = {name: [row[name] for row in named] for name in named[0]}

    assert objects_of(columns) == [canonical_bytes(row) for row in named]


def test_no_rows_have_no_bytes_and_what_is_no_json_is_refused() -> None:
    assert objects_of({}) == objects_of({"a": []}) == []
    with pytest.raises(NotCanonical, match="a set"):
        objects_of({"a": [1.5, {1}]})


@pytest.mark.parametrize("seed", range(4))
def test_many_rows_at_once_have_those_bytes_too(seed: int, soaking: bool) -> None:
    """A million of them in the long form."""
    draw = random.Random(seed)
    for _ in range(100 if soaking else 1):
        rows = [random_row(draw) for _ in range(2_500)]
        assert lines_of(rows) == [rfc8785.dumps(row) for row in rows]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((1, math.nan), "/1: nan .*not a finite number"),
        ((math.inf,), "/0: inf .*not a finite number"),
        ((1e300,), "/0: 1e\\+300 .*reads back the same"),
        ((2.0**53,), "/0: 9007199254740992.0 .*reads back the same"),
        ((2**53,), "/0: 9007199254740992 .*beyond 2\\^53 - 1"),
        (("\ud800",), "/0: .*lone surrogate"),
        ((["\ud800"],), "/0/0: .*lone surrogate"),
        (("a\x00",), "holds U\\+0000"),
        ((b"bytes",), "/0: .*a bytes"),
        (([1.0, 2**60],), "/0/1: .*beyond 2\\^53 - 1"),
    ],
)
def test_what_no_line_can_hold_is_refused_with_its_place(row: Sequence[object], said: str) -> None:
    with pytest.raises(NotCanonical, match=said):
        lines_of([(0,) * len(row), row])


def test_the_first_of_several_bad_rows_is_refused() -> None:
    good, nan, surrogate, large = (0, "a"), (math.nan, "a"), (0, "\ud800"), (2.0**60, "a")
    with pytest.raises(NotCanonical, match="/0: nan"):
        lines_of([*[good] * 5, nan, *[good] * 1018, surrogate])
    with pytest.raises(NotCanonical, match="/0: nan"):
        lines_of([large, nan])


def test_columns_may_have_names_with_any_sign() -> None:
    columns: dict[str, list[object]] = {"x%": [1, 2], "%b": ["a", "%"], 'a"b': [0.5, 1.5]}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert objects_of(columns) == [canonical_bytes(row) for row in rows]


def test_rows_of_one_block_have_as_many_values_each() -> None:
    with pytest.raises(ValueError, match="zip"):
        lines_of([(1,), (1, 2)])


def random_row(draw: random.Random) -> tuple[object, ...]:
    return (
        random_float(draw),
        draw.uniform(-10, 10),
        float(draw.randrange(100)),
        draw.choice([None, 1, 1.0, 0.5, "x", random_float(draw)]),
        draw.randrange(-(2**53) + 1, 2**53),
        "".join(chr(draw.choice([*range(1, 300), 0x2028, 0x1F600])) for _ in range(3)),
        [str(draw.random())] * draw.randrange(3),
    )


def random_float(draw: random.Random) -> float:
    while True:
        found: float = struct.unpack("<d", draw.randbytes(8))[0]
        if math.isfinite(found) and abs(found) <= INTEGER_MAX:
            return found
