"""The guard accepts exactly what the contract says, and what it accepted it accepts again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.canonical import canonical_bytes
from domain.contract.contract import parse_contract
from domain.contract.rows import RowGuard
from domain.errors import RowsRefusedError
from domain.faults import FAULTS_MAX
from domain.plain_text import composed, text_refused
from tests.domain.kettles import GUARD, KETTLES, ROW, kettle_document
from tests.steps import steps

anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-10, 6000)
    | st.floats()
    | st.floats(-2, 6000)
    | st.text(max_size=10)
    | st.sampled_from(["jug", "dome", "cube", "1"])
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)


def is_text(text: str) -> bool:
    return text_refused(composed(text)) is None


def is_number(value: Any, low: float, high: float) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value if isinstance(value, float) else 0)
        and low <= value <= high
    )


def is_integer(value: Any) -> bool:
    return is_number(value, -(2**53) + 1, 2**53 - 1) and value == int(value)


def allowed(row: dict[str, Any]) -> bool:
    """What the kettles' contract says, written down once more and plainly."""
    power, idle = row.get("power"), row.get("idle")
    return (
        (power is None or is_number(power, 100, 5000))
        and is_number(row.get("tilt"), -1, 1)
        and (row.get("shape") in (None, "jug", "dome"))
        and is_integer(row.get("plug"))
        and isinstance(row.get("serial"), str)
        and is_text(row["serial"])
        and is_integer(row.get("batch"))
        and row.get("boiled_at") == ROW["boiled_at"]
        and (idle is None or is_number(idle, 0, 5000))
        and (power is None or idle is None or idle < power)
        and (row.get("note") is None or (isinstance(row["note"], str) and is_text(row["note"])))
        and set(row) <= {*ROW, "colour"}
    )


rows = st.fixed_dictionaries(
    {"boiled_at": st.just(ROW["boiled_at"])},
    optional={
        **{name: st.just(value) | anything for name, value in ROW.items() if name != "boiled_at"},
        "colour": anything,
        "surprise": anything,
    },
)
nearly_good_rows = st.builds(
    lambda name, value: {**ROW, name: value},
    st.sampled_from([name for name in ROW if name != "boiled_at"]),
    anything,
)


@given(rows | nearly_good_rows)
def test_the_guard_accepts_exactly_what_the_contract_says(row: dict[str, Any]) -> None:
    judged = GUARD.judge_rows([row], labelled=False)
    assert bool(judged.accepted) == allowed(row)
    assert bool(judged.faults) != allowed(row)
    assert sum(judged.reasons.values()) == len(judged.faults)


@given(nearly_good_rows)
def test_an_accepted_row_read_back_from_the_ledger_is_accepted_as_itself(
    row: dict[str, Any],
) -> None:
    for accepted in GUARD.judge_rows([row], labelled=False).accepted:
        stored = orjson.loads(canonical_bytes(accepted))
        assert GUARD.check_row(stored, labelled=False) == accepted


@given(st.lists(rows | nearly_good_rows, max_size=5))
def test_a_batch_is_refused_exactly_when_one_of_its_rows_is(batch: list[dict[str, Any]]) -> None:
    bad = {index for index, row in enumerate(batch) if not allowed(row)}
    try:
        kept = GUARD.check_rows(batch, labelled=False, path="/rows")
        named = set()
    except RowsRefusedError as refused:
        kept = []
        named = {int(fault.path.split("/")[2]) for fault in refused.faults}
    assert named == bad
    assert len(kept) == (0 if bad else len(batch))


LABEL = {"noise": 61.5}


@given(st.lists(st.just(ROW) | nearly_good_rows, min_size=1, max_size=4), st.booleans())
def test_rows_accepted_together_are_what_each_is_alone(
    batch: list[dict[str, Any]], labelled: bool
) -> None:
    batch = [row | (LABEL if labelled else {}) for row in batch]
    judged = GUARD.judge_rows(batch, labelled=labelled)
    if judged.refused:
        with pytest.raises(RowsRefusedError):
            GUARD.check_rows(batch, labelled=labelled)
        return
    kept = GUARD.check_rows(batch, labelled=labelled)
    assert [repr(row) for row in kept] == [repr(row) for row in judged.accepted], "types, too"


