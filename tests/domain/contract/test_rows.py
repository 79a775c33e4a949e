from __future__ import annotations

import csv
import math
from typing import Any

import pytest

from domain.contract.contract import parse_contract
from domain.contract.rows import RowGuard
from domain.errors import RequestInvalid, RowsRefusedError
from domain.faults import Fault
from tests.domain.kettles import GUARD, KETTLES, ROW, kettle_document
from tests.repository import REPOSITORY
from tests.steps import steps

CARS = REPOSITORY / "data" / "us_cars_1971_1990.csv"


def refusal_of(row: object, *, labelled: bool = False) -> RowsRefusedError:
    with pytest.raises(RowsRefusedError) as refused:
        GUARD.check_row(row, labelled=labelled, path="/rows/3")
    return refused.value


def fault_of(row: object, *, labelled: bool = False) -> Fault:
    (fault,) = refusal_of(row, labelled=labelled).faults
    return fault


def test_an_accepted_row_holds_the_contracts_columns_in_the_contracts_order() -> None:
    shuffled = dict(reversed(ROW.items()))
    row = GUARD.check_row(shuffled, labelled=False)
    assert tuple(row) == GUARD.contract.row_columns
    assert row["power"] == 2000.0
    assert isinstance(row["power"], float)


def test_the_target_of_a_labelled_row_comes_last() -> None:
    row = GUARD.check_row({"noise": 61, **ROW}, labelled=True)
    assert list(row)[-1] == "noise"
    assert row["noise"] == 61.0


def test_a_labelled_row_needs_its_label() -> None:
    fault = fault_of(ROW, labelled=True)
    assert fault.path == "/rows/3/noise"
    assert fault.message == "is missing and the contract refuses that; send it"


def test_a_prediction_may_not_carry_the_target() -> None:
    fault = fault_of({**ROW, "noise": 61})
    assert fault.path == "/rows/3/noise"
    assert "is the target; send it as an outcome" in fault.message


def test_ignored_columns_may_be_sent_and_are_not_kept() -> None:
    assert "colour" not in GUARD.check_row({**ROW, "colour": object()}, labelled=False)


@pytest.mark.parametrize("absent", ["power", "shape", "idle", "note"])
def test_a_column_that_may_be_missing_may_be_null_or_absent(absent: str) -> None:
    without = {name: value for name, value in ROW.items() if name != absent}
    assert GUARD.check_row(without, labelled=False)[absent] is None
    assert GUARD.check_row({**ROW, absent: None}, labelled=False)[absent] is None


@pytest.mark.parametrize("name", ["tilt", "plug", "serial", "batch", "boiled_at"])
def test_a_column_that_must_be_there_may_not_be_null_or_absent(name: str) -> None:
    without = {column: value for column, value in ROW.items() if column != name}
    for row in (without, {**ROW, name: None}):
        refusal = refusal_of(row)
        assert refusal.reasons == {f"{name}: missing": 1}
        assert refusal.faults[0].path == f"/rows/3/{name}"


@pytest.mark.parametrize(
    ("name", "value", "reason", "said"),
    [
        (
            "power",
            99,
            "out of range",
            "is 99, outside the possible range 100 to 5000 (W); check its",
        ),
        ("power", 5000.1, "out of range", "is 5000.1, outside the possible range 100 to 5000"),
        ("power", 10**400, "out of range", "is an integer of 1329 bits, outside"),
        ("power", math.nan, "not finite", "is nan; send a finite number"),
        ("power", math.inf, "not finite", "is inf; send a finite number"),
        ("power", -math.inf, "not finite", "is -inf; send a finite number"),
        ("power", True, "not a number", "is True, not a number; send a number"),
        ("power", "2000", "not a number", "is '2000', not a number; send a number"),
        ("power", [2000], "not a number", "is a list, not a number"),
        ("power", {"W": 1}, "not a number", "is an object, not a number"),
        ("tilt", 1.5, "out of range", "is 1.5, outside the possible range -1 to 1; check"),
        (
            "shape",
            "cube",
            "unknown category",
            "is 'cube', not one of jug, dome; the contract refus",
        ),
        ("shape", 1, "not text", "is 1, not text; send text"),
        ("shape", "\n", "bad text", "holds U+000A, which is not printable; remove it"),
        ("plug", "1", "not an integer", "is '1', not an integer"),
        ("plug", True, "not an integer", "is True, not an integer"),
        ("plug", 1.5, "not an integer", "is 1.5, not an integer"),
        ("plug", 2**53, "out of range", "outside the possible range -9007199254740991 to"),
        ("serial", 5, "not text", "is 5, not text; send text"),
        ("serial", "", "bad text", "is '': it is empty; send 1 to 200 characters"),
        ("serial", "x" * 201, "bad text", "x…': it has 201 characters; send at most 200"),
        ("serial", "a\x00b", "bad text", "is 'a\\x00b': it holds U+0000, which is"),
        ("serial", "\ud800", "bad text", "holds U+D800, which is not printable"),
        ("serial", "a\u200bb", "bad text", "holds U+200B (ZERO WIDTH SPACE), which is not"),
        ("batch", 1.5, "not an integer", "is 1.5, not an integer; send an integer"),
        ("batch", False, "not an integer", "is False, not an integer"),
        ("batch", math.nan, "not an integer", "is nan, not an integer"),
        ("batch", -(2**53), "out of range", "is -9007199254740992, outside the possible range"),
        ("boiled_at", "yesterday", "not a time", "is no time: 'yesterday' is not a time; write"),
        ("boiled_at", 1709208000, "not text", "is 1709208000, not text"),
        ("idle", 2000, "breaks idle-below-power", "is 2000, which is not < power 2000 as rule"),
    ],
)
def test_a_broken_value_is_refused_naming_field_value_and_bound(
    name: str, value: object, reason: str, said: str
) -> None:
    refusal = refusal_of({**ROW, name: value})
    assert refusal.reasons == {f"{name}: {reason}": 1}
    assert refusal.faults[0].path == f"/rows/3/{name}"
    assert said in refusal.faults[0].message
    assert said in str(refusal)
    assert "'kettle-noise'" in str(refusal)


