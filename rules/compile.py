"""A policy as a durable-rules definition: pure data, inside the engine's safe subset.

Every rule looks at a single message. Each clause becomes a `met` and an `unmet` rule over the
facts, so the engine itself says which held; the strict AND is a second message that carries the
verdicts. A tree is asked node by node: a message a node, with the verdicts of what it joins.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from domain.canonical import INTEGER_MAX
from domain.errors import NotCanonical
from domain.events.verdicts import ROOT, Junction, NodeVerdict, Operator, Verdict
from rules.facts import RETRAINING_FACT
from rules.plain import after_never
from rules.policy import Policy
from rules.tree import Node

Definition = dict[str, dict[str, Any]]  # rule name -> what it matches

DECISION: Final = "retrain"
NEVER_FIELD: Final = "never_retrained"
NEVER_VALUE: Final = "yes"
NODE_FIELD: Final = "node"  # which node a message is about
DECIDING: Final = "decision"  # what stands there in the message that asks what follows

_MET: Final[Mapping[Operator, str]] = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_UNMET: Final[Mapping[Operator, str]] = {">": "$lte", ">=": "$lt", "<": "$gte", "<=": "$gt"}


def compile_policy(policy: Policy) -> Definition:
    """The rules of `policy` for the engine: up to 3 per clause, what joins them, `retrain`.

    No `-m.x`, no `$or`, no join: those run for ever, fire twice or read outside their memory.
    """
    rules: Definition = {}
    for clause in policy.clauses:
        bound = {clause.fact: clause.threshold}
        rules[f"{clause.name}.met"] = _on_message({_MET[clause.op]: bound})
        rules[f"{clause.name}.unmet"] = _on_message({_UNMET[clause.op]: bound})
        if clause.fact == RETRAINING_FACT:
            rule = f"{clause.name}.{after_never(clause.op)}.{NEVER_FIELD}"
            rules[rule] = _on_message({NEVER_FIELD: NEVER_VALUE})
    if policy.tree:
        for node in policy.nodes:
            rules |= _rules_of_node(node)
        return rules | _decisions_on_the_root()
    every_met = [{verdict_field(clause.name): "met"} for clause in policy.clauses]
    rules[DECISION] = _on_message({"$and": every_met} if len(every_met) > 1 else every_met[0])
    for clause in policy.clauses:
        rules[keep_rule(clause.name)] = _on_message({"$neq": {verdict_field(clause.name): "met"}})
    return rules


def _rules_of_node(node: Node) -> Definition:
    """Which rules say what a node comes to: one for all its members, or one a member.

    `all`: `met` on every member; `unmet.<member>` on each that is unmet; `unknown.<member>` on each
    that is unknown while none is unmet. `any` is its mirror.
    """
    decisive, other = _decisive_and_other(node.operator)
    rules = {
        node_rule(node.name, other): _about(node.name, [{verdict_field(m): other} for m in node.of])
    }
    for member in node.of:
        at = verdict_field(member)
        rules[node_rule(node.name, decisive, member)] = _about(node.name, [{at: decisive}])
        rules[node_rule(node.name, "unknown", member)] = _about(
            node.name,
            [
                {at: "unknown"},
                *({"$neq": {verdict_field(m): decisive}} for m in node.of if m != member),
            ],
        )
    return rules


def _decisions_on_the_root() -> Definition:
    root = verdict_field(ROOT)
    rules = {DECISION: _about(DECIDING, [{root: "met"}])}
    for verdict in ("unmet", "unknown"):
        rules[keep_rule(verdict)] = _about(DECIDING, [{root: verdict}])
    return rules


def node_firings(node: NodeVerdict, verdicts: Mapping[str, Verdict]) -> list[str]:
    """The rules that say what the node comes to, where its members have these verdicts."""
    _, other = _decisive_and_other(node.operator)
    if node.verdict == other:
        return [node_rule(node.node, other)]
    return [node_rule(node.node, node.verdict, m) for m in node.of if verdicts[m] == node.verdict]


def _decisive_and_other(operator: Junction) -> tuple[Verdict, Verdict]:
    """The verdict that one member decides a node by, and the one it has when all have it."""
    return ("unmet", "met") if operator == "all" else ("met", "unmet")


def node_rule(node: str, verdict: Verdict, member: str = "") -> str:
    """The rule that holds when the node comes to `verdict`, on account of one member if named.

    >>> node_rule("when.2", "unknown", "cool_down"), node_rule("when", "met")
    ('when.2/unknown/cool_down', 'when/met')
    """
    return "/".join(filter(None, (node, verdict, member)))


def _about(node: str, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """A rule on a message about this node: without its name, a field that is missing might hold."""
    return _on_message({"$and": [{NODE_FIELD: node}, *conditions]})


def clause_rules(policy: Policy) -> dict[str, tuple[str, Verdict]]:
    """Which (clause, verdict) each rule over the facts stands for."""
    rules: dict[str, tuple[str, Verdict]] = {}
    for clause in policy.clauses:
        rules[f"{clause.name}.met"] = (clause.name, "met")
        rules[f"{clause.name}.unmet"] = (clause.name, "unmet")
        if clause.fact == RETRAINING_FACT:
            verdict = after_never(clause.op)
            rules[f"{clause.name}.{verdict}.{NEVER_FIELD}"] = (clause.name, verdict)
    return rules


def verdict_field(name: str) -> str:
    """The field that carries the verdict of a clause or node; never a fact's name.

    >>> verdict_field("cool_down"), verdict_field("when.2")
    ('verdict_cool_down', 'node_when_2')
    """
    return f"node_{name.replace('.', '_')}" if "." in name else f"verdict_{name}"


def keep_rule(why: str) -> str:
    """The rule that keeps: because of a clause that is not met, or of what the root came to."""
    return f"keep.{why}"


def engine_text(value: object) -> str:
    """`value` as JSON that the engine reads as Python would: numbers have a point.

    Raises:
        NotCanonical: NaN, infinity, an integer beyond 2^53 - 1, or a type other than a dict, list,
            text or number; the engine accepts some of these and then matches nothing, or anything.
    """
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(k)}:{engine_text(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(engine_text, value))}]"
    if isinstance(value, str):
        return json.dumps(value)
    return engine_number(value)


def engine_number(value: object) -> str:
    """A finite number as the engine reads it: `1.0e-05`, where `json.dumps` writes `1e-05`.

    Raises:
        NotCanonical: anything but a finite int or float with |int| <= 2^53 - 1.

    >>> engine_number(1e-05), engine_number(1.5e300), engine_number(50), engine_number(0.2)
    ('1.0e-05', '1.5e+300', '50', '0.2')
    """
    kind = type(value)
    if kind is int and abs(value) <= INTEGER_MAX:  # type: ignore[arg-type]
        return repr(value)
    if kind is not float or not math.isfinite(value):  # type: ignore[arg-type]
        raise NotCanonical(
            f"{value!r} is not a finite number (whole numbers up to 2^53 - 1); "
            "the rule engine would not compare it. Leave it out."
        )
    mantissa, exponent, power = repr(value).partition("e")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{exponent}{power}"


def _on_message(condition: dict[str, Any]) -> dict[str, Any]:
    return {"all": [{"m": condition}]}
