"""The tree of a policy: nodes that join clauses, and nodes, by `all` or by `any`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from domain.events.verdicts import ROOT, Junction
from domain.faults import Fault
from domain.reported_faults import reported_faults
from rules.clause import CLAUSE_REMEDIES, Clause

CLAUSES_MAX: Final = 16  # a person must be able to read why a model changed
DEPTH_MAX: Final = 2  # nodes below the root; three "or"s within "and"s are read by nobody
JUNCTIONS: Final[tuple[Junction, ...]] = ("all", "any")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Members joined: met when all of them are, or when any of them is."""

    name: str  # 'when' for the root, 'when.3' for its third member
    operator: Junction
    of: tuple[str, ...]  # the names of its members, clauses and nodes, in the document's order


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The clauses of a policy in the document's order, and its nodes, the root first."""

    clauses: tuple[Clause, ...]
    nodes: tuple[Node, ...]  # each before the nodes it joins


def read_tree(when: object) -> tuple[Tree | None, list[Fault]]:
    """The tree that the value of `when` holds, and everything that is wrong with it.

    The tree is None when its root is no node.
    """
    reading = _Reading()
    if _junction(when) is None:
        return None, [Fault("/when", "is no node; write {all: […]} or {any: […]}", when)]
    reading.node(when, ROOT, "/when", 0)
    faults = [
        *reading.faults,
        *many_clauses("/when", len(reading.placed)),
        *repeated_names(reading.placed),
    ]
    return Tree(clauses=tuple(reading.clauses), nodes=tuple(reading.nodes)), faults


def many_clauses(path: str, count: int) -> list[Fault]:
    """The fault of naming no clause, or more of them than a person reads."""
    if 1 <= count <= CLAUSES_MAX:
        return []
    many = f"has {count} clauses; name at least 1 and at most {CLAUSES_MAX}"
    return [Fault(path, many, count)]


def repeated_names(placed: Iterable[tuple[str, object]]) -> list[Fault]:
    """One fault for each clause, given with its JSON pointer, that an earlier one is named like."""
    faults: list[Fault] = []
    seen: set[str] = set()
    for path, clause in placed:
        name = clause.get("name") if isinstance(clause, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            said = f"{name!r} names an earlier clause too; rename it"
            faults.append(Fault(f"{path}/name", said, name))
        seen.add(name)
    return faults


def _junction(value: object) -> Junction | None:
    """By what a node joins its members; None for what is no node."""
    named = [name for name in JUNCTIONS if isinstance(value, dict) and name in value]
    return named[0] if named else None


@dataclass(slots=True)
class _Reading:
    """What was read of a tree so far."""

    clauses: list[Clause] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    placed: list[tuple[str, object]] = field(default_factory=list)  # JSON pointer, clause as sent

    def node(self, value: Any, name: str, path: str, depth: int) -> None:
        """Read a node, its members, and theirs."""
        operator = _junction(value)
        assert operator is not None  # noqa: S101 - who calls has looked
        for other in value.keys() - {operator}:
            said = f"{str(other)[:100]!r} stands beside {operator!r}; a node has one field"
            self.faults.append(Fault(path, f"{said}, all or any", None))
        members = value[operator]
        if not isinstance(members, list) or not members:
            said = f"{operator} joins nothing; write a list of clauses and nodes"
            self.faults.append(Fault(f"{path}/{operator}", said, members))
            return
        place = len(self.nodes)
        names: list[str] = []
        self.nodes.append(Node(name=name, operator=operator, of=()))
        for index, member in enumerate(members):
            at = f"{path}/{operator}/{index}"
            if _junction(member) is None:
                names.append(self.clause(member, at))
            elif depth == DEPTH_MAX:
                said = f"is a node more than {DEPTH_MAX} below `when`; say it with fewer, or in two"
                self.faults.append(Fault(at, f"{said} policies", None))
            else:
                names.append(f"{name}.{index + 1}")
                self.node(member, names[-1], at, depth + 1)
        self.nodes[place] = Node(name=name, operator=operator, of=tuple(names))

    def clause(self, value: Any, path: str) -> str:
        """Read a clause; its name, empty when it cannot be read."""
        self.placed.append((path, value))
        try:
            clause = Clause.model_validate(value)
        except ValidationError as error:
            found = error.errors(include_url=False)
            self.faults += reported_faults(found, value, below=path, remedies=CLAUSE_REMEDIES)
            return ""
        if clause.name == ROOT:
            said = f"{ROOT!r} is what the policy's first node is called; name the clause otherwise"
            self.faults.append(Fault(f"{path}/name", said, ROOT))
        self.clauses.append(clause)
        return clause.name
