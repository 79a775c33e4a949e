"""Rows of any time, held to the contract of the cycle: which may train, and why others may not."""

from __future__ import annotations

from typing import Any

import pytest

from app.cycle.steps.pool import Pool, hold_to_contract
from app.projections.label_rows import LabelledRow
from domain.contract.contract import parse_contract
from domain.contract.rows import RowGuard
from tests.domain.kettles import GUARD, ROW, kettle_document

KEPT = GUARD.check_row(ROW | {"noise": 70}, labelled=True)


def labelled(number: int = 1, **changes: Any) -> LabelledRow:
    """A row as the contract of its day kept it."""
    return LabelledRow(
        identity=f"serial=K-{number}|batch=12",
        event_time="2024-02-29T12:00:00.000000Z",
        label=70.0,
        row={name: value for name, value in (KEPT | changes).items() if value != "gone"},
        place=number,
        first_place=number,
        labels=1,
    )


def pool_of(*rows: LabelledRow, **contract: Any) -> Pool:
    return hold_to_contract(RowGuard(parse_contract(kettle_document() | contract)), rows)


def changed_target(**changes: Any) -> dict[str, Any]:
    target: dict[str, Any] = kettle_document()["target"]
    return target | changes


def changed_features(name: str, **changes: Any) -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = kettle_document()["features"]
    return [each | changes if each["name"] == name else each for each in features]


def test_rows_that_fit_the_contract_are_kept_as_they_are() -> None:
    rows = (labelled(1), labelled(2))
    pool = pool_of(*rows)
    assert (tuple(pool.rows), pool.left_out, pool.duplicates) == (rows, {}, 0)
    assert pool_of().left_out_share is None


def test_rows_that_break_it_are_left_out_and_counted_once_each_by_their_first_reason() -> None:
    pool = pool_of(labelled(1), labelled(2, power=50.0, tilt=9.0), labelled(3, tilt=9.0))
    assert [row.place for row in pool.rows] == [1]
    assert pool.left_out == {"power: out of range": 1, "tilt: out of range": 1}
    assert pool.left_out_share == pytest.approx(2 / 3)
    assert pool.reasons == "power: out of range 1, tilt: out of range 1"


def test_a_range_narrowed_since_and_a_category_refused_since_are_held_against_old_rows() -> None:
    narrowed = changed_target(possible={"min": 0, "max": 60})
    assert pool_of(labelled(), target=narrowed).left_out == {"noise: out of range": 1}
    refused = changed_features("plug", unknown="refuse")
    assert pool_of(labelled(plug=9), features=refused).left_out == {"plug: unknown category": 1}
    assert not pool_of(labelled(plug=9)).left_out


@pytest.mark.parametrize(("missing", "left_out"), [("allowed", 0), ("refused", 1)])
def test_a_feature_added_later_is_missing_in_older_rows(missing: str, left_out: int) -> None:
    pool = pool_of(labelled(tilt="gone"), features=changed_features("tilt", missing=missing))
    assert pool.left_out_rows == left_out
    assert all(row.row["tilt"] is None for row in pool.rows)


def test_a_dropped_feature_is_no_unknown_field() -> None:
    fewer = [each for each in kettle_document()["features"] if each["name"] != "tilt"]
    (row,) = pool_of(labelled(), features=fewer).rows
    assert "tilt" not in row.row


def test_labels_under_a_former_name_of_the_target_train_and_those_under_another_do_not() -> None:
    rules: list[Any] = []
    renamed = changed_target(name="loudness")
    assert pool_of(labelled(), target=renamed, rules=rules).left_out == {"loudness: missing": 1}
    known = renamed | {"formerly": ["noise"]}
    (row,) = pool_of(labelled(), target=known, rules=rules).rows
    assert (row.row["loudness"], row.label) == (70.0, 70.0)
    assert "noise" not in row.row
