"""What durable-rules 2.0.28 does, line by line: another version is noticed here.

These are observations, not wishes: each is the reason for something in rules/engine.py, and a test
that fails says which precaution to think through again. docs/decisions/0003 has the list.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import threading

import pytest
from durable.engine import Host, MessageNotHandledException, Ruleset, durable_rules_engine

from tests.rules.conftest import RunPython

HANDLED, UNHANDLED = 0, 1
ORDERS = ("$gt", "$gte", "$lt", "$lte")


def status(operator: str, threshold: str, value: str) -> int:
    """What asserting {x: value} answers when the one rule compares x with the threshold."""
    rule = f'{{"r":{{"all":[{{"m":{{"{operator}":{{"x":{threshold}}}}}}}]}}}}'
    return HANDLED if firings(rule, "assert_fact", value) else UNHANDLED


def firings(definition: str, verb: str, value: str) -> list[str]:
    """The rules that hold on {x: value}, all taken before the session is deleted."""
    handle = durable_rules_engine.create_ruleset("observed", definition)
    status, state = getattr(durable_rules_engine, verb)(handle, f'{{"sid":"0","x":{value}}}')
    if status != HANDLED:
        return []  # and no clean-up, which would be a crash: see below
    fired: list[str] = []
    _, action = durable_rules_engine.start_action_for_state(handle, state)
    while action:
        fired.extend(json.loads(action))
        action = durable_rules_engine.complete_and_start_action(handle, state)
    durable_rules_engine.delete_state(handle, "0")
    durable_rules_engine.delete_ruleset(handle)
    return fired


def test_the_version_observed_is_the_version_installed() -> None:
    assert importlib.metadata.version("durable-rules") == "2.0.28"


def test_a_value_with_an_exponent_and_no_point_is_error_204() -> None:
    assert json.dumps(1e-05) == "1e-05"
    with pytest.raises(durable_rules_engine.error, match="204"):
        status("$gt", "0.2", "1e-05")
    assert status("$lt", "0.2", "1.0e-05") == HANDLED


def test_a_threshold_with_an_exponent_and_no_point_is_error_204() -> None:
    with pytest.raises(durable_rules_engine.error, match="204"):
        status("$gt", "1e-05", "0.2")
    assert status("$gt", "1.0e-05", "0.2") == HANDLED


def test_a_batch_silently_drops_a_bad_number_and_everything_after_it() -> None:
    handle = durable_rules_engine.create_ruleset("b", '{"r":{"all":[{"m":{"$gt":{"x":0.2}}}]}}')
    batch = (
        '[{"sid":"0","id":"1","x":1.0},{"sid":"0","id":"2","x":1e-05},{"sid":"0","id":"3","x":2.0}]'
    )
    assert durable_rules_engine.assert_facts(handle, batch)[0] == HANDLED
    kept = json.loads(durable_rules_engine.get_facts(handle, "0"))
    assert [fact["id"] for fact in kept] == ["1"]


@pytest.mark.parametrize("value", ["NaN", "null"])
def test_nan_and_null_match_neither_a_clause_nor_its_complement(value: str) -> None:
    assert [status(order, "50", value) for order in ORDERS] == [UNHANDLED] * 4


@pytest.mark.parametrize(("value", "code"), [("Infinity", "202"), ("-Infinity", "204")])
def test_infinity_is_an_error(value: str, code: str) -> None:
    with pytest.raises(durable_rules_engine.error, match=code):
        status("$gt", "50", value)


def test_a_text_is_above_every_number() -> None:
    assert [status(order, "50", '"abc"') for order in ORDERS] == [HANDLED] * 2 + [UNHANDLED] * 2


def test_true_is_below_fifty() -> None:
    assert [status(order, "50", "true") for order in ORDERS] == [UNHANDLED] * 2 + [HANDLED] * 2


@pytest.mark.parametrize("threshold", ["NaN", "null"])
def test_a_threshold_of_nan_or_null_is_accepted_and_never_matches(threshold: str) -> None:
    assert [status(order, threshold, "60") for order in ORDERS] == [UNHANDLED] * 4


def test_whole_numbers_are_compared_in_full_up_to_two_to_the_53() -> None:
    assert status("$gt", "9007199254740990", "9007199254740991") == HANDLED
    assert status("$gt", "9007199254740991", "9007199254740991") == UNHANDLED


def test_a_decimal_comma_makes_nine_tenths_smaller_than_two_tenths(
    run_python: RunPython, decimal_comma: dict[str, str]
) -> None:
    script = """
import locale, durable_rules_engine as d
def status():
    handle = d.create_ruleset("c", '{"r":{"all":[{"m":{"$gt":{"x":0.2}}}]}}')
    return d.assert_fact(handle, '{"sid":"0","x":0.9}')[0]