@given(
    st.lists(st.just(ROW) | nearly_good_rows, min_size=1, max_size=4),
    st.sets(st.sampled_from([*ROW, "noise"]), max_size=2),
    st.booleans(),
)
def test_rows_given_by_columns_are_accepted_as_what_they_are_together(
    batch: list[dict[str, Any]], without: set[str], labelled: bool
) -> None:
    """A column that is not given is missing in every row, as it is where a header lacks it."""
    names = dict.fromkeys(name for row in batch for name in row) | (LABEL if labelled else {})
    columns = {
        name: [row.get(name, LABEL.get(name)) for row in batch]
        for name in names
        if name not in without
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    together = GUARD.accepted_together(rows, labelled=labelled) if columns else None
    accepted = GUARD.accepted_columns(columns, len(batch), labelled=labelled)
    if together is None or accepted is None:
        assert accepted is None
        assert together is None
        return
    assert [*accepted] == [*together[0]]
    rows_again = zip(*accepted.values(), strict=True)
    assert [repr(row) for row in rows_again] == [repr((*row.values(),)) for row in together]
    assert GUARD.identities_of(accepted) == [*map(GUARD.identity_of, together)]
    assert GUARD.event_times_of(accepted) == [*map(GUARD.event_time_of, together)]


CELLS = st.sampled_from(
    [
        "",
        "1",
        "12",
        "12.0",
        "+3.5e-2",
        ".5",
        "5.",
        "1e400",
        "x",
        ".",
        "+",
        "1.2.3",
        "1+1",
        "nan",
        "1_0",
        "٣",
        "9" * 19,
        "9" * 20,
    ]
) | st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=4)


@example([["12"] * len(ROW)] * 2)
@example([["1.5"] * len(ROW)] * 2)
@example([["+3.5e-2"] * len(ROW)] * 2)
@example([["1+1"] * len(ROW)] * 2)
@given(st.lists(st.lists(CELLS, min_size=len(ROW), max_size=len(ROW)), max_size=4))
def test_many_lines_of_a_csv_are_read_as_each_of_them_is(lines: list[list[str]]) -> None:
    header = sorted(ROW)
    each = [GUARD.parse_csv_row(dict(zip(header, cells, strict=True))) for cells in lines]
    columns = GUARD.parse_csv_columns(header, lines)
    together = zip(*columns.values(), strict=True)
    assert [[*map(repr, row)] for row in together] == [[*map(repr, row.values())] for row in each]
    assert [*columns] == header


