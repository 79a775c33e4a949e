"""A line is one of its layout, or it is told why not."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import example, given

from domain.blocks.identity_search import search_for
from domain.blocks.ids import identity_of
from domain.blocks.layouts import LAYOUTS, is_canonical, shared_fault
from domain.blocks.lines import lines_of
from tests.domain.blocks.test_lines import INTEGERS, TEXTS

MADE = LAYOUTS["predictions.predictions-made", 1]
OBSERVED = LAYOUTS["observations.observations-recorded", 1]
OUTCOME = LAYOUTS["observations.outcomes-recorded", 1]
YEARLY: Final[dict[str, Any]] = {
    "columns": ["id", "year"],
    "identity": ["id"],
    "event_time": {"column": "year", "read_as": "mid-year"},
}
STAMPED: Final[dict[str, Any]] = {
    "source": None,
    "columns": ["at", "id"],
    "identity": ["id"],
    "event_time": {"column": "at", "read_as": "timestamp"},
}
AT = "1976-07-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1,[],7,1976]", None),
        ("[1,[],7", "no JSON"),
        ("[1,[],7]", "3 values, not 4"),
        ("[1,[],7,1976,1]", "5 values, not 4"),
        ('["1",[],7,1976]', "another kind of value at 0"),
        ("[true,[],7,1976]", "another kind of value at 0"),
        ("[1,null,7,1976]", "another kind of value at 1"),
        ("[1,[2],7,1976]", "another kind of value at 1"),
        ("[1,[],true,1976]", "another kind of value at 2"),
        ("[1,[],7,[1976]]", "another kind of value at 3"),
        ("[1,[],7.5,1976]", "no value of the identity in 'id'"),
        ("[1,[],null,1976]", "no value of the identity in 'id'"),
        ("[1,[],7,0]", "no event time in 'year'"),
        ("[1,[],7,10000]", "no event time in 'year'"),
        (f'[1,[],7,"{AT}"]', "no event time in 'year'"),
    ],
)
def test_a_prediction_has_its_answer_then_the_row(line: str, said: str | None) -> None:
    assert MADE.line_fault(YEARLY, line.encode()) == said


@pytest.mark.parametrize(
    ("line", "source", "said"),
    [
        (f'["1","/own","{AT}","a"]', None, None),
        (f'["1",null,"{AT}","a"]', "/shared", None),
        (f'["1",null,"{AT}","a"]', None, "another kind of value at 1"),
        (f'["1","/own","{AT}","a"]', "/shared", "another kind of value at 1"),
        (f'[1,null,"{AT}","a"]', "/shared", "another kind of value at 0"),
        ('["1",null,"1976-07-01T00:00:00Z","a"]', "/shared", "no event time in 'at'"),
        ('["1",null,"1976-02-31T00:00:00.000000Z","a"]', "/shared", "no event time in 'at'"),
    ],
)
def test_an_observation_has_one_source_its_own_or_that_of_all(
    line: str, source: str | None, said: str | None
) -> None:
    assert OBSERVED.line_fault(STAMPED | {"source": source}, line.encode()) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f'["1","/s","p","id=1",9.5,"{AT}"]', None),
        (f'["1","/s","p","id=1",9.5,"{AT}",1]', "7 values, not 6"),
        (f'["1","/s","p","id=1",null,"{AT}"]', "another kind of value at 4"),
        ('["1","/s","p","id=1",9.5,"1976"]', "another kind of value at 5"),
    ],
)
def test_an_outcome_says_whose_prediction_it_labels_and_when(line: str, said: str | None) -> None:
    assert OUTCOME.line_fault({"source": None}, line.encode()) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"columns": ["year", "id"]}, "columns that do not ascend"),
        ({"columns": ["id", "id", "year"]}, "columns that do not ascend"),
        ({"identity": ["car"]}, "no column 'car', which it names"),
        (
            {"event_time": {"column": "at", "read_as": "mid-year"}},
            "no column 'at', which it names",
        ),
        # As RFC 8785 sorts them: by UTF-16, where what lies beyond 0xffff comes before 0xe000.
        ({"columns": ["id", "year", "\U0001f600", "\ue000"]}, None),
    ],
)
def test_what_rows_share_fits_together(change: dict[str, Any], said: str | None) -> None:
    assert shared_fault(MADE, YEARLY | change) == said


def test_outcomes_share_no_columns() -> None:
    assert shared_fault(OUTCOME, {"source": None}) is None


@pytest.mark.parametrize(
    ("line", "is_so"),
    [
        ("[1]", True),
        ("[1.0]", False),
        ("[ 1]", False),
        ("[1e2]", False),
        ("[1", False),
        ("[9007199254740992]", False),
    ],
)
def test_a_line_has_one_writing(line: str, is_so: bool) -> None:
    assert is_canonical(line.encode()) is is_so


@given(TEXTS | INTEGERS, TEXTS | INTEGERS)
@example("a|b=%7C", -7)
@example("50 %", '"\\')
def test_a_row_is_never_missed_by_looking_at_the_bytes_of_a_block(
    id: str | int, other: str | int
) -> None:
    shared: dict[str, Any] = {"columns": ["at", "id"], "identity": ["id", "at"]}
    row = {"id": id, "at": other}
    identity = identity_of(shared["identity"], row)
    [observed] = lines_of([("1", "/own", other, id)])
    [labelled] = lines_of([("1", "/own", "p", identity, 1.5, AT)])
    for layout, line in ((OBSERVED, observed), (OUTCOME, labelled)):
        assert layout.identity_in(shared, line) == identity
        is_there = search_for(identity)
        for around in (b"%b", b"[0]\n%b", b"%b\n[0]", b"[0]\n%b\n[0]"):
            assert is_there(around % line)


def test_values_of_two_rows_are_none_of_one() -> None:
    is_there = search_for("id=3|at=4")
    assert not is_there(b'[1,"/own",3,5]\n[1,"/own",4,5]')
    assert not is_there(b'[1,"/own",33,4]\n[3,"/own",40,5]')
    assert is_there(b'[1,"/own",3,5]\n[1,"/own",4,"3"]')
