"""What another policy would have come to, told as one value."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from app.audit.whatif import (
    BEGIN,
    END,
    FIRST_CHAMPION,
    CycleRelived,
    ServedRows,
    WhatIf,
    around_table,
    comparison,
    table_block,
)
from tests.repository import REPOSITORY

NOBODY = ServedRows(rows=0, rmse=None, first_rmse=None, saved=None)
SAME = ServedRows(rows=10, rmse=0.5, first_rmse=0.5, saved=0.0)


def relived(number: int, **said: Any) -> CycleRelived:
    """One cycle with ten labelled rows, kept, but for what is said of it."""
    usual: dict[str, Any] = {
        "cycle": f"cars-{number}",
        "as_of": f"{1975 + number}-01-01T00:00:00.000000Z",
        "outcome": "keep: no drift",
        "sentence": "KEEP: no drift",
        "conclusion": "kept",
        "gates": (),
        "trained": False,
        "promoted": False,
        "set_aside_by": None,
        "before": SAME,
        "champion": "cars/1",
    }
    return CycleRelived(**(usual | said))


BOOTSTRAP = relived(1, before=NOBODY, trained=True, promoted=True)
RETRAINED = relived(
    2,
    outcome="retrain",
    conclusion="promoted",
    gates=("Parity passed",),
    trained=True,
    promoted=True,
    champion="cars/2",
)
LESS_ERROR = ServedRows(rows=10, rmse=0.3, first_rmse=0.7, saved=2.5)
BETTER = relived(3, before=LESS_ERROR, champion="cars/2")


def what_if(*cycles: CycleRelived, **said: Any) -> WhatIf:
    usual: dict[str, Any] = {
        "model": "cars",
        "policy": "challenger",
        "policy_version": 1,
        "policy_digest": "0" * 64,
        "since": NOBODY,
        "left_out": {},
        "per_unit": 1000.0,
        "unit": "USD",
    }
    return WhatIf(cycles=cycles, **(usual | said))


def test_the_first_candidate_retrains_nobody_and_every_mean_is_over_cycles_with_rows() -> None:
    found = what_if(BOOTSTRAP, RETRAINED, BETTER)
    assert (found.trained, found.promoted) == (1, 1)
    assert (found.rmse, found.first_rmse) == pytest.approx((0.4, 0.6))
    assert found.value == 2500.0
    assert found.sentence == (
        "cars under challenger: 1 trained, 1 promoted; mean RMSE 0.400, 0.600 had nobody "
        "retrained; worth 2,500 USD against the first champion."
    )


def test_a_candidate_counts_though_nobody_asked_for_a_prediction_before_its_cycle() -> None:
    """Given a year in which labels alone came in, then its training is one like any other."""
    unasked = relived(2, before=NOBODY, trained=True, promoted=True, champion="cars/2")
    turned_away = relived(3, before=NOBODY, trained=True, champion="cars/2")
    found = what_if(BOOTSTRAP, unasked, turned_away, BETTER)
    assert (found.trained, found.promoted) == (2, 1)
    nobody = relived(1, conclusion="rejected", trained=True, before=NOBODY, champion=None)
    assert what_if(nobody, BOOTSTRAP, BETTER).trained == 0, "nobody served yet"


def test_what_was_set_aside_is_not_counted_and_the_sentence_and_a_note_say_so() -> None:
    mistaken = relived(2, trained=True, promoted=True, set_aside_by="cars-3", champion="cars/2")
    found = what_if(BOOTSTRAP, mistaken, BETTER, left_out={"erased": 2})
    assert (found.trained, found.promoted, found.set_aside) == (0, 0, 1)
    assert "0 trained, 0 promoted (1 cycle set aside, not counted); mean" in found.sentence
    assert found.notes == (
        "cars under challenger: rows that could not be lived again: 2 (erased)",
        "cars under challenger: 1 cycle set aside, not counted",
    )
    assert what_if(BOOTSTRAP).notes == ()


def test_rows_served_since_the_last_cycle_count_and_stand_in_a_line_of_their_own() -> None:
    found = what_if(BOOTSTRAP, RETRAINED, since=LESS_ERROR)
    assert (found.rmse, found.first_rmse) == pytest.approx((0.4, 0.6))
    assert (found.trained, found.value) == (1, 2500.0)
    assert found.lines()[1:] == [
        RETRAINED.line(),
        ("since", "", "", "", "10", "0.300", "0.700", "cars/2"),
    ]
    assert what_if(BOOTSTRAP, RETRAINED).lines() == [BOOTSTRAP.line(), RETRAINED.line()]


def test_where_nobody_said_what_an_error_costs_the_value_is_in_the_targets_unit() -> None:
    found = what_if(BETTER, per_unit=None, unit="cars sold")
    assert found.value == 2.5
    assert found.line()[-2:] == ("2.5", "cars sold")


def test_small_errors_and_amounts_are_never_rounded_to_nothing_or_onto_each_other() -> None:
    small = ServedRows(rows=3, rmse=0.00042, first_rmse=0.00048, saved=-0.4)
    found = what_if(BOOTSTRAP, relived(2, before=small), per_unit=None, unit="kg")
    assert found.sentence.endswith(
        "mean RMSE 0.00042, 0.00048 had nobody retrained; worth -0.4 kg against the first champion."
    )
    assert found.line()[-3:] == ("0.00042", "-0.4", "kg")
    assert found.lines()[1][5:7] == ("0.00042", "0.00048")
    close = ServedRows(rows=3, rmse=0.43721, first_rmse=0.43724, saved=0.0)
    assert what_if(relived(2, before=close)).lines()[0][5:7] == ("0.43721", "0.43724")


def test_without_a_labelled_row_there_is_no_figure_rather_than_a_zero() -> None:
    found = what_if(BOOTSTRAP)
    assert (found.rmse, found.value) == (None, None)
    assert found.sentence == "cars under challenger: no row was served and labelled."
    assert found.line() == ("cars", "challenger", "0", "0", "–", "–", "USD")


def test_a_comparison_begins_each_model_with_its_first_champion_alone() -> None:
    cars, vans = (
        what_if(BOOTSTRAP, RETRAINED, BETTER),
        what_if(BETTER, model="vans", policy="strict-and"),
    )
    assert comparison([cars, vans]) == [
        ("cars", "never retrained", "0", "0", "0.600", "0", "USD"),
        ("cars", "challenger", "1", "1", "0.400", "2,500", "USD"),
        ("vans", "never retrained", "0", "0", "0.700", "0", "USD"),
        ("vans", "strict-and", "0", "0", "0.300", "2,500", "USD"),
    ]


def test_another_process_tells_the_same_value_with_its_sums() -> None:
    found = what_if(BOOTSTRAP, RETRAINED, BETTER, since=LESS_ERROR, left_out={"erased": 2})
    document = json.loads(orjson.dumps(found.to_document()))
    assert WhatIf.from_document(document) == found
    assert (document["trained"], document["sentence"]) == (1, found.sentence)


def test_a_cycle_is_told_on_one_line() -> None:
    assert RETRAINED.line() == (
        "cars-2", "1977-01-01", "retrain", "promoted", "10", "0.500", "0.500", "cars/2"
    )  # fmt: skip
    assert relived(2, set_aside_by="cars-3").line()[3] == "kept, set aside"


def test_the_table_is_markdown_between_two_marks() -> None:
    cars = what_if(BOOTSTRAP, RETRAINED, BETTER, unit="USD | 1983")
    assert table_block([cars]).splitlines() == [
        BEGIN,
        "| model | policy | trained | promoted | mean RMSE | value | unit |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| cars | never retrained | 0 | 0 | 0.600 | 0 | USD \\| 1983 |",
        "| cars | challenger | 1 | 1 | 0.400 | 2,500 | USD \\| 1983 |",
        END,
    ]


@pytest.mark.parametrize("page", ["", BEGIN, f"{END} {BEGIN}"])
def test_a_page_without_both_marks_in_their_order_has_no_place_for_it(page: str) -> None:
    assert around_table(page) is None


def test_the_documentation_has_the_table_as_the_command_writes_it() -> None:
    """Of the demo's two models: the first champion alone, then every shipped policy by name."""
    page = (REPOSITORY / "docs" / "policies.md").read_text(encoding="utf-8")
    around = around_table(page)
    assert around is not None
    begun, heads, rule, *lines, ended = page[len(around[0]) : -len(around[1])].splitlines()
    assert [begun, heads, rule, ended] == [*table_block([]).splitlines()[:3], END]
    shipped = sorted(path.stem for path in (REPOSITORY / "rules" / "policies").glob("*.yaml"))
    cells = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]
    assert [(line[0], line[1]) for line in cells] == [
        (model, policy)
        for model in ("car-price", "car-sales")
        for policy in (FIRST_CHAMPION, *shipped)
    ]
    for _, policy, trained, promoted, rmse, value, _ in cells:
        assert int(promoted) <= int(trained)
        assert f"{float(rmse):.3f}" == rmse
        assert f"{float(value.replace(',', '')):,.0f}" == value
        if policy == FIRST_CHAMPION:
            assert (trained, promoted, value) == ("0", "0", "0")
