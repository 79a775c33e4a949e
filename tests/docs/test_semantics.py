"""The page of meanings names everything that code can say: facts, outcomes, ends, states, steps."""

from typing import get_args

import pytest

from app.cli.terminal import Exit
from app.http.problems import PROBLEMS
from app.projections.changes import Kind
from domain.decisions import health
from domain.decisions.cycle import ATTEMPTS_MAX, Step
from domain.decisions.rule_numbers import NEWEST
from domain.drift import levels, power
from domain.events import findings
from domain.events.cycle_events import Conclusion, Outcome
from domain.faults import FAULTS_MAX
from rules.facts import FACTS
from tests.docs.markdown import links, prose, read, spans

PAGE = read("docs/semantics.md")
NAMED = set(spans(PAGE))


def section(title: str) -> str:
    """The section under the heading `## title`."""
    return prose(PAGE).split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("fact", FACTS)
def test_every_fact_a_policy_may_name_is_explained(fact: str) -> None:
    assert f"| `{fact}` |" in section("Facts")


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_outcome_is_explained(outcome: str) -> None:
    assert f"| `{outcome}` |" in section("The policy and its outcomes")


@pytest.mark.parametrize("conclusion", get_args(Conclusion))
def test_every_end_of_a_cycle_is_explained(conclusion: str) -> None:
    assert f"| `{conclusion}` |" in section("A cycle")


@pytest.mark.parametrize("state", get_args(health.State))
def test_every_state_of_health_is_explained(state: str) -> None:
    assert f"| `{state}` |" in section("Health")


@pytest.mark.parametrize("gate", get_args(findings.Gate))
def test_every_gate_is_explained(gate: str) -> None:
    assert f"| {gate} |" in section("Gates")


@pytest.mark.parametrize("band", get_args(findings.Band))
def test_every_band_of_drift_is_explained(band: str) -> None:
    assert f"| {band} |" in section("Drift")


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_change_is_named(kind: str) -> None:
    told = PAGE.split("A *change* is")[1].split("\n\n")[0]

    assert f"`{kind}`" in told


def test_every_rule_stands_with_its_newest_number() -> None:
    rows = [row.split("|") for row in section("Rules and their numbers").splitlines()]
    told = {row[1].strip(" `"): int(row[2]) for row in rows if len(row) > 2 and "`" in row[1]}

    assert told == NEWEST


def test_no_fact_or_outcome_is_explained_that_code_does_not_know() -> None:
    facts = {row.split("`")[1] for row in section("Facts").splitlines() if row.startswith("| `")}
    outcomes = {
        row.split("`")[1]
        for row in section("The policy and its outcomes").splitlines()
        if row.startswith("| `")
    }

    assert facts == set(FACTS)
    assert outcomes == set(get_args(Outcome))


def test_the_steps_stand_in_their_order() -> None:
    assert f"`{' → '.join(Step)}`" in section("A cycle")


def test_the_figures_on_the_page_are_those_in_the_code() -> None:
    assert f"below {findings.MINOR:g}" in section("Drift")
    assert f"above {findings.SIGNIFICANT:g}" in section("Drift")
    assert f"fewer than {power.ROWS_MIN} rows" in section("Drift")
    assert f"fewer than {levels.EXPECTED_MIN} of the" in section("Drift")
    assert FAULTS_MAX == 100
    for page in ("semantics", "contract", "command-line", "api"):
        assert "first hundred" in read(f"docs/{page}.md")
    assert ATTEMPTS_MAX == 3
    assert "After three\nattempts" in section("A cycle")


def test_the_statuses_on_the_page_are_those_the_service_answers() -> None:
    assert PROBLEMS["idempotency-conflict"].status == 409
    assert "| same event id, other digest | 409 |" in section("Sameness")
    assert PROBLEMS["idempotency-key-reused"].status == 422
    assert "| same key, other body | 422 |" in section("Sameness")
    assert PROBLEMS["request-in-flight"].status == 409
    assert "still being answered | 409 |" in section("Sameness")
    assert PROBLEMS["cycle-refused"].status == 422
    assert "is refused (422)" in section("Clocks")
    assert PROBLEMS["unknown-prediction"].status == 422
    assert "was never made is refused (422)" in section("Rows and labels")


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_explained(code: Exit) -> None:
    assert f"\n| {code.value} |" in read("docs/command-line.md")


@pytest.mark.parametrize("page", ["docs/semantics.md", "docs/operations.md"])
def test_other_pages_lead_to_the_one_table_of_exit_codes(page: str) -> None:
    assert "command-line.md#exit-codes" in links(read(page))


def test_halted_is_never_no_drift() -> None:
    assert 'Halted is never "no drift"' in PAGE
    assert {"cycle.halted", "keep: no drift"} <= NAMED
