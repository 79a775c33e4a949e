"""The short form of `make simulate`: few years, the same every time."""

from __future__ import annotations

from benchmarks.simulations import evidence, policies
from benchmarks.simulations.__main__ import BEGIN, END, PAGE, table, written
from benchmarks.simulations.policies import policy_names
from rules.facts import FACTS


def test_evidence_is_seldom_wrong_in_clean_years_and_finds_an_error_that_grew() -> None:
    clean = evidence.years_of(range(12), "independent", 3, "none")
    assert (clean.years, clean.false <= 2) == (12, True)
    grown = evidence.years_of(range(6), "independent", 20, "error")
    assert all(1 <= delay <= 12 for delay in grown.delays)


def test_evidence_takes_days_that_are_alike_for_a_change() -> None:
    alike = evidence.years_of(range(2), "day effects", 20, "none")
    assert alike.false == 2


def test_strict_and_finds_an_input_that_moved_and_no_error_that_grew() -> None:
    assert "strict-and" in policy_names()
    moved = policies.years_of([0], "independent", 20, "input")["strict-and"]
    assert moved.delays[0] > 0
    offered = policies.facts_of_a_clean_window(rows=20)
    assert offered.keys() <= FACTS.keys()
    assert (offered["error_ratio"] or 0) < 1.2


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = PAGE.read_text(encoding="utf-8")
    once = written(page, table([("strict-and",)]))
    assert written(once, table([("strict-and",)])) == once
    assert once.count(BEGIN) == once.count(END) == 1
    assert once.partition(BEGIN)[0] == page.partition(BEGIN)[0]
