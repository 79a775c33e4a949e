"""Rows that may not train, labels that may not be trusted, groups that judge: with real cars."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.audit.gates import gates_of
from app.projections.label_rows import labelled_rows
from domain.decisions.rule_numbers import NEWEST
from tests.app.car_ledger import CarLedger, document, year_end


def target(**changes: Any) -> dict[str, Any]:
    """The target of the shipped contract, with these fields changed."""
    shipped: dict[str, Any] = document("data", "contracts", "car-price.yaml")["target"]
    return shipped | changes


def notes(state: Any) -> dict[str, str]:
    """Gate -> what else it says."""
    return {gate.name: gate.note for gate in gates_of(state)}


def test_trying_again_draws_no_other_holdout_and_is_counted(cars: CarLedger) -> None:
    cars.adopts(margin=0.5).answers(cars.rows([1976]))
    first = cars.runs(year_end(1976), force="to see it rejected")
    cars.adopts(margin=0.4, confidence=0.9)
    again = cars.runs("1977-01-01T00:01:00.000000Z", force="perhaps now")
    assert first.merged is not None
    assert again.merged is not None
    assert again.compared is not None
    assert again.merged.holdout_groups == first.merged.holdout_groups
    assert (first.merged.window_attempt, again.merged.window_attempt) == (1, 2)
    assert first.merged.holdout_share is not None
    assert 0.4 <= first.merged.holdout_share <= 0.6
    assert "windows that end this day" not in notes(first)["Evaluation"]
    assert notes(again)["Evaluation"].endswith("; training 2 on windows that end this day")
    assert (again.compared.confidence_min, again.compared.passed) == (0.9, False)
    assert again.compared.interval is not None
    assert "95 % interval over" in notes(again)["Deployment"]


def test_rows_that_break_the_contract_in_force_halt_the_cycle_or_are_left_out(
    cars: CarLedger,
) -> None:
    narrow = target(possible={"min": 0.5, "max": 20})
    dear = sum(float(row["price"] or 0) > 20 for row in cars.rows(range(1971, 1976)))
    rows = len(cars.rows(range(1971, 1976)))
    share = dear / rows

    cars.adopts(target=narrow, refused_share_max=share * 0.9)
    halted = cars.runs(year_end(1975), force="no dear cars any more")
    assert halted.halted is not None
    assert (halted.halted.refused_rows, halted.halted.rows) == (dear, rows)
    assert f"{dear} of {rows} labelled rows break the contract in force" in halted.halted.reason
    assert f"(price: out of range {dear})" in halted.halted.reason
    assert "raise refused_share_max" in halted.halted.reason
    assert halted.health is not None
    assert (halted.health.conclusion, halted.health.halted) == ("halted", 1)

    cars.adopts(target=narrow, refused_share_max=share)
    trained = cars.runs(year_end(1975), force="no dear cars any more")
    assert trained.merged is not None
    assert trained.merged.left_out == {"price: out of range": dear}
    assert trained.merged.merged_rows == rows - dear
    assert f"left out: price: out of range {dear}" in notes(trained)["Evaluation"]

    cars.adopts(target=narrow, refused_share_max=share * 0.9)
    first_form = cars.runs(year_end(1975), force="as it was", rules={rule: 1 for rule in NEWEST})
    assert first_form.merged is not None
    assert (first_form.merged.left_out, first_form.merged.merged_rows) == ({}, rows)


def test_labels_drawn_at_random_within_the_possible_range_do_not_pass_unremarked(
    cars: CarLedger,
) -> None:
    rows = cars.rows([1976])
    poison = np.random.default_rng(3).uniform(0.5, 500, len(rows)).tolist()
    cars.observes([row | {"price": price} for row, price in zip(rows, poison, strict=True)])

    cars.adopts(target=target(plausible={"mean": {"min": 4, "max": 40}}))
    halted = cars.runs(year_end(1976), force="new labels")
    assert halted.halted is not None
    assert halted.halted.reason.startswith("the mean of price is 2")
    assert halted.halted.labels is not None

    cars.adopts()
    state = cars.runs(year_end(1976), force="new labels")
    assert state.guarded is not None
    assert state.decided is not None
    labels = state.guarded.labels
    assert labels is not None
    assert labels.marked
    assert state.decided.verdict.facts["label_shift_p"] == labels.ks_p_value < 1e-6
    assert "a marked shift, look at them" in notes(state)["Promotion"]


def test_one_group_alone_is_not_enough_groups(new_cars: CarLedger) -> None:
    cars = new_cars
    cars.adopts(group="region")
    cars.observes([row for row in cars.rows([1971]) if row["region"] == "US"])
    state = cars.runs(year_end(1971))
    assert state.merged is not None
    assert state.evaluated is not None
    assert (state.merged.holdout_rows, state.merged.holdout_share) == (0, None)
    assert not state.evaluated.passed
    assert state.evaluated.reason.startswith("not enough groups: all ")
    assert "of group 'US', and one group cannot both judge and train" in state.evaluated.reason


def test_a_renamed_target_needs_the_word_that_it_is_the_same_quantity(cars: CarLedger) -> None:
    rows = cars.rows([1976])
    renamed = target(name="list_price")
    cars.adopts(target=renamed)
    cars.observes(
        [
            {name: value for name, value in row.items() if name != "price"}
            | {"list_price": row["price"]}
            for row in rows
        ]
    )
    unsaid = cars.runs(year_end(1976), force="renamed")
    assert unsaid.halted is not None
    assert "(list_price: missing " in unsaid.halted.reason

    cars.adopts(target=renamed | {"formerly": ["price"]})
    said = cars.runs(year_end(1976), force="renamed")
    assert said.merged is not None
    assert said.compared is not None
    assert not said.merged.left_out
    assert said.merged.merged_rows == len(rows) + len(cars_before(cars))
    assert said.compared.champion is not None


def cars_before(cars: CarLedger) -> list[Any]:
    """Every car of the years before 1976 that the ledger holds a label of."""
    with cars.ledger.connect() as connection:
        return list(labelled_rows(connection, cars.model, before=year_end(1975), up_to=10**9))
