"""Whatever stands in a document, under whatever key: every fault points at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from domain.contract.contract import parse_contract
from domain.errors import WhyledgerError
from domain.faults import Fault, pointer
from domain.reported_faults import reported_faults
from tests.domain.fault_places import broken, leads_nowhere
from tests.domain.kettles import GUARD, kettle_document

CONTRACT = kettle_document()
ROWS: list[Any] = [{"power": 2000, "tilt": 0.5, "idle": 1, "noise": {"a/b": 1}}, {}, 3]


def faults_in(judge: Callable[[Any], object], document: Any) -> tuple[Fault, ...]:
    try:
        judge(document)
    except WhyledgerError as refused:
        return refused.faults
    return ()


def fault_of_contract(**changed: Any) -> Fault:
    (fault,) = faults_in(parse_contract, {**CONTRACT, **changed})
    return fault


@settings(deadline=None)  # other processes may hold the cores
@given(broken(CONTRACT))
def test_every_fault_of_a_contract_points_into_it(document: Any) -> None:
    faults = faults_in(parse_contract, document)
    assert not [fault for fault in faults if leads_nowhere(fault, document)]


@settings(deadline=None)  # other processes may hold the cores
@given(broken(ROWS))
def test_every_fault_of_a_row_points_into_it(rows: Any) -> None:
    faults = faults_in(lambda rows: GUARD.check_rows(rows, labelled=True), rows)
    assert faults or not rows
    assert not [fault for fault in faults if leads_nowhere(fault, rows)]


@given(st.text(min_size=201, max_size=300))
def test_a_long_name_is_pointed_at_whole(name: str) -> None:
    rows = [{name: 1}]
    faults = faults_in(lambda rows: GUARD.check_rows(rows, labelled=False), rows)
    assert pointer(0, name) in [fault.path for fault in faults]


def test_the_member_of_a_union_is_no_step_though_a_field_has_its_name() -> None:
    feature = {**CONTRACT["features"][0], "number": 5}
    del feature["unit"]
    faults = faults_in(parse_contract, {**CONTRACT, "features": [feature]})
    assert {fault.path for fault in faults} >= {"/features/0/number", "/features/0/unit"}


def test_a_field_named_like_a_members_tag_is_a_step() -> None:
    faults = faults_in(parse_contract, {**CONTRACT, "type": "holdout", "holdout": {"share": 2}})
    assert {fault.path for fault in faults} == {"/type", "/holdout/share", "/holdout/rows_min"}


@pytest.mark.parametrize("right", [{}, [1], {"str": 1}])
def test_what_no_member_of_a_union_takes_is_one_fault_at_its_place(right: object) -> None:
    rules = [{**CONTRACT["rules"][0], "right": right}]
    fault = fault_of_contract(rules=rules)
    assert fault.path == "/rules/0/right"
    assert " or " in fault.message
    assert fault.message.endswith("; correct it")


def test_a_value_is_shown_when_it_is_short_and_never_when_it_is_long() -> None:
    assert fault_of_contract(title="").message.startswith("'': ")
    long, longer = (fault_of_contract(title="x" * length).message for length in (501, 10_000))
    assert len(long) == len(longer)
    assert fault_of_contract(title=[["x" * 10_000]]).message == (
        "should be a valid string; correct it"
    )


def test_a_value_is_shown_unless_it_was_left_out_of_what_pydantic_says() -> None:
    document = {"seats": "secret"}
    with pytest.raises(ValidationError) as refused:
        Car.model_validate(document)

    (shown,) = reported_faults(refused.value.errors(), document)
    (unshown,) = reported_faults(refused.value.errors(include_input=False), document)

    assert shown.message.startswith("'secret': should be a valid integer")
    assert unshown.message == shown.message.removeprefix("'secret': ")
    assert (unshown.path, unshown.value) == ("/seats", None)


class Car(BaseModel):
    seats: int
