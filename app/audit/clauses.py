"""The clauses of a decision in words: what was observed, what was needed, how far apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import asdict

from domain.events.verdicts import (
    ClauseVerdict,
    Junction,
    NodeVerdict,
    PolicyVerdict,
    Verdict,
    clause_sentence,
    needs_in_words,
    observed_in_words,
    with_unit,
)
from rules.facts import FACTS

SYMBOL: Final[Mapping[Verdict, str]] = {"met": "✓", "unmet": "✗", "unknown": "?"}


class Clause(ClauseVerdict, frozen=True, kw_only=True):
    """One clause as recorded, exact, and the words it is shown with everywhere."""

    symbol: str
    figure: str  # what was observed, with its unit; or a word instead
    shown: str  # what was observed, with its unit and what it is worth; or a word instead
    needs: str  # '> 24 h'
    distance: str  # how far past the threshold or short of it; empty when nothing was observed
    band: str  # where the observed value lies: 'significant'; empty for a fact without bands
    sentence: str  # 'cool-down 20.8 h (needs > 24 h)', as the verdict sentence has it


class Node(NodeVerdict, frozen=True, kw_only=True):
    """One node of a policy's tree as recorded, and the words it is shown with everywhere."""

    symbol: str
    joins: str  # 'new samples and (feature drift or error ratio)'


def nodes_of(verdict: PolicyVerdict) -> tuple[Node, ...]:
    """The nodes, the root first; none where every clause is needed, for then they add nothing."""
    if len(verdict.nodes) == 1 and verdict.nodes[0].operator == "all":
        return ()
    joins = {clause.clause: (clause.label, False) for clause in verdict.clauses}
    for node in reversed(verdict.nodes):  # what a node joins stands after it
        joins[node.node] = (_joined(node.operator, [joins[name] for name in node.of]), True)
    return tuple(
        Node(**asdict(node), symbol=SYMBOL[node.verdict], joins=joins[node.node][0])
        for node in verdict.nodes
    )


def _joined(operator: Junction, members: Sequence[tuple[str, bool]]) -> str:
    words = [f"({label})" if is_node else label for label, is_node in members]
    return (" and " if operator == "all" else " or ").join(words)


def clauses_of(recorded: Sequence[ClauseVerdict]) -> tuple[Clause, ...]:
    """The clauses in the policy's order."""
    return tuple(
        Clause(
            **asdict(clause),
            symbol=SYMBOL[clause.verdict],
            figure=observed_in_words(clause),
            shown=_shown(clause),
            needs=needs_in_words(clause),
            distance=_distance(clause),
            band=_band(clause),
            sentence=clause_sentence(clause),
        )
        for clause in recorded
    )


def _shown(clause: ClauseVerdict) -> str:
    observed = observed_in_words(clause)
    if clause.observed is None or not clause.note:
        return observed
    return f"{observed} ({clause.note})"


def _distance(clause: ClauseVerdict) -> str:
    if clause.margin is None:
        return ""
    size = with_unit(abs(clause.margin), clause.unit)
    if clause.verdict == "met":
        return f"{size} past the bound"
    return f"{size} short of it" if clause.margin else "exactly at the bound, which is not enough"


def _band(clause: ClauseVerdict) -> str:
    spec = FACTS.get(clause.fact)
    if spec is None or spec.band is None or clause.observed is None:
        return ""
    return spec.band(clause.observed)
