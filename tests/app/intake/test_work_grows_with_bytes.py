"""No work on what was sent grows faster than its bytes: four times as many cost four times as much.

Counted are calls, of Python's functions and of C's; lines of Python, since a loop may call nothing;
and the bytes that are held at most, since one call may join a text as long as all that was sent. To
look a name up in a list, or to sort names, is one call or none: so names compare themselves in
Python, where it counts. What else C does within a call is not counted: readers of JSON, YAML and
CSV go through a text once, pydantic and msgspec judge value by value. Unicode's normal form is the
one with a square in it: its cost is counted by itself.
"""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any, Final, cast

import pytest

from app.cause import Cause
from app.intake.csv_rows import csv_cells, csv_header, csv_rows
from app.intake.documents import VALUES_MAX, parse_document
from app.intake.judged_events import JudgedEvents, parse_event
from app.intake.judged_lines import judge_lines
from app.intake.predictions import Predictions
from app.serving.champions import Serving
from domain import plain_text
from domain.contract.contract import contract_digest, parse_contract
from domain.contract.faults import adoption_faults, cross_faults
from domain.errors import RowsRefusedError, WhyledgerError
from domain.faults import Faults
from domain.strict_json import read_json
from rules.policy import TREE, parse_policy
from tests.domain.kettles import GUARD, KETTLES, ROW, kettle_document
from tests.steps import bytes_held, lines, steps

FEW: Final = 100
TIMES: Final = 4
SPARE: Final = 1.25  # of what grows as the bytes; a square would need four
NOTHING: Final = cast(Any, None)  # no process, since nothing comes as far
PREDICTIONS: Final = Predictions(NOTHING, NOTHING, NOTHING, rows_max=100_000)
SERVING: Final = Serving(
    KETTLES.model, KETTLES, contract_digest(kettle_document()), GUARD, champion=None
)
COLUMNS: Final = [*KETTLES.row_columns, KETTLES.target.name]
TWICE: Final = '{"b":1,"b":2}]}'  # what is read with care, and not in C alone
EVENT: Final = {
    "specversion": "1.0",
    "id": "1",
    "source": "/somebody",
    "type": "org.whyledger.observation.v1",
}


