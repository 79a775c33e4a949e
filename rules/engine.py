"""The one adapter to durable-rules, inside its safe subset: see docs/decisions/0003.

The engine is a pure matcher here: facts in, names of the rules that held out. It is asked about one
policy, in one session whose memory is empty before each question, and never believed alone.
"""

from __future__ import annotations

import json
import locale
import os
import threading
from collections.abc import Mapping
from typing import Any, Final, Self

# The second is the C extension that Ruleset wraps.
from durable.engine import Ruleset, durable_rules_engine

from domain.errors import PolicyNotDecided
from domain.events.verdicts import (
    ROOT,
    ClauseVerdict,
    Firing,
    NodeVerdict,
    PolicyVerdict,
    Verdict,
)
from rules.compile import (
    DECIDING,
    DECISION,
    NEVER_FIELD,
    NEVER_VALUE,
    NODE_FIELD,
    Definition,
    clause_rules,
    compile_policy,
    engine_text,
    keep_rule,
    node_firings,
    verdict_field,
)
from rules.facts import RETRAINING_FACT, Facts, check_facts
from rules.plain import evaluate_plainly, nodes_plainly
from rules.policy import Policy

_HANDLED: Final = 0  # the status of a message that some rule matched
SESSION: Final = "0"  # one for ever: the engine has room for 1,024 and crashes on the next
Message = dict[str, float | str]


class PolicyEngine:
    """One policy, compiled once and evaluated often. Threads take turns; a fork needs its own."""

    def __init__(self, policy: Policy, digest: str, definition: Definition | None = None) -> None:
        """Compile `policy`, whose document has the digest `digest`.

        `definition` replaces what `compile_policy` makes of it; a wrong one decides nothing.

        Raises:
            PolicyNotDecided: the process writes decimals with a comma, or the engine refuses the
                definition.
        """
        self._policy, self._digest = policy, digest
        self._definition = compile_policy(policy) if definition is None else definition
        self._clause_rules = clause_rules(policy)
        self._lock = threading.Lock()
        self._process = os.getpid()
        _refuse_decimal_comma()
        self._closed = False
        self._ruleset: _SafeRuleset | None = self._built()

    def evaluate(self, facts: Mapping[str, object], never_retrained: bool = False) -> PolicyVerdict:
        """What the policy concludes from `facts` (name to value in the fact's unit, None: unknown).

        Raises:
            PolicyNotDecided: a fact is impossible, the engine and the plain evaluation disagree, or
                the engine said too little or too much. Nothing may be retrained on it. The ruleset
                was thrown away; the next evaluation starts with a fresh one.
        """
        offered = check_facts(facts, never_retrained)
        plainly = evaluate_plainly(self._policy, offered, never_retrained)
        nodes = nodes_plainly(self._policy, plainly)
        self._refuse_another_process()
        with self._lock:
            _refuse_decimal_comma()
            if self._closed:
                raise self._not_decided("its engine was closed; make a new one")
            if self._ruleset is None:
                self._ruleset = self._built()
            try:
                trace = self._ask(self._ruleset, offered, never_retrained, plainly, nodes)
            except BaseException:  # an interrupt too leaves working memory nobody knows
                self._throw_away()
                raise
        return PolicyVerdict(
            policy=self._policy.id,
            policy_version=self._policy.version,
            policy_digest=self._digest,
            facts=offered,
            never_retrained=never_retrained,
            clauses=plainly,
            nodes=nodes,
            retrain=nodes[0].verdict == "met",
            trace=trace,
        )

    def close(self) -> None:
        """Give the engine's memory back. Closing twice is closing once."""
        self._refuse_another_process()
        with self._lock:
            self._closed = True
            self._throw_away()

    def __enter__(self) -> Self:
        """The engine itself, closed at the end of the `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close, whatever happened."""
        self.close()

    def _throw_away(self) -> None:
        ruleset, self._ruleset = self._ruleset, None
        if ruleset is not None:
            ruleset.discard()

    def _built(self) -> _SafeRuleset:
        try:
            return _SafeRuleset(self._policy.id, self._definition)
        except durable_rules_engine.error as error:
            raise self._not_decided(f"the rule engine refuses its definition: {error}") from error

    def _ask(
        self,
        ruleset: _SafeRuleset,
        facts: Facts,
        never_retrained: bool,
        plainly: tuple[ClauseVerdict, ...],
        nodes: tuple[NodeVerdict, ...],
    ) -> tuple[Firing, ...]:
        """Ask the engine which clauses hold, then what follows; its trace, when both agree."""
        named = {clause.fact for clause in self._policy.clauses}
        message: Message = {
            name: value for name, value in facts.items() if value is not None and name in named
        }
        if never_retrained and RETRAINING_FACT in named:
            message[NEVER_FIELD] = NEVER_VALUE
        try:
            firings = ruleset.firings(message) if message else ()
            verdicts = self._clause_verdicts(firings, plainly)
            if self._policy.tree:
                return firings + self._ask_tree(ruleset, verdicts, nodes)
            decisions = ruleset.firings({verdict_field(name): v for name, v in verdicts.items()})
        except durable_rules_engine.error as error:
            raise self._not_decided(f"the rule engine failed: {error}") from error
        blocking = [keep_rule(clause.clause) for clause in plainly if clause.verdict != "met"]
        self._agree(decisions, blocking or [DECISION])
        return firings + decisions

    def _ask_tree(
        self, ruleset: _SafeRuleset, verdicts: dict[str, Verdict], nodes: tuple[NodeVerdict, ...]
    ) -> tuple[Firing, ...]:
        """Ask the engine about each node, those it joins first, then what follows from the root.

        A node's message holds the verdicts that the engine itself gave to what the node joins.
        """
        trace: tuple[Firing, ...] = ()
        said = dict(verdicts)
        for node in reversed(nodes):
            of = {verdict_field(member): said[member] for member in node.of}
            firings = ruleset.firings({NODE_FIELD: node.node, **of})
            self._agree(firings, node_firings(node, said), f" of node {node.node!r}")
            said[node.node] = node.verdict  # the rules that fired say this one and no other
            trace += firings
        decisions = ruleset.firings({NODE_FIELD: DECIDING, verdict_field(ROOT): said[ROOT]})
        root = nodes[0].verdict
        self._agree(decisions, [DECISION] if root == "met" else [keep_rule(root)])
        return trace + decisions

    def _clause_verdicts(
        self, firings: tuple[Firing, ...], plainly: tuple[ClauseVerdict, ...]
    ) -> dict[str, Verdict]:
        said: dict[str, list[Verdict]] = {clause.clause: [] for clause in plainly}
        for firing in firings:
            if firing.rule not in self._clause_rules:
                raise self._not_decided(f"rule {firing.rule!r} fired on facts and is no clause's")
            name, verdict = self._clause_rules[firing.rule]
            said[name].append(verdict)
        for clause in plainly:
            expected = [] if clause.verdict == "unknown" else [clause.verdict]
            if said[clause.clause] != expected:
                raise self._not_decided(
                    f"on clause {clause.clause!r} the rule engine says "
                    f"{' and '.join(said[clause.clause]) or 'nothing'}, the plain evaluation "
                    f"{clause.verdict} (observed {clause.observed!r}, needs {clause.operator} "
                    f"{clause.threshold!r})"
                )
        return {name: verdicts[0] if verdicts else "unknown" for name, verdicts in said.items()}

    def _agree(self, fired: tuple[Firing, ...], expected: list[str], of: str = "") -> None:
        said = sorted(firing.rule for firing in fired)
        if said != sorted(expected):
            raise self._not_decided(
                f"the rule engine concludes {', '.join(said) or 'nothing'}{of}, the plain "
                f"evaluation {', '.join(sorted(expected))}"
            )

    def _refuse_another_process(self) -> None:
        if os.getpid() != self._process:
            raise self._not_decided("its engine was made before a fork; make one in this process")

    def _not_decided(self, why: str) -> PolicyNotDecided:
        policy = f"policy {self._policy.id!r} version {self._policy.version}"
        return PolicyNotDecided(f"{policy} did not decide: {why}. Nothing is retrained on it.")