def test_a_long_list_of_categories_is_cut_in_the_message() -> None:
    document = kettle_document()
    document["features"][2]["categories"] = [f"form-{n}" for n in range(30)]
    with pytest.raises(RowsRefusedError, match=r"form-19, …; the contract refuses"):
        RowGuard(parse_contract(document)).check_row(ROW, labelled=False)


def test_an_unknown_field_is_named_to_who_sent_it_and_only_counted_in_the_ledger() -> None:
    refusal = refusal_of({**ROW, "temperature/°C": 100})
    assert refusal.faults[0].path == "/rows/3/temperature~1°C"
    assert "is no column of 'kettle-noise'; remove it" in refusal.faults[0].message
    assert refusal.reasons == {"(any): unknown field": 1}


def test_a_row_of_a_thousand_unknown_fields_is_answered_shortly() -> None:
    refusal = refusal_of({**ROW, **{f"x{n}": n for n in range(1000)}})
    assert len(refusal.faults) == 20
    assert "(and 980 more)" in refusal.faults[0].message


@pytest.mark.parametrize("row", [None, 5, "text", [1], True])
def test_what_is_no_object_is_refused(row: object) -> None:
    refusal = refusal_of(row)
    assert refusal.reasons == {"(row): not an object": 1}
    assert refusal.faults[0].path == "/rows/3"
    assert "not an object of columns" in refusal.faults[0].message


def test_every_fault_of_a_row_is_reported_at_once() -> None:
    refusal = refusal_of({**ROW, "power": "x", "tilt": 9, "plug": None, "extra": 1})
    assert refusal.reasons == {
        "power: not a number": 1,
        "tilt: out of range": 1,
        "plug: missing": 1,
        "(any): unknown field": 1,
    }
    assert "(and 3 more)" in str(refusal)


def test_every_answer_can_be_written_as_json_whatever_was_sent() -> None:
    refusal = refusal_of({**ROW, "serial": "\ud800", "power": 10**5000, "\udfff": 1})
    for fault in refusal.faults:
        assert str(fault.as_json()["value"]).encode()
        assert fault.path.encode()
        assert fault.message.encode()


def test_a_batch_is_all_or_nothing_and_lists_every_bad_row() -> None:
    rows = [ROW, {**ROW, "tilt": 2}, ROW, 7, {**ROW, "tilt": 3}]
    with pytest.raises(RowsRefusedError) as refused:
        GUARD.check_rows(rows, labelled=False, path="/rows")
    assert [fault.path for fault in refused.value.faults] == [
        "/rows/1/tilt",
        "/rows/3",
        "/rows/4/tilt",
    ]
    assert refused.value.reasons == {"tilt: out of range": 2, "(row): not an object": 1}
    assert str(refused.value) == (
        "3 of 5 rows break the contract of 'kettle-noise' (index 1, 3, 4), first tilt is 2, "
        "outside the possible range -1 to 1; check its unit. Nothing was kept; correct them and "
        "send all again."
    )


def test_a_batch_of_good_rows_comes_back_in_order() -> None:
    rows = [{**ROW, "batch": n} for n in range(5)]
    assert [row["batch"] for row in GUARD.check_rows(rows, labelled=False)] == [0, 1, 2, 3, 4]


