"""A tree is evaluated twice, by the engine node by node and plainly, and both say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.canonical import canonical_bytes
from domain.errors import PolicyNotDecided
from domain.events.verdicts import Verdict, verdict_sentence
from rules.compile import compile_policy, engine_text
from rules.engine import PolicyEngine
from rules.policy import Policy
from tests.rules.conftest import RunPython
from tests.rules.trees import FACT_OF, facts_of, policy_of, tree_of

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


def trees(letters: Sequence[str], depth: int = 2) -> Iterator[str]:
    """Every tree over these letters, in this order: each node joins two members or more."""
    for operator, split in product(("all", "any"), _splits(letters)):
        if len(split) > 1 or len(letters) == 1:
            choices = [[part[0]] if len(part) == 1 else _below(part, depth) for part in split]
            for members in product(*choices):
                yield f"{operator}({' '.join(members)})"


def _below(letters: Sequence[str], depth: int) -> list[str]:
    return list(trees(letters, depth - 1)) if depth else []


def _splits(letters: Sequence[str]) -> Iterator[list[Sequence[str]]]:
    """Every way to cut the letters into runs."""
    for cuts in product((False, True), repeat=len(letters) - 1):
        places = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(letters)]
        yield [letters[a:b] for a, b in pairwise(places)]


SMALL = [tree for n in (1, 2, 3) for tree in trees("abc"[:n])]
DEEP = ["all(a any(all(b c) d))", "any(all(any(a b) c) d)", "all(any(a b) any(c d))"]


def is_met(policy: Policy, node: str, known: dict[str, bool]) -> bool:
    """The tree read as plain logic, where every clause is met or not."""
    named = {each.name: each for each in policy.nodes}
    if node not in named:
        return known[node]
    join = all if named[node].operator == "all" else any
    return join(is_met(policy, member, known) for member in named[node].of)


def follows(policy: Policy, node: str, verdicts: dict[str, Verdict]) -> Verdict:
    """Met or unmet when it is so whatever the unknown clauses turn out to be; unknown otherwise."""
    names = list(verdicts)
    possible = [(True, False) if v == "unknown" else (v == "met",) for v in verdicts.values()]
    worlds = (dict(zip(names, world, strict=True)) for world in product(*possible))
    said = {is_met(policy, node, world) for world in worlds}
    return "unknown" if len(said) > 1 else "met" if True in said else "unmet"


@pytest.mark.parametrize("text", [*SMALL, *DEEP])
def test_engine_plain_evaluation_and_logic_agree_on_every_combination_of_verdicts(
    text: str,
) -> None:
    policy = policy_of(text)
    names = [clause.name for clause in policy.clauses]
    with PolicyEngine(policy, "") as engine:
        for combination in product(VERDICTS, repeat=len(names)):
            verdicts = dict(zip(names, combination, strict=True))
            said = engine.evaluate(facts_of(verdicts))
            expected = {node.name: follows(policy, node.name, verdicts) for node in policy.nodes}
            assert {node.node: node.verdict for node in said.nodes} == expected
            assert said.retrain == (expected["when"] == "met")
            named = {firing.rule.partition("/")[0] for firing in said.trace}
            assert named >= set(expected), "the trace names every node"
            assert canonical_bytes([firing.facts for firing in said.trace])


def test_the_exhaustive_trees_are_all_there_are_of_three_clauses() -> None:
    assert len(SMALL) == len(set(SMALL)) == 2 + 2 + 10
    assert "any(all(a b) c)" in SMALL
    assert "all(a b c)" in SMALL


@settings(max_examples=30)
@given(
    st.sampled_from(list(trees("abcdef"))),
    st.lists(st.lists(st.sampled_from(VERDICTS), min_size=6, max_size=6), min_size=1, max_size=4),
)
def test_larger_trees_say_the_same_in_the_engine_plainly_and_by_logic(
    text: str, rows: list[list[Verdict]]
) -> None:
    policy = policy_of(text)
    with PolicyEngine(policy, "") as engine:  # decides only where the plain evaluation agrees
        for row in rows:
            verdicts = dict(zip("abcdef", row, strict=True))
            expected = {node.name: follows(policy, node.name, verdicts) for node in policy.nodes}
            said = engine.evaluate(facts_of(verdicts))
            assert {node.node: node.verdict for node in said.nodes} == expected
            assert said.retrain == (expected["when"] == "met")


def test_a_compiled_tree_is_data_inside_the_safe_subset() -> None:
    rules = compile_policy(policy_of(DEEP[0]))
    assert canonical_bytes(rules)
    assert all(len(rule["all"]) == 1 and list(rule["all"][0]) == ["m"] for rule in rules.values())
    written = engine_text(rules)
    assert not [word for word in ("$or", "$nex", "$ex", "$not", "run") if f'"{word}"' in written]


def test_a_node_is_asked_with_the_verdicts_of_what_it_joins_and_the_root_decides() -> None:
    with PolicyEngine(policy_of("all(a any(b c))"), "") as engine:
        said = engine.evaluate(facts_of({"a": "met", "b": "unmet", "c": "met"}))
    of_nodes = [(firing.rule, firing.facts) for firing in said.trace[3:]]
    assert of_nodes == [
        ("when.2/met/c", {"node": "when.2", "verdict_b": "unmet", "verdict_c": "met"}),
        ("when/met", {"node": "when", "verdict_a": "met", "node_when_2": "met"}),
        ("retrain", {"node": "decision", "verdict_when": "met"}),
    ]


@pytest.mark.parametrize(
    ("rule", "instead", "saying"),
    [
        ("when.2/unmet", "when.2/met/b", "no rule holds on {'node': 'when.2'"),
        ("when/unmet/a", "when/met", "concludes when/unmet/when.2 of node 'when', the plain"),
        ("keep.unmet", "retrain", "no rule holds on {'node': 'decision'"),
    ],
)
def test_a_tree_compiled_wrongly_decides_nothing(rule: str, instead: str, saying: str) -> None:
    policy = policy_of("all(a any(b c))")
    rules = compile_policy(policy)
    rules[rule] = rules[instead]
    with (
        PolicyEngine(policy, "", rules) as wrong,
        pytest.raises(PolicyNotDecided, match=saying),
    ):
        wrong.evaluate(facts_of({"a": "unmet", "b": "unmet", "c": "unmet"}))


@pytest.mark.parametrize(
    ("text", "verdicts", "said"),
    [
        ("all(a any(b c))", "mum", "RETRAIN: {a} and {c}"),
        ("all(a any(b c))", "uuu", "KEEP: {a} and neither {b} nor {c}"),
        ("all(a any(b c))", "uum", "KEEP: {a}"),
        ("any(all(a b) c)", "muu", "KEEP: neither {b} nor {c}"),
        ("any(all(a b) c)", "uuu", "KEEP: neither ({a} and {b}) nor {c}"),
        ("any(all(a any(b c)) d)", "muuu", "KEEP: neither (neither {b} nor {c}) nor {d}"),
        ("any(all(a b) c)", "mmu", "RETRAIN: {a} and {b}"),
        ("any(all(a b) c)", "mum", "RETRAIN: {c}"),
        ("any(a all(b c))", "?mu", "KEEP: neither {a} nor {c}"),
    ],
)
def test_the_sentence_names_what_holds_or_every_branch_that_does_not(
    text: str, verdicts: str, said: str
) -> None:
    full: dict[str, Verdict] = {"m": "met", "u": "unmet", "?": "unknown"}
    judged = {name: full[sign] for name, sign in zip("abcd", verdicts, strict=False)}
    with PolicyEngine(policy_of(text), "") as engine:
        found = engine.evaluate(facts_of(judged))
    shown = {"met": "1", "unmet": "0", "unknown": "unknown: not measured"}
    words = {name: f"{name} {shown[verdict]} (needs > 0.5)" for name, verdict in judged.items()}
    outcome = "retrain" if found.retrain else "keep: rules not met"
    assert verdict_sentence(outcome, found.clauses, nodes=found.nodes) == said.format(**words)


def test_our_use_of_the_engine_for_trees_stays_inside_its_memory(
    run_python: RunPython, guarded_memory: dict[str, str]
) -> None:
    script = """
import json, sys
from itertools import product
from rules.engine import PolicyEngine
from rules.policy import parse_policy
facts = json.loads(sys.argv[1])
for document in map(json.loads, sys.argv[2:]):
    policy = parse_policy(document)
    for fresh in range(10):
        with PolicyEngine(policy, "") as engine:
            for values in product((1.0, 0.0, None), repeat=4):
                engine.evaluate(dict(zip(facts, values)))
print("whole")
"""
    facts = [FACT_OF[name] for name in "abcd"]
    documents = [tree_of(text) for text in DEEP[:2]]
    arguments = [json.dumps(value) for value in (facts, *documents)]
    run = run_python(script, *arguments, MALLOC_PERTURB_="170", **guarded_memory)
    assert (run.returncode, run.stdout) == (0, "whole\n"), run.stderr