class Name(str):
    """A text that counts whenever it is compared with another one."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True

    def __lt__(self, other: str) -> bool:
        return str.__lt__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def names(count: int, before: str = "n") -> list[str]:
    return [Name(f"{before}{number}") for number in range(count)]


def a_long_name(count: int) -> str:
    return "n" * 10 * count


def kettles(**other: object) -> dict[str, Any]:
    return kettle_document() | other


def with_features(*others: object, **other: object) -> dict[str, Any]:
    return kettles(features=[*kettle_document()["features"], *others], **other)


def of_target(**other: object) -> dict[str, Any]:
    return kettles(target=kettle_document()["target"] | other)


def rules(count: int, name: str) -> list[object]:
    sides = {"op": "<", "because": "so it is", "left": name, "right": name}
    return [sides | {"name": each} for each in names(count)]


def categories(count: int) -> dict[str, Any]:
    """Each in two forms of Unicode, and each form twice."""
    forms = [Name(f"{name}{sign}") for name in names(count) for sign in ("é", "e\u0301")]
    return {"name": "z", "type": "category", "categories": forms * 2}


def policy(**other: object) -> dict[str, Any]:
    return {"id": "p", "version": 1, **other}


def tree(*members: object, **other: object) -> dict[str, Any]:
    return policy(policy=TREE, when={"all": [*members], **other})


def predicted(body: object) -> None:
    PREDICTIONS.make(body, idempotency_key=None, cause=Cause.unauthenticated("c"))


def rows_judged(rows: object) -> None:
    GUARD.check_rows(cast("list[object]", rows), labelled=False, path="/rows")


def rows_of_events_judged(rows: object) -> None:
    """As events of a batch are: each row by itself, without words once enough is listed."""
    faults = Faults()
    for row in cast("list[object]", rows):
        try:
            GUARD.check_row(row, labelled=True, path="/0/data/row", briefly=faults.is_full)
        except RowsRefusedError as refusal:
            faults.extend(refusal.faults)
            faults.count(refusal.more_faults)


def events_parsed(events: object) -> None:
    judged = JudgedEvents()
    for item in cast("list[object]", events):
        parse_event(item, "", judged, lambda: "ours")


def contract_read(document: object) -> None:
    """As names compare themselves; and whole, for which they have to be plain ones."""
    list(chain(cross_faults(document), adoption_faults(document)))
    parse_contract(json.loads(json.dumps(document)), adopting=True)


def header_read(cells: object) -> None:
    csv_header(cast("list[str]", cells), KETTLES)


def file_judged(text: object) -> None:
    """Each line after the other, and then what became of them together."""
    content = str(text).encode("utf-8", "surrogateescape")
    file = io.TextIOWrapper(io.BytesIO(content), "utf-8", "surrogateescape", newline="")
    judge_lines(SERVING, COLUMNS, [cells for _, cells, _ in csv_rows(file)])


def document_read(text: object) -> None:
    parse_document(str(text), name="it")


def json_read(text: object) -> None:
    read_json(str(text), name="it")


Judge = Callable[[object], object]
SENT: Final[dict[str, tuple[Judge, Callable[[int], object]]]] = {
    "fields that nobody knows, in a prediction": (
        predicted,
        lambda n: {"model": "kettle-noise", "row": ROW, **dict.fromkeys(names(n), 1)},
    ),
    "columns that nobody knows": (rows_judged, lambda n: [ROW | dict.fromkeys(names(n), 1)]),
    "columns that nobody knows, in many rows": (
        rows_judged,
        lambda n: [ROW | dict.fromkeys(names(30), 1)] * (n // 4),
    ),
    "a column with a long name": (rows_judged, lambda n: [{a_long_name(n): 1}]),
    "rows without a column": (rows_judged, lambda n: [{}] * n),
    "rows that are none": (rows_judged, lambda n: [1] * n),
    "rows with long texts": (rows_judged, lambda n: [ROW | {"shape": "j" * 1000}] * n),
    "events of rows without a column": (rows_of_events_judged, lambda n: [{}] * n),
    "events of rows with columns that nobody knows": (
        rows_of_events_judged,
        lambda n: [ROW | {"noise": 50} | dict.fromkeys(names(30), 1)] * (n // 4),
    ),
    "an event of much data": (
        events_parsed,
        lambda n: [EVENT | {"data": dict.fromkeys(names(n), 1)}],
    ),
    "an event of many fields": (events_parsed, lambda n: [EVENT | dict.fromkeys(names(n), 1)]),
    "events without a field": (events_parsed, lambda n: [{}] * n),
    "names that the target had": (contract_read, lambda n: of_target(formerly=names(n))),
    "one name that the target had again and again": (
        contract_read,
        lambda n: of_target(name=a_long_name(n), formerly=[Name("n") for _ in range(n)]),
    ),
    "an identity of many names": (contract_read, lambda n: kettles(identity=names(n))),
    "an identity of one name": (
        contract_read,
        lambda n: kettles(identity=[Name("batch") for _ in range(n)]),
    ),
    "an identity of no column beside a column with a long name": (
        contract_read,
        lambda n: with_features({"name": a_long_name(n)}, identity=names(n)),
    ),
    "an identity of no column beside many columns": (
        contract_read,
        lambda n: with_features(*[{"name": name} for name in names(n)], identity=names(n, "m")),
    ),
    "an identity of a column with a long type": (
        contract_read,
        lambda n: with_features({"name": "z", "type": a_long_name(n)}, identity=["z"] * n),
    ),
    "rules on a column of a long type": (
        contract_read,
        lambda n: with_features({"name": "z", "type": a_long_name(n)}, rules=rules(n, "z")),
    ),
    "rules on a column of a type that is a list": (
        contract_read,
        lambda n: with_features({"name": "z", "type": names(n)}, rules=rules(n, "z")),
    ),
    "rules on no column": (contract_read, lambda n: kettles(rules=rules(n, "nowhere"))),
    "features that are none": (contract_read, lambda n: kettles(features=[1] * n)),
    "columns of one name": (
        contract_read,
        lambda n: kettles(columns=[{"name": Name("z")} for _ in range(n)]),
    ),
    "categories in two forms": (contract_read, lambda n: with_features(categories(n))),
    "transformers the wrong way round": (
        contract_read,
        lambda n: with_features(
            {"name": "z", "transformers": [{"clip": {"low": 1, "high": 0}}] * n}
        ),
    ),
    "fields that nobody knows, in a contract": (
        contract_read,
        lambda n: kettles(**dict.fromkeys(names(n), 1)),
    ),
    "clauses that are none": (parse_policy, lambda n: policy(clauses=[1] * n)),
    "clauses on no fact": (
        parse_policy,
        lambda n: policy(clauses=[{"name": name, "fact": "x" * 100} for name in names(n)]),
    ),
    "nodes in a tree": (parse_policy, lambda n: tree(*[{"any": [1] * 5}] * n)),
    "fields beside a node": (parse_policy, lambda n: tree(1, **dict.fromkeys(names(n), 1))),
    "a header of many columns": (header_read, names),
    "a header of one column again and again": (
        header_read,
        lambda n: [Name("noise") for _ in range(n)],
    ),
    "a header of one long column": (header_read, lambda n: ["; | \t" * 10 * n]),
    "lines that are none": (file_judged, lambda n: "1\n" * n),
    "lines of quotes that stay open": (file_judged, lambda n: '1,"2,3\n' * n),
    "lines that are not UTF-8": (file_judged, lambda n: ("\udcff," * 9 + "1\n") * n),
    "lines whose rows break the contract": (file_judged, lambda n: (",".join("x" * 10) + "\n") * n),
    "a line of many cells": (file_judged, lambda n: "x," * 10 * n),
    "a line of many cells in quotes": (file_judged, lambda n: '"""x""",' * n),
    "lines that are too long": (file_judged, lambda n: ("x" * 200_000 + "\n") * (n // 100)),
    "a cell of many quotes": (lambda line: csv_cells(str(line)), lambda n: '"' + '""' * n + '",x'),
    "a document of many values": (document_read, lambda n: "- a\n" * n),
    "a document of many fields": (document_read, lambda n: "".join(f"{x}: 1\n" for x in names(n))),
    "a document in JSON of many values": (
        document_read,
        lambda n: '{"a":[' + "1," * n + TWICE,
    ),
    "JSON of many fields and one that stands twice": (
        json_read,
        lambda n: "{" + "".join(f'"{x}":1,' for x in names(n)) + '"n0":2}',
    ),
}


def size_of(sent: object) -> int:
    if isinstance(sent, str):
        return len(sent)
    return len(json.dumps(sent))


@pytest.mark.parametrize("name", SENT)
def test_four_times_as_many_things_take_four_times_the_work(name: str) -> None:
    judge, made = SENT[name]
    few, many = made(FEW), made(TIMES * FEW)
    judge_once(judge, few)  # what is made once, for whoever comes first
    bound = SPARE * max(TIMES, size_of(many) / size_of(few))
    for count in (steps, lines, bytes_held):
        once, again = count(lambda: judge(few)), count(lambda: judge(many))
        assert again <= bound * once, count.__name__


def judge_once(judge: Judge, sent: object) -> None:
    with suppress(WhyledgerError):
        judge(sent)


def test_a_row_beyond_the_list_is_judged_up_to_its_first_fault() -> None:
    def judged(row: object, *, briefly: bool) -> int:
        return steps(lambda: GUARD.check_row(row, labelled=True, briefly=briefly))

    assert judged({}, briefly=True) < judged(ROW | {"noise": 50}, briefly=False)
    assert judged({}, briefly=True) < judged({}, briefly=False) / 2


def test_more_values_than_a_document_may_have_are_not_read() -> None:
    def read(count: int) -> int:
        return steps(lambda: document_read('{"a":[' + "1," * count + TWICE))

    assert read(4 * VALUES_MAX) <= SPARE * read(2 * VALUES_MAX)


MARKS: Final = "\u0301\u0316"  # above and below: in the wrong order, each pair


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What putting marks in order costs at most: the square of each text that is handed over."""
    handed: list[int] = []

    def counting(form: str, text: str, *, of: Callable[[str, str], Any]) -> Any:
        handed.append(len(text) ** 2)
        return of(form, text)

    for name in ("normalize", "is_normalized"):
        of = getattr(unicodedata, name)
        monkeypatch.setattr(plain_text, name, lambda form, text, of=of: counting(form, text, of=of))
    return handed


IN_DISORDER: Final[dict[str, tuple[Judge, Callable[[int], object]]]] = {
    "a text": (rows_judged, lambda n: [ROW | {"serial": "a" + MARKS * n}]),
    "texts": (rows_judged, lambda n: [ROW | {"serial": "a" + MARKS * 50}] * n),
    "a category": (rows_judged, lambda n: [ROW | {"shape": "a" + MARKS * n}]),
    "a category in a contract": (
        contract_read,
        lambda n: with_features(
            {"name": "z", "type": "category", "categories": ["a" + MARKS * n, "b"]}
        ),
    ),
    "a cell": (file_judged, lambda n: ",".join(["a" + MARKS * n] * len(COLUMNS)) + "\n"),
}


@pytest.mark.parametrize("name", IN_DISORDER)
def test_marks_in_disorder_take_work_in_proportion_to_their_bytes(
    name: str, squares: list[int]
) -> None:
    judge, made = IN_DISORDER[name]

    def cost(count: int) -> int:
        squares.clear()
        sent = made(count)
        judge_once(judge, sent)
        return size_of(sent) + sum(squares)

    for count in (100, FEW):
        assert cost(TIMES * count) <= SPARE * TIMES * cost(count)