def test_a_long_batch_of_bad_rows_shows_the_first_twenty_and_lists_the_first_hundred() -> None:
    bad: list[object] = [{**ROW, "tilt": 99}] * 130
    with pytest.raises(RowsRefusedError, match=r"130 of 131 .*index 0, .*, 19, …\)") as refused:
        GUARD.check_rows([*bad, ROW], labelled=False)
    assert [fault.path.split("/")[1] for fault in refused.value.faults] == [*map(str, range(100))]
    assert refused.value.more_faults == 30
    assert (refused.value.rows, refused.value.reasons) == (130, {"tilt: out of range": 130})


@pytest.mark.parametrize("bad", [{}, None, 1, [], {"power": 1}], ids=repr)
def test_beyond_the_list_a_bad_row_takes_a_fraction_of_the_steps_of_a_good_one(bad: object) -> None:
    def a_row(row: object) -> float:
        def of(count: int) -> int:
            return steps(lambda: GUARD.judge_rows([row] * count, labelled=False))

        return (of(2000) - of(1000)) / 1000

    assert a_row(bad) <= a_row(ROW) / 2


def test_judging_rows_keeps_the_good_and_counts_the_bad() -> None:
    judged = GUARD.judge_rows([ROW, {**ROW, "tilt": 2}], labelled=False)
    assert len(judged.accepted) == 1
    assert judged.refused == {1: "tilt: out of range"}
    assert judged.reasons == {"tilt: out of range": 1}


def test_numbers_are_the_same_however_json_wrote_them() -> None:
    row = GUARD.check_row({**ROW, "batch": 12.0, "plug": 1.0, "tilt": -0.0}, labelled=False)
    assert (row["batch"], row["plug"]) == (12, 1)
    assert isinstance(row["batch"], int)
    assert isinstance(row["plug"], int)
    assert math.copysign(1, row["tilt"]) == 1  # type: ignore[arg-type]


def test_an_unknown_category_is_accepted_where_the_contract_says_so() -> None:
    assert GUARD.check_row({**ROW, "plug": 7}, labelled=False)["plug"] == 7


def test_a_rule_is_not_applied_where_a_side_is_missing() -> None:
    assert GUARD.check_row({**ROW, "power": None}, labelled=False)["idle"] == 1.5


def test_a_rule_about_the_target_judges_labelled_rows_alone() -> None:
    assert GUARD.check_row(ROW, labelled=False)
    fault = fault_of({**ROW, "noise": 0.5}, labelled=True)
    assert "is 0.5, which is not > 1 as rule 'audible' asks (silence means" in fault.message


def test_the_label_of_an_outcome_is_held_to_range_and_rules() -> None:
    row = GUARD.check_row(ROW, labelled=False)
    assert GUARD.check_label(61, row) == 61.0
    for label, said in [
        (None, "noise is missing"),
        ("loud", "noise is 'loud', not a number"),
        (200, "noise is 200, outside the possible range 0 to 140"),
        (0.5, "noise is 0.5, which is not > 1 as rule"),
    ]:
        with pytest.raises(RowsRefusedError, match=said) as refused:
            GUARD.check_label(label, row, path="/data/label")
        assert refused.value.faults[0].path == "/data/label"
        assert sum(refused.value.reasons.values()) == 1


def test_a_row_is_identified_by_its_identity_columns() -> None:
    row = GUARD.check_row(ROW, labelled=False)
    assert GUARD.identity_of(row) == "serial=K-1|batch=12"


@pytest.mark.parametrize("batch", [12, 12.0])
def test_an_identity_sent_alone_is_read_as_in_a_row(batch: float) -> None:
    row = GUARD.check_row(ROW | {"batch": batch}, labelled=False)
    assert GUARD.check_identity({"batch": batch, "serial": "K-1"}) == GUARD.identity_of(row)


def test_an_identity_that_no_row_may_have_is_a_key_of_nothing() -> None:
    assert GUARD.check_identity({"serial": "", "batch": -5}) == "serial=|batch=-5"


@pytest.mark.parametrize(
    ("identity", "path", "said"),
    [
        ({}, "/identity", "names nothing; the identity of 'kettle-noise' is 'serial', 'batch'"),
        ({"serial": "K-1", "lot": 12}, "/identity", "names 'lot', 'serial'"),
        ({"serial": "K-1", "batch": 12.5}, "/identity/batch", "batch is 12.5"),
        ({"serial": "K-1", "batch": True}, "/identity/batch", "batch is True"),
        ({"serial": None, "batch": 12}, "/identity/serial", "serial is missing"),
        ({"serial": ["K-1"], "batch": 12}, "/identity/serial", "serial is"),
    ],
)
def test_an_identity_that_cannot_be_one_is_refused(
    identity: dict[str, object], path: str, said: str
) -> None:
    with pytest.raises(RequestInvalid, match=said) as refused:
        GUARD.check_identity(identity, path="/identity")
    assert [fault.path for fault in refused.value.faults] == [path]


