"""How the engine fails: closed, without a crash, without a leak, and never twice for one cause."""

from __future__ import annotations

import locale
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from durable.engine import durable_rules_engine

from domain.errors import PolicyNotDecided
from rules.compile import Definition, compile_policy
from rules.engine import PolicyEngine, _firing
from rules.policy import Policy
from tests.rules.conftest import ALL_MET, RunPython

# Each takes the right definition and breaks it: the engine then says what the policy does not.


def another_threshold(rules: Definition) -> None:
    rules["feature_drift.met"]["all"][0]["m"] = {"$gt": {"feature_drift_score": 0.5}}
    rules["feature_drift.unmet"]["all"][0]["m"] = {"$lte": {"feature_drift_score": 0.5}}


def a_clause_left_out(rules: Definition) -> None:
    del rules["feature_drift.met"]


def a_clause_twice(rules: Definition) -> None:
    drift = {"$gt": {"feature_drift_score": 0.2}}
    rules["feature_drift.met"]["all"][0]["m"] = {"$or": [drift, {"$gt": {"new_samples": 1}}]}


def a_rule_of_no_clause(rules: Definition) -> None:
    rules["moon.full"] = {"all": [{"m": {"$gt": {"new_samples": 0}}}]}


def no_decision(rules: Definition) -> None:
    del rules["retrain"]


def two_decisions(rules: Definition) -> None:
    rules["keep.cool_down"]["all"][0]["m"] = {"verdict_cool_down": "met"}


def a_rule_that_fires_more_often_than_there_are_rules(rules: Definition) -> None:
    bound = [{"$gt": {"feature_drift_score": 0.01 * number}} for number in range(20)]
    rules["feature_drift.met"]["all"][0]["m"] = {"$or": bound}


@pytest.mark.parametrize(
    ("damage", "saying"),
    [
        (
            another_threshold,
            r"'feature_drift' the rule engine says unmet, the plain evaluation met",
        ),
        (
            a_clause_left_out,
            r"'feature_drift' the rule engine says nothing, .*observed 0.31, needs >",
        ),
        (a_clause_twice, r"'feature_drift' the rule engine says met and met"),
        (a_rule_of_no_clause, r"rule 'moon.full' fired on facts and is no clause's"),
        (no_decision, r"the rule engine failed: no rule holds"),
        (two_decisions, r"concludes keep.cool_down, retrain, the plain evaluation retrain"),
        (a_rule_that_fires_more_often_than_there_are_rules, r"more than 14 rules held"),
    ],
)
def test_an_engine_that_says_otherwise_decides_nothing_again_and_again(
    policy: Policy, damage: Callable[[Definition], None], saying: str
) -> None:
    rules = compile_policy(policy)
    damage(rules)
    with PolicyEngine(policy, "", rules) as engine:
        for _ in range(3):
            with pytest.raises(PolicyNotDecided, match=rf"'strict-and' version 1.*{saying}"):
                engine.evaluate(ALL_MET)


def test_after_a_disagreement_the_next_evaluation_starts_with_a_fresh_ruleset(
    policy: Policy,
) -> None:
    rules = compile_policy(policy)
    another_threshold(rules)
    with PolicyEngine(policy, "", rules) as engine:
        with pytest.raises(PolicyNotDecided):
            engine.evaluate(ALL_MET)
        assert engine.evaluate({**ALL_MET, "feature_drift_score": 0.6}).retrain


def test_a_definition_the_engine_refuses_is_refused(policy: Policy) -> None:
    with pytest.raises(PolicyNotDecided, match="the rule engine refuses its definition"):
        PolicyEngine(policy, "", {"bad": {"all": [{"m": {"$gt": {}}}]}})


def test_a_rule_must_have_matched_exactly_what_it_was_told() -> None:
    assert _firing('{"r":{"m":{"sid":"0","x":0.5}}}', {"x": 0.5}).facts == {"x": 0.5}
    with pytest.raises(durable_rules_engine.error, match=r"matched {'x': 0\.4}, was told"):
        _firing('{"r":{"m":{"sid":"0","x":0.4}}}', {"x": 0.5})


def test_a_closed_engine_decides_nothing_and_closes_again(policy: Policy) -> None:
    engine = PolicyEngine(policy, "")
    engine.evaluate(ALL_MET)
    engine.close()
    engine.close()
    with pytest.raises(PolicyNotDecided, match="closed; make a new one"):
        engine.evaluate(ALL_MET)


