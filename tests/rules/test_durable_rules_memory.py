"""Where durable-rules 2.0.28 crashes, misreads memory or leaks: each in a process of its own."""

from __future__ import annotations

import signal

import pytest

from tests.rules.conftest import RunPython

JOIN = """
import sys, durable_rules_engine as d
verb, clean, clauses = sys.argv[1], sys.argv[2], range(int(sys.argv[3]))
parts = ['{"m_%d":{"$and":[{"c":"c%d"},{"v":"met"}]}}' % (i, i) for i in clauses]
handle = d.create_ruleset("join", '{"retrain":{"all":[%s]}}' % ",".join(parts))
for number in range(200):
    messages = ['{"sid":"0","id":"%d-%d","c":"c%d","v":"met"}' % (number, i, i) for i in clauses]
    for message in messages:
        state = getattr(d, verb)(handle, message)[1]
        action = d.start_action_for_state(handle, state)
        while action:
            action = d.complete_and_start_action(handle, state)
    if clean == "retract_fact":
        for message in messages:
            d.retract_fact(handle, message)
    else:
        d.delete_state(handle, "0")
print("whole")
"""


def test_a_join_over_several_events_reads_outside_its_memory(
    run_python: RunPython, guarded_memory: dict[str, str]
) -> None:
    run = run_python(JOIN, "assert_event", "delete_state", "4", **guarded_memory)
    assert (run.returncode, run.stdout) == (-signal.SIGSEGV, "")


def test_retracting_joined_facts_one_by_one_reads_outside_its_memory(
    run_python: RunPython, guarded_memory: dict[str, str]
) -> None:
    run = run_python(JOIN, "assert_fact", "retract_fact", "8", **guarded_memory)
    assert (run.returncode, run.stdout) == (-signal.SIGSEGV, "")


def test_a_join_over_facts_cleaned_by_delete_state_alone_stays_inside_its_memory(
    run_python: RunPython, guarded_memory: dict[str, str]
) -> None:
    run = run_python(JOIN, "assert_fact", "delete_state", "8", **guarded_memory)
    assert (run.returncode, run.stdout) == (0, "whole\n")


def test_the_1025th_session_is_a_memory_error_and_using_it_again_a_crash(
    run_python: RunPython,
) -> None:
    script = """
import durable_rules_engine as d
handle = d.create_ruleset("s", '{"r":{"all":[{"m":{"$gt":{"x":0.2}}}]}}')
for session in range(1, 1100):
    try:
        d.assert_fact(handle, '{"sid":"s%d","x":1.0}' % session)
    except MemoryError:
        print(session, flush=True)
        break
d.assert_fact(handle, '{"sid":"s%d","x":1.0}' % session)
print("survived")
"""
    run = run_python(script)
    assert (run.returncode, run.stdout) == (-signal.SIGSEGV, "1025\n")


@pytest.mark.parametrize("value", ["0.1", "0.9"])
def test_deleting_a_session_whose_rules_were_never_taken_is_a_crash(
    run_python: RunPython, value: str
) -> None:
    script = """
import sys, durable_rules_engine as d
for _ in range(100):
    handle = d.create_ruleset("w", '{"r":{"all":[{"m":{"$gt":{"x":0.2}}}]}}')
    d.assert_fact(handle, '{"sid":"0","x":%s}' % sys.argv[1])
    d.delete_state(handle, "0")
print("survived")
"""
    # glibc fills new blocks with 0x55: a pointer that is never set then points nowhere.
    run = run_python(script, value, MALLOC_PERTURB_="170")
    assert (run.returncode, run.stdout) == (-signal.SIGSEGV, "")


@pytest.mark.parametrize(
    ("calls", "leaks"),
    [
        ("", True),
        ("delete_state", True),
        ("delete_ruleset", True),
        ("delete_state delete_ruleset", False),
    ],
)
def test_a_ruleset_leaks_unless_both_its_state_and_itself_are_deleted(
    run_python: RunPython, calls: str, leaks: bool
) -> None:
    script = """
import sys, durable_rules_engine as d
def resident_pages():
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1])
def once(calls):
    handle = d.create_ruleset("l", '{"r":{"all":[{"m":{"$gt":{"x":0.2}}}]}}')
    state = d.assert_fact(handle, '{"sid":"0","x":1.0}')[1]
    action = d.start_action_for_state(handle, state)
    while action: action = d.complete_and_start_action(handle, state)
    if "delete_state" in calls: d.delete_state(handle, "0")
    if "delete_ruleset" in calls: d.delete_ruleset(handle)
def grown(calls):
    before = resident_pages()
    for _ in range(300): once(calls)
    return resident_pages() - before
for _ in range(50): once(sys.argv[1])
print(grown(sys.argv[1]), grown(""))
"""
    pages, pages_when_nothing_is_deleted = map(int, run_python(script, calls).stdout.split())
    assert (10 * pages > pages_when_nothing_is_deleted) == leaks
