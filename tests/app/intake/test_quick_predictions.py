"""A body of many rows read at once is read as it is with care, or it is left to that."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.http.bodies import parse_json
from app.intake.quick_predictions import read_together
from app.serving.champions import Champions, Serving
from domain.contract.rows import RowGuard
from domain.errors import UnknownModel
from tests.domain.kettles import GUARD, ROW

MODEL = GUARD.contract.model
HEAD = orjson.dumps({"model": MODEL, "rows": []})[:-2]


class OneModel(Champions):
    """What answers for one model, as `Champions` has it."""

    def __init__(self, guard: RowGuard) -> None:
        self._one = Serving(MODEL, guard.contract, "a" * 64, guard, None)

    def of(self, model: str) -> Serving:
        if model != MODEL:
            raise UnknownModel.named(model)
        return self._one


CHAMPIONS = OneModel(GUARD)
WRITTEN = st.sampled_from(
    ["1", "1.0", "-0", "-0.0", "1e2", "1E400", "9007199254740991", "9007199254740993", "0.1", "01",
     "18446744073709551617", "true", "null", "NaN", "[]", "{}", '"a"', '":a"', '"\\u0061"', '"é"',
     '"\u0000"', '"12:00"', '"a\\":"', '"\\u00e9"', '"\\u0000"', '"\\u003a"', '"\\u0022:"',
     '"\\ud83d\\ude00"', '"\\udc00"', '"\\n"', '"\\\\":1,"tilt"', '"\\\\u0022"']
)  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Good rows, in which some values, names and signs between them are written otherwise."""
    rows = []
    for _ in range(draw(st.integers(0, 3))):
        row = {name: orjson.dumps(value).decode() for name, value in ROW.items()}
        row |= draw(st.dictionaries(st.sampled_from(sorted(ROW)), WRITTEN, max_size=1))
        pairs = [
            f'"{name}"{draw(st.sampled_from(["", "", "", " "]))}:{v}' for name, v in row.items()
        ]
        pairs += draw(st.lists(st.sampled_from([*pairs, '"more":1', '"tilt" :0']), max_size=1))
        pairs = pairs[draw(st.sampled_from([0, 0, 0, 1])) :]
        rows.append("{" + ", ".join(pairs) + "}")
    model = draw(st.sampled_from([MODEL, MODEL, MODEL, "another", "\\u0061"]))
    more = draw(
        st.sampled_from(["", "", "", ',"rows":[]', ',"x":1', ' , "model":"a"', ',"\\u0072ows":[]'])
    )
    end = draw(st.sampled_from(["}", "}\n", "", "}}"]))
    return f'{{"model":"{model}","rows":[{",".join(rows)}]{more}{end}'.encode()


@given(bodies())
@example(HEAD + b'{"a":1},{"a":2}]}')
def test_what_is_read_together_is_what_is_read_with_care(body: bytes) -> None:
    together = read_together(body, CHAMPIONS, 10)
    if together is None:
        return
    sent = parse_json(body)
    assert sent.keys() == {"model", "rows"}
    with_care = GUARD.columns_of_accepted(sent["rows"], labelled=False)
    assert with_care is not None
    assert repr(_tuples(together.columns)) == repr(_tuples(with_care)), "types, too"
    assert together.rows == len(sent["rows"])


def _tuples(columns: Any) -> list[tuple[str, tuple[Any, ...]]]:
    return [(name, tuple(column)) for name, column in columns.items()]


GOOD = orjson.dumps({"model": MODEL, "rows": [ROW, ROW]})


def test_ordinary_bodies_are_read_together() -> None:
    spaced = GOOD.replace(b'":', b'": ').replace(b",", b", ")
    escaped = GOOD.replace(b'"rows"', b'"\\u0072ows"').replace(b"K-1", b"K\\u002d\\u00e9")
    for body in (GOOD, spaced, escaped, GOOD + b"\n"):
        read = read_together(body, CHAMPIONS, 10)
        assert read is not None
        assert read.rows == 2


@pytest.mark.parametrize(
    "body",
    [
        GOOD.replace(b'"rows":', b'"rows" :'),
        GOOD.replace(b'{"model"', b'{"model":"x","model"'),
        GOOD.replace(b"}]}", b'},{"tilt":0,"tilt":0}]}'),
        GOOD.replace(b"]}", b'],"\\u0072ows":[]}'),
        GOOD.replace(MODEL.encode(), b"another"),
        orjson.dumps({"model": MODEL, "rows": [ROW]}),
        orjson.dumps({"model": MODEL, "rows": [ROW] * 11}),
        orjson.dumps({"model": MODEL, "rows": [ROW, 1]}),
        orjson.dumps({"model": MODEL, "row": ROW}),
        b"\xef\xbb\xbf" + GOOD,
        HEAD + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        GOOD.replace(b"}]}", b',"colour":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"),
        b"[]",
    ],
)
def test_what_is_not_certain_is_left_to_who_reads_with_care(body: bytes) -> None:
    assert read_together(body, CHAMPIONS, 10) is None


def test_a_name_that_stands_twice_in_a_row_is_seen() -> None:
    first = next(iter(ROW))
    twice = orjson.dumps({first: ROW[first]})[1:-1]
    body = GOOD.replace(b"[{", b"[{" + twice + b",", 1)
    assert read_together(body, CHAMPIONS, 10) is None