before = status()
locale.setlocale(locale.LC_NUMERIC, "comma")
print(before, status(), locale.localeconv()["decimal_point"])
"""
    assert run_python(script, **decimal_comma).stdout == f"{HANDLED} {UNHANDLED} ,\n"


def test_a_session_that_was_never_used_cannot_be_deleted() -> None:
    handle = durable_rules_engine.create_ruleset("s", '{"r":{"all":[{"m":{"$gt":{"x":0.2}}}]}}')
    with pytest.raises(durable_rules_engine.error, match="309"):
        durable_rules_engine.delete_state(handle, "0")
    durable_rules_engine.delete_ruleset(handle)


def test_a_stock_host_starts_threads_that_nothing_stops(run_python: RunPython) -> None:
    script = """
from durable.engine import Host
host = Host()
for thread in (host._d_timer, host._t_timer): thread.join()  # each has started the next by then
print([thread.is_alive() for thread in (host._d_timer, host._t_timer)])
"""
    assert run_python(script).stdout == "[True, True]\n"
    assert not [name for name in dir(Host) if "stop" in name or "close" in name]


def test_a_ruleset_alone_starts_no_thread() -> None:
    before = threading.active_count()
    rule = {"all": [{"m": {"$gt": {"x": 0.2}}}], "run": lambda c: None}
    ruleset = Ruleset("alone", None, {"r": rule})
    ruleset.do_actions(ruleset.assert_fact({"sid": "0", "x": 0.9}), lambda error, state: None)
    assert threading.active_count() == before
    ruleset.delete_state("0")
    durable_rules_engine.delete_ruleset(ruleset._handle)


def test_an_interrupt_in_an_action_is_swallowed_and_sticks(run_python: RunPython) -> None:
    script = """
from durable.engine import Ruleset
seen = []
def act(c):
    seen.append(c.s.exception is not None)
    if len(seen) == 1:
        raise KeyboardInterrupt
ruleset = Ruleset("a", None, {"r": {"all": [{"m": {"$gt": {"x": 0.2}}}], "run": act}})
errors = []
for number in range(3):
    state = ruleset.assert_fact({"sid": "0", "id": str(number), "x": 0.9})
    ruleset.do_actions(state, lambda error, _: errors.append(error))
print(seen, errors)
"""
    assert run_python(script).stdout == "[False, True, True] [None, None, None]\n"


def test_eight_threads_on_one_session_go_without_most_of_their_decisions(
    run_python: RunPython,
) -> None:
    script = """
import threading
from durable.engine import Ruleset
here, undecided = threading.local(), []
def act(c):
    here.decided = True
ruleset = Ruleset("t", None, {"r": {"all": [{"m": {"$gt": {"x": 0.2}}}], "run": act}})
def ask(thread):
    for number in range(1000):
        here.decided = False
        fact = {"sid": "0", "id": f"{thread}-{number}", "x": 0.9}
        ruleset.do_actions(ruleset.assert_fact(fact), lambda error, state: None)
        if not here.decided:
            undecided.append(number)
threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(undecided))
"""
    run = run_python(script)
    assert run.returncode != 0 or int(run.stdout) > 0, run


def test_a_message_that_no_rule_matches_is_an_exception_of_the_library() -> None:
    rule = {"all": [{"m": {"$gt": {"x": 0.2}}}], "run": lambda c: None}
    ruleset = Ruleset("unmatched", None, {"r": rule})
    with pytest.raises(MessageNotHandledException, match="sid"):
        ruleset.assert_fact({"sid": "0", "x": 0.1})


def test_a_bare_absence_rule_never_returns() -> None:
    script = """
from durable.lang import m, post, ruleset, when_all
fired = []
with ruleset("absent"):
    @when_all(-m.x)
    def act(c):
        fired.append(1)
        if len(fired) % 100 == 0:
            print("still firing", flush=True)
post("absent", {"y": 1})
print("returned", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(100):
            assert process.stdout.readline() == b"still firing\n"
        process.kill()
        assert b"returned" not in process.stdout.read()


def test_an_or_fires_once_for_each_branch_that_is_true() -> None:
    rule = '{"r":{"all":[{"m":{"$or":[{"$gt":{"x":0.2}},{"$gt":{"x":0.1}}]}}]}}'
    assert firings(rule, "assert_fact", "0.9") == ["r", "r"]


def test_an_event_is_consumed_by_the_first_rule_and_a_fact_by_none() -> None:
    rules = '{"a":{"all":[{"m":{"$gt":{"x":0.2}}}]},"b":{"all":[{"m":{"$gt":{"x":0.1}}}]}}'
    assert len(firings(rules, "assert_event", "0.9")) == 1
    assert sorted(firings(rules, "assert_fact", "0.9")) == ["a", "b"]
