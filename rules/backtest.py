"""What another policy would have said about recorded facts: the plain evaluation, in bulk.

Checked against the rule engine on an even sample, and on every row within one ulp of a threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.errors import PolicyNotDecided
from domain.events.verdicts import ROOT, Operator, PolicyVerdict, Verdict
from rules.engine import PolicyEngine
from rules.facts import RETRAINING_FACT, Facts, check_facts
from rules.plain import after_never
from rules.policy import Policy

SAMPLE_ROWS: Final = 200  # of a back-test, put to the engine as well

COMPARE: Final[Mapping[Operator, np.ufunc]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}

Column = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFacts:
    """The facts of one decision, as the ledger remembers them."""

    facts: Facts
    never_retrained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FactColumns:
    """Many recorded facts, column by column; NaN is an unknown fact."""

    columns: Mapping[str, Column]  # fact -> one value per row, each column `rows` long
    never_retrained: Flags  # one per row

    @property
    def rows(self) -> int:
        """How many recorded facts there are."""
        return len(self.never_retrained)

    def row(self, index: int) -> RecordedFacts:
        """One row again as the facts of one decision."""
        values = ((name, float(column[index])) for name, column in self.columns.items())
        return RecordedFacts(
            facts={name: None if np.isnan(value) else value for name, value in values},
            never_retrained=bool(self.never_retrained[index]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTest:
    """What the policy would have said, row by row."""

    retrain: Flags  # the root is met
    met: Mapping[str, Flags]  # clause -> rows that meet it
    unknown: Mapping[str, Flags]  # clause -> rows whose fact is unknown
    nodes_met: Mapping[str, Flags]  # node -> rows that meet it
    nodes_unknown: Mapping[str, Flags]  # node -> rows where it is unknown
    checked: int  # rows whose verdict the rule engine confirmed

    def verdicts(self, index: int) -> dict[str, Verdict]:
        """Clause -> verdict in one row."""
        return _verdicts(self.met, self.unknown, index)

    def node_verdicts(self, index: int) -> dict[str, Verdict]:
        """Node -> verdict in one row."""
        return _verdicts(self.nodes_met, self.nodes_unknown, index)


def _verdicts(
    met: Mapping[str, Flags], unknown: Mapping[str, Flags], index: int
) -> dict[str, Verdict]:
    return {
        name: "met" if flags[index] else "unknown" if unknown[name][index] else "unmet"
        for name, flags in met.items()
    }


def recorded_facts(verdict: PolicyVerdict) -> RecordedFacts:
    """The facts of a recorded decision, whatever its own policy asked for.

    Decisions of schema 1 whose policy asked for no cool-down do not say that a model was never
    retrained: there the hours are unknown, and a clause on them does not hold.
    """
    return RecordedFacts(facts=verdict.facts, never_retrained=verdict.never_retrained)


def fact_columns(recorded: Iterable[RecordedFacts]) -> FactColumns:
    """Recorded facts as columns, in their order.

    Raises:
        PolicyNotDecided: a fact is none that a policy may name, or an impossible value.
    """
    rows = tuple(recorded)
    checked = [check_facts(row.facts, row.never_retrained) for row in rows]
    names = dict.fromkeys(name for facts in checked for name in facts)
    return FactColumns(
        columns={
            name: np.array([facts.get(name) for facts in checked], dtype=np.float64)
            for name in names
        },
        never_retrained=np.array([row.never_retrained for row in rows], dtype=np.bool_),
    )


def backtest(
    policy: Policy, recorded: FactColumns, engine: PolicyEngine, *, sample_rows: int = SAMPLE_ROWS
) -> BackTest:
    """What `policy` would have concluded from each row of `recorded`.

    `engine` holds the same policy. `sample_rows` rows evenly spread, and each distinct row within
    one ulp of a threshold, are put to it too.

    Raises:
        PolicyNotDecided: the engine says otherwise on one of them, or a value is impossible.
    """
    met: dict[str, Flags] = {}
    unknown: dict[str, Flags] = {}
    near: Flags = np.zeros(recorded.rows, dtype=np.bool_)
    nothing_known: Column = np.full(recorded.rows, np.nan)
    for clause in policy.clauses:
        observed = recorded.columns.get(clause.fact, nothing_known)
        met[clause.name] = COMPARE[clause.op](observed, clause.threshold)  # NaN compares false
        unknown[clause.name] = np.isnan(observed)
        if clause.fact == RETRAINING_FACT:
            met[clause.name] = np.where(
                recorded.never_retrained, after_never(clause.op) == "met", met[clause.name]
            )
            unknown[clause.name] &= ~recorded.never_retrained
        below, above = np.nextafter(clause.threshold, [-np.inf, np.inf])
        near |= (below <= observed) & (observed <= above)
    nodes_met, nodes_unknown = _nodes(policy, met, unknown)
    result = BackTest(
        retrain=nodes_met[ROOT],
        met=met,
        unknown=unknown,
        nodes_met=nodes_met,
        nodes_unknown=nodes_unknown,
        checked=0,
    )
    checked = _confirm(result, recorded, engine, _rows_to_check(recorded, near, sample_rows))
    return replace(result, checked=checked)


def _nodes(
    policy: Policy, met: Mapping[str, Flags], unknown: Mapping[str, Flags]
) -> tuple[dict[str, Flags], dict[str, Flags]]:
    """Where each node is met, and where it is unknown."""
    nodes_met: dict[str, Flags] = {}
    nodes_unknown: dict[str, Flags] = {}
    for node in reversed(policy.nodes):  # what a node joins stands after it
        of_met = [nodes_met[name] if name in nodes_met else met[name] for name in node.of]
        of_unknown = [
            nodes_unknown[name] if name in nodes_unknown else unknown[name] for name in node.of
        ]
        if node.operator == "all":
            nodes_met[node.name] = np.logical_and.reduce(of_met)
            decided = ~np.logical_and.reduce(
                [m | u for m, u in zip(of_met, of_unknown, strict=True)]
            )
        else:
            nodes_met[node.name] = decided = np.logical_or.reduce(of_met)
        nodes_unknown[node.name] = np.logical_or.reduce(of_unknown) & ~decided
    return nodes_met, nodes_unknown


def _rows_to_check(recorded: FactColumns, near: Flags, sample_rows: int) -> Sequence[int]:
    """The sample, and one row of each distinct set of facts near a threshold."""
    sample = np.linspace(0, recorded.rows - 1, min(sample_rows, recorded.rows)).astype(np.int64)
    close = np.flatnonzero(near)
    facts = [np.nan_to_num(column[close], nan=-1.0) for column in recorded.columns.values()]
    table = np.column_stack([*facts, recorded.never_retrained[close]])
    _, first = np.unique(table, axis=0, return_index=True)
    indexes: list[int] = np.union1d(sample, close[first]).tolist()
    return indexes


def _confirm(
    result: BackTest, recorded: FactColumns, engine: PolicyEngine, rows: Sequence[int]
) -> int:
    for index in rows:
        row = recorded.row(index)
        verdict = engine.evaluate(row.facts, row.never_retrained)
        heard = {clause.clause: clause.verdict for clause in verdict.clauses}
        said = result.verdicts(index)
        heard |= {node.node: node.verdict for node in verdict.nodes}
        said |= result.node_verdicts(index)
        if said != heard:
            raise PolicyNotDecided(
                f"row {index} of the back-test: the rule engine says {heard}, the bulk evaluation "
                f"{said} of {row.facts}. Give it an engine of the policy it is to test."
            )
    return len(rows)