def test_eight_threads_on_one_engine_each_get_their_own_verdict(engine: PolicyEngine) -> None:
    wrong: list[Any] = []

    def ask(thread: int) -> None:
        for number in range(200):
            rows = 40 + (thread + number) % 20
            if engine.evaluate({**ALL_MET, "new_samples": rows}).retrain != (rows >= 50):
                wrong.append(rows)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


PREPARED = """
import gc, locale, os, signal, sys, yaml
from domain.errors import PolicyNotDecided
from rules.compile import compile_policy
from rules.engine import PolicyEngine
from rules.policy import parse_policy
with open("rules/policies/strict-and.yaml") as text:
    policy = parse_policy(yaml.safe_load(text))
met = {"feature_drift_score": 0.31, "prediction_drift_p": 1e-05, "new_samples": 50,
       "hours_since_last_retraining": 24.5}
"""


def test_our_use_of_the_engine_stays_inside_its_memory(
    run_python: RunPython, guarded_memory: dict[str, str]
) -> None:
    script = """
broken = compile_policy(policy)
del broken["retrain"]
for fresh in range(30):
    with PolicyEngine(policy, "") as engine, PolicyEngine(policy, "", broken) as failing:
        for number in range(30):
            p = None if number % 7 == 0 else number / 100
            engine.evaluate({**met, "prediction_drift_p": p})
        engine.evaluate({}, never_retrained=True)
        try:
            failing.evaluate(met)
        except PolicyNotDecided:
            pass
with PolicyEngine(policy, "") as engine:
    for number in range(3000):
        assert engine.evaluate({**met, "new_samples": number}).retrain == (number >= 50)
print("whole")
"""
    # glibc fills new blocks with 0x55 and freed ones with 0xAA: nothing unset passes for zero.
    run = run_python(PREPARED + script, MALLOC_PERTURB_="170", **guarded_memory)
    assert (run.returncode, run.stdout) == (0, "whole\n"), run.stderr


def test_what_is_closed_is_given_back(run_python: RunPython) -> None:
    script = """
def resident_pages():
    gc.collect()
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1])
def grown(is_done_with):
    before = resident_pages()
    for _ in range(100):
        engine = PolicyEngine(policy, "")
        engine.evaluate(met)
        is_done_with(engine)
    return resident_pages() - before
kept = []
grown(PolicyEngine.close)
print(grown(PolicyEngine.close), grown(kept.append))
"""
    when_closed, when_kept = map(int, run_python(PREPARED + script).stdout.split())
    assert 10 * when_closed < when_kept


def test_an_interrupt_is_not_swallowed_and_leaves_an_engine_that_decides(
    run_python: RunPython,
) -> None:
    script = """
signal.signal(signal.SIGALRM, signal.default_int_handler)
engine, interrupts = PolicyEngine(policy, ""), 0
while interrupts < 100:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005 + interrupts * 0.000007)
        while True:
            assert engine.evaluate(met).retrain
    except KeyboardInterrupt:
        interrupts += 1
assert engine.evaluate(met).retrain
print(interrupts)
"""
    run = run_python(PREPARED + script)
    assert (run.returncode, run.stdout) == (0, "100\n"), run.stderr


def test_an_engine_from_before_a_fork_decides_nothing_after_it(run_python: RunPython) -> None:
    script = """
engine = PolicyEngine(policy, "")
child = os.fork()
if not child:
    try:
        engine.evaluate(met)
    except PolicyNotDecided as refused:
        os._exit(42 if "before a fork; make one in this process" in str(refused) else 1)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), engine.evaluate(met).retrain)
"""
    assert run_python(PREPARED + script).stdout == "42 True\n"


def test_what_belongs_to_another_process_is_not_touched(engine: PolicyEngine) -> None:
    engine._process = os.getppid()  # as a fork would leave it, without the fork
    for touch in (lambda: engine.evaluate(ALL_MET), engine.close):
        with pytest.raises(PolicyNotDecided, match="made before a fork"):
            touch()
    engine._process = os.getpid()
    assert engine.evaluate(ALL_MET).retrain


def test_a_process_that_writes_a_decimal_comma_gets_no_engine_and_no_verdict(
    engine: PolicyEngine,
    policy: Policy,
    decimal_comma: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in decimal_comma.items():
        monkeypatch.setenv(name, value)
    before = locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_NUMERIC, "comma")
    try:
        for ask in (lambda: engine.evaluate(ALL_MET), lambda: PolicyEngine(policy, "")):
            with pytest.raises(PolicyNotDecided, match=r"with ','.*Set LC_NUMERIC to C"):
                ask()
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
    assert engine.evaluate(ALL_MET).retrain
