"""The policy read without the engine: the second of the two evaluations that must agree."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from domain.events.verdicts import ClauseVerdict, NodeVerdict, Operator, Verdict, joined
from rules.clause import Clause
from rules.facts import RETRAINING_FACT
from rules.policy import Policy

NEVER_RETRAINED: Final = "never retrained"
NOT_MEASURED: Final = "unknown: not measured"

HOLDS: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def evaluate_plainly(
    policy: Policy, facts: Mapping[str, float | None], never_retrained: bool = False
) -> tuple[ClauseVerdict, ...]:
    """Each clause against the facts, in the policy's order.

    `facts` are as `rules.facts.check_facts` returns them. An unknown fact makes its clause
    `unknown`, which is not met. A model that was never retrained has waited longer than any bound.
    """
    return tuple(
        _never_retrained(clause)
        if never_retrained and clause.fact == RETRAINING_FACT
        else _against(clause, facts.get(clause.fact))
        for clause in policy.clauses
    )


def nodes_plainly(policy: Policy, clauses: Sequence[ClauseVerdict]) -> tuple[NodeVerdict, ...]:
    """Each node over the verdicts of its members, in the policy's order. The first one decides."""
    verdicts = {clause.clause: clause.verdict for clause in clauses}
    of_nodes: dict[str, Verdict] = {}
    for node in reversed(policy.nodes):  # what a node joins stands after it
        of = [of_nodes[name] if name in of_nodes else verdicts[name] for name in node.of]
        of_nodes[node.name] = joined(node.operator, of)
    return tuple(
        NodeVerdict(node=node.name, operator=node.operator, of=node.of, verdict=of_nodes[node.name])
        for node in policy.nodes
    )


def after_never(op: Operator) -> Verdict:
    """The verdict of a clause on the hours since a retraining that never was: endless."""
    return "met" if op in (">", ">=") else "unmet"


def _against(clause: Clause, observed: float | None) -> ClauseVerdict:
    if observed is None:
        return _verdict(clause, None, "unknown", None, NOT_MEASURED)
    held = HOLDS[clause.op](observed, clause.threshold)
    above = observed - clause.threshold
    # Adding 0.0 turns a margin of -0.0 into 0.0, which is how people write it.
    margin = (above if clause.op in (">", ">=") else -above) + 0.0
    return _verdict(clause, observed, "met" if held else "unmet", margin, "")


def _never_retrained(clause: Clause) -> ClauseVerdict:
    return _verdict(clause, None, after_never(clause.op), None, NEVER_RETRAINED)


def _verdict(
    clause: Clause, observed: float | None, verdict: Verdict, margin: float | None, note: str
) -> ClauseVerdict:
    return ClauseVerdict(
        clause=clause.name,
        fact=clause.fact,
        label=clause.label,
        operator=clause.op,
        threshold=clause.threshold,
        unit=clause.unit,
        observed=observed,
        verdict=verdict,
        margin=margin,
        note=note,
    )