def test_no_two_identities_share_a_key() -> None:
    document = kettle_document() | {"identity": ["serial", "boiled_at"]}
    document["event_time"] = {"column": "note", "as": "timestamp"}
    document["columns"][4]["missing"] = "refused"
    guard = RowGuard(parse_contract(document))
    first = {"serial": "a|boiled_at=b", "boiled_at": "c"}
    second = {"serial": "a", "boiled_at": "b|boiled_at=c"}
    assert guard.identity_of(first) != guard.identity_of(second)  # type: ignore[arg-type]
    assert guard.identity_of({"serial": "50%|", "boiled_at": "b"}) == "serial=50%25%7C|boiled_at=b"


def test_the_event_time_is_a_time_stamp_or_the_middle_of_a_year() -> None:
    row = GUARD.check_row({**ROW, "boiled_at": "2024-02-29T13:00:00+01:00"}, labelled=False)
    assert GUARD.event_time_of(row) == "2024-02-29T12:00:00.000000Z"
    document = kettle_document() | {"event_time": {"column": "batch", "as": "mid-year"}}
    document["columns"][1]["possible"] = {"min": 1900, "max": 2100}
    yearly = RowGuard(parse_contract(document))
    row = yearly.check_row({**ROW, "batch": 1976, "boiled_at": "any time"}, labelled=False)
    assert yearly.event_time_of(row) == "1976-07-01T00:00:00.000000Z"
    for guard, sent in ((GUARD, ROW), (yearly, {**ROW, "batch": 1976})):
        accepted = guard.columns_of_accepted([sent, sent], labelled=False)
        assert accepted is not None
        alone = guard.event_time_of(guard.check_row(sent, labelled=False))
        assert guard.event_times_of(accepted) == [alone] * 2


CELLS: dict[str, Any] = {
    "power": "2e3",
    "tilt": "-.5",
    "shape": "",
    "plug": "2",
    "serial": "007",
    "batch": "12",
    "boiled_at": "2024-02-29T12:00:00Z",
    "idle": "1.",
    "note": "",
    "noise": "61.5",
}


def test_csv_cells_become_what_the_contract_says_they_are() -> None:
    assert GUARD.check_row(GUARD.parse_csv_row(CELLS), labelled=True) == {
        "power": 2000.0,
        "tilt": -0.5,
        "shape": None,
        "plug": 2,
        "serial": "007",
        "batch": 12,
        "boiled_at": "2024-02-29T12:00:00.000000Z",
        "idle": 1.0,
        "note": None,
        "noise": 61.5,
    }


@pytest.mark.parametrize(
    ("name", "cell", "reason"),
    [
        ("power", "nan", "not a number"),
        ("power", "1_000", "not a number"),
        ("power", " 2000", "not a number"),
        ("power", "0x7d0", "not a number"),
        ("power", "1e999", "not finite"),
        ("power", "9" * 5000, "not finite"),
        ("batch", "twelve", "not an integer"),
        ("batch", "12.5", "not an integer"),
        ("batch", "1e30", "out of range"),
        ("batch", "9" * 19, "out of range"),
        ("plug", "two", "not an integer"),
        ("noise", "", "missing"),
    ],
)
def test_a_csv_cell_that_is_something_else_is_refused(name: str, cell: str, reason: str) -> None:
    with pytest.raises(RowsRefusedError) as refused:
        GUARD.check_row(GUARD.parse_csv_row({**CELLS, name: cell}), labelled=True, path="/lines/7")
    assert refused.value.reasons == {f"{name}: {reason}": 1}


def test_a_csv_number_written_with_a_fraction_of_zero_is_an_integer() -> None:
    row = GUARD.parse_csv_row({**CELLS, "batch": "12.0"})
    assert GUARD.check_row(row, labelled=True)["batch"] == 12


def test_too_short_and_too_long_csv_rows_are_refused() -> None:
    short, long = csv.DictReader(["tilt,plug", "1", "1,1,5"])
    assert "plug: missing" in GUARD.judge_rows([GUARD.parse_csv_row(short)], labelled=True).reasons
    reasons = GUARD.judge_rows([GUARD.parse_csv_row(long)], labelled=True).reasons
    assert "(any): unknown field" in reasons


@pytest.mark.parametrize(
    ("boiled_at", "taken"),
    [("2024-02-29T12:00:05Z", True), ("2024-02-29T12:00:05.000001Z", False)],
)
def test_a_row_that_has_not_happened_yet_is_refused(boiled_at: str, taken: bool) -> None:
    guard = RowGuard(KETTLES, latest=lambda: "2024-02-29T12:00:05.000000Z")
    judged = guard.judge_rows([{**ROW, "boiled_at": boiled_at}], labelled=False)
    assert bool(judged.accepted) is taken
    assert judged.reasons == ({} if taken else {"boiled_at: in the future": 1})