class _SafeRuleset(Ruleset):  # type: ignore[misc]  # the library ships no types
    """A ruleset without a Host: no threads, no timers, no actions to swallow an exception.

    It replaces the constructor and the dispatch of `durable.engine.Ruleset`: `json.dumps` in the
    first writes numbers the engine refuses, and the second swallows KeyboardInterrupt.
    """

    def __init__(self, name: str, definition: Definition) -> None:
        # Not super().__init__: it wants an action per rule, and writes the numbers itself.
        self._order = {rule: index for index, rule in enumerate(definition)}
        self._handle = durable_rules_engine.create_ruleset(name, engine_text(definition))
        self._in_use = False  # the session exists
        self._untaken = False  # a question was asked whose answer was not taken to its end

    def firings(self, message: Message) -> tuple[Firing, ...]:
        """The rules that hold on `message` alone, in the order the policy names them."""
        text = engine_text({"sid": SESSION, **message})
        self._untaken = True  # from before the first call, so that an interrupt finds it so
        self._empty_memory()
        self._in_use = True
        status, state = durable_rules_engine.assert_fact(self._handle, text)
        if status != _HANDLED:
            raise durable_rules_engine.error(f"no rule holds on {message}")
        held = self._held(state)
        self._untaken = False
        found = [_firing(action, message) for action in held]
        return tuple(sorted(found, key=lambda firing: self._order[firing.rule]))

    def _held(self, state: int) -> list[str]:
        """Every rule that holds, taken from the engine one by one until none waits."""
        held: list[str] = []
        _, action = durable_rules_engine.start_action_for_state(self._handle, state)
        while action:
            held.append(action)
            if len(held) > len(self._order):
                raise durable_rules_engine.error(f"more than {len(self._order)} rules held")
            action = durable_rules_engine.complete_and_start_action(self._handle, state)
        return held

    def discard(self) -> None:
        """Free the ruleset. Without both calls, in this order, each one leaks some 150 kB.

        One with an answer not taken is left to leak: `delete_state` would then follow a pointer
        that the engine never set, or freed before.
        """
        if not self._untaken:
            self._empty_memory()
            durable_rules_engine.delete_ruleset(self._handle)

    def _empty_memory(self) -> None:
        if self._in_use:
            self.delete_state(SESSION)


def _firing(action: str, message: Message) -> Firing:
    """The one rule in the engine's answer, which must have matched exactly what it was told."""
    [(rule, matched)] = json.loads(action).items()
    facts: dict[str, Any] = {name: v for name, v in matched["m"].items() if name != "sid"}
    if facts != message:
        raise durable_rules_engine.error(f"rule {rule!r} matched {facts}, was told {message}")
    return Firing(rule=rule, facts=facts)


def _refuse_decimal_comma() -> None:
    """The engine reads numbers as the locale does: with a comma, 0.9 > 0.2 is false."""
    point = str(locale.localeconv()["decimal_point"])
    if point != ".":
        raise PolicyNotDecided(
            f"this process writes decimals with {point!r}, so the rule engine would misread every "
            "number. Set LC_NUMERIC to C and start again."
        )
