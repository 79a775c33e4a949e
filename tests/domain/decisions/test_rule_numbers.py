"""A cycle follows the form of each rule that it recorded, and the first of one it did not name."""

from __future__ import annotations

from domain.decisions.rule_numbers import FIRST, NEWEST, form
from domain.events.cycle_events import CycleStarted
from tests.plausible import an


def test_a_rule_that_was_not_named_is_in_its_first_form() -> None:
    assert form(an(CycleStarted, rules={}), "holdout") == FIRST
    assert form(an(CycleStarted, rules={"holdout": 2}), "holdout") == 2
    assert form(an(CycleStarted, rules={"holdout": 2}), "interval") == FIRST


def test_a_new_cycle_names_every_rule_that_has_changed() -> None:
    assert min(NEWEST.values()) > FIRST