@given(
    st.lists(st.just(ROW) | nearly_good_rows, min_size=1, max_size=3),
    st.sampled_from([{}, {"colour": "red"}, {"colour": None}]),
)
def test_rows_read_from_json_are_accepted_as_what_they_are_parsed(
    batch: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    """Nothing is said of an ignored column, so whoever sends one is read with care."""
    batch = [{**batch[0], **more}, *batch[1:]]
    try:
        content = orjson.dumps(batch)
    except TypeError:  # an integer beyond 64 bits
        return
    read = GUARD.read_rows(content)
    accepted = GUARD.columns_of_accepted(orjson.loads(content), labelled=False)
    if read is None:
        assert accepted is None or more or any(map(_is_odd, batch))
        return
    columns, names = read
    assert accepted is not None
    assert not more
    assert [(name, repr(tuple(column))) for name, column in columns.items()] == [
        (name, repr(tuple(column))) for name, column in accepted.items()
    ]
    assert names == sum(map(len, batch))


def _is_odd(row: dict[str, Any]) -> bool:
    """Whether a number is written as another kind, which the careful way takes all the same."""
    return any(type(value) in {int, float} for value in row.values())


@pytest.mark.parametrize("content", [b"", b"[]", b"[1]", b"{}", b"[" * 100_000, b'[{"power":1}]'])
def test_what_is_no_list_of_such_rows_is_not_read(content: bytes) -> None:
    assert GUARD.read_rows(content) is None


def test_rows_ahead_of_time_or_against_a_rule_are_not_read_together() -> None:
    late = RowGuard(KETTLES, lambda: "2000-01-01T00:00:00.000000Z")
    ruleless = RowGuard(parse_contract(kettle_document() | {"rules": []}))
    for guard in (GUARD, ruleless):
        assert guard.read_rows(orjson.dumps([ROW])) is not None
    assert late.read_rows(orjson.dumps([ROW])) is None
    assert late.accepted_together([ROW], labelled=False) is None
    assert GUARD.read_rows(orjson.dumps([{**ROW, "idle": 3000}])) is None
    assert GUARD.accepted_columns({}, 1, labelled=False) is None
    assert GUARD.accepted_columns({"more": [1]}, 1, labelled=False) is None
    assert GUARD.columns_of_accepted([], labelled=False) == {name: [] for name in ROW}


@given(st.lists(anything, max_size=3))
def test_labels_are_accepted_together_as_each_is_alone(labels: list[Any]) -> None:
    document = kettle_document() | {"rules": []}
    guard = RowGuard(parse_contract(document))
    assert GUARD.accepted_labels([50.0]) is None, "a rule joins it with its row"
    together = guard.accepted_labels(labels)
    if together is None:
        assert any(not isinstance(each, float | int) or _is_refused(guard, each) for each in labels)
        return
    assert [repr(each) for each in together] == [
        repr(guard.check_label(each, ROW)) for each in labels
    ]


def _is_refused(guard: RowGuard, label: object) -> bool:
    try:
        guard.check_label(label, ROW)
    except RowsRefusedError:
        return True
    return isinstance(label, bool)


STAMPS = st.sampled_from(
    [
        "2024-02-29T12:00:00Z",
        "2024-02-29T12:00:00.000000Z",
        "2023-12-01T23:59:59.999999Z",
        "2023-02-29T12:00:00.000000Z",
        "2024-02-29T24:00:00.000000Z",
        "2024-02-29T12:00:00.000000+00:00",
        None,
    ]
)
SERIALS = st.sampled_from(["A", "a b", "", "Cafe\u0301", "\u200b", "x" * 200, "x" * 201, None])
BATCHES = st.sampled_from([0, 1, 2, 3, 3.0, 12, 2**53 - 1, -1, 2**60])


@pytest.mark.parametrize("bounds", [None, (0.5, 12.5), (1 - 2**53, 2**53 - 1), (2, 3)])
@given(st.lists(st.tuples(STAMPS, SERIALS, BATCHES), min_size=1, max_size=3), st.booleans())
def test_times_texts_and_integers_of_many_rows_are_kept_as_those_of_each(
    bounds: tuple[float, float] | None,
    cells: list[tuple[str | None, str | None, float]],
    stamped_alike: bool,
) -> None:
    document = kettle_document()
    if bounds is not None:
        (batch,) = (each for each in document["columns"] if each["name"] == "batch")
        batch |= {"possible": {"min": bounds[0], "max": bounds[1]}, "unit": "1"}
    guard = RowGuard(parse_contract(document))
    stamp = {"boiled_at": ROW["boiled_at"]} if stamped_alike else {}
    rows = [{**ROW, "boiled_at": a, "serial": b, "batch": c, **stamp} for a, b, c in cells]
    together = guard.accepted_together(rows, labelled=False)
    judged = guard.judge_rows(rows, labelled=False)
    if together is not None:
        assert [repr(row) for row in together] == [repr(row) for row in judged.accepted]
        assert not judged.refused


def test_bounds_of_an_integer_that_are_none_are_those_within_them() -> None:
    document = kettle_document()
    (batch,) = (each for each in document["columns"] if each["name"] == "batch")
    batch |= {"possible": {"min": 0.5, "max": 12.5}, "unit": "1"}
    guard = RowGuard(parse_contract(document))
    for value, accepted in ((0, False), (1, True), (12, True), (13, False)):
        together = guard.accepted_together([{**ROW, "batch": value}], labelled=False)
        assert (together is not None) == accepted


def test_a_batch_of_good_rows_is_accepted_together_in_few_steps() -> None:
    def of_row(accept: Callable[[list[object]], object]) -> float:
        many, few = ([ROW] * count for count in (2000, 1000))
        return (steps(lambda: accept([*many])) - steps(lambda: accept([*few]))) / 1000

    alone = of_row(lambda rows: GUARD.judge_rows(rows, labelled=False))
    assert of_row(lambda rows: GUARD.check_rows(rows, labelled=False)) <= alone / 4


@given(nearly_good_rows, st.text(max_size=20))
def test_every_fault_names_a_place_in_what_was_sent(row: dict[str, Any], key: str) -> None:
    judged = GUARD.judge_rows([{**row, key: 1}], labelled=False, path="/rows")
    for fault in judged.faults.listed:
        assert fault.path.startswith("/rows/0/")
        assert orjson.dumps(fault.as_json())


@given(st.dictionaries(st.sampled_from([*ROW, "noise", "more"]), st.text(max_size=8)))
def test_no_csv_row_whatever_its_cells_is_more_than_accepted_or_refused(
    cells: dict[str, str],
) -> None:
    judged = GUARD.judge_rows([GUARD.parse_csv_row(cells)], labelled=True)
    assert len(judged.accepted) + len(judged.refused) == 1


def test_a_refused_row_has_the_first_reason_it_has_alone_however_many_stand_before_it() -> None:
    bad = [{**ROW, "tilt": 2, "batch": "x"}, {**ROW, "more": 1}, {}, 7]
    judged = GUARD.judge_rows([ROW, *bad * FAULTS_MAX], labelled=False)
    alone = [GUARD.judge_rows([row], labelled=False).refused[0] for row in bad]
    assert list(judged.refused.values()) == alone * FAULTS_MAX
    assert (len(judged.accepted), judged.faults.is_full) == (1, True)


@given(nearly_good_rows)
def test_a_row_judged_briefly_is_taken_or_refused_as_ever_and_only_the_words_are_fewer(
    row: dict[str, Any],
) -> None:
    def judged(briefly: bool) -> tuple[Any, dict[str, int]]:
        try:
            return GUARD.check_row(row, labelled=False, briefly=briefly), {}
        except RowsRefusedError as refused:
            return None, refused.reasons

    (kept, short), (whole, long) = judged(True), judged(False)
    assert kept == whole
    assert short.items() <= long.items()


def test_of_a_row_judged_briefly_one_fault_is_counted_and_none_listed() -> None:
    with pytest.raises(RowsRefusedError) as refused:
        GUARD.check_row({}, labelled=False, briefly=True)
    assert (refused.value.faults, refused.value.more_faults) == ((), 1)


@pytest.mark.parametrize(
    "odd",
    [{"tilt": -0.0}, {"batch": 12.0}, {"colour": [1]}, {"power": None}, {"note": "Cafe\u0301"}],
)
def test_a_batch_with_an_odd_row_is_kept_as_its_rows_are_alone(odd: dict[str, Any]) -> None:
    rows = [ROW, {**ROW, **odd}]
    alone = [GUARD.check_row(row, labelled=False) for row in rows]
    assert repr(GUARD.check_rows(rows, labelled=False)) == repr(alone)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"power": 100, "idle": 200}, "idle: breaks"),
        ({"shape": "cube"}, "shape: unknown category"),
        ({"boiled_at": "2099-01-01T00:00:00Z"}, "boiled_at: in the future"),
    ],
)
def test_a_batch_with_a_row_that_only_others_or_the_clock_refuse_is_refused(
    bad: dict[str, Any], reason: str
) -> None:
    guard = RowGuard(GUARD.contract, latest=lambda: "2098-01-01T00:00:00.000000Z")
    assert len(guard.check_rows([ROW, ROW], labelled=False)) == 2
    with pytest.raises(RowsRefusedError) as refused:
        guard.check_rows([ROW, {**ROW, **bad}], labelled=False)
    [found] = refused.value.reasons
    assert found.startswith(reason)
