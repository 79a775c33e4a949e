"""A policy is data: clauses, each one fact against one threshold, and how they are joined.

A policy document can be read, compared, hashed and recorded. It cannot do anything. Format 1 joins
its clauses by one strict AND; format 2 by a small tree of `all` and `any`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from domain.canonical import INTEGER_MAX
from domain.canonical import digest as canonical_digest
from domain.errors import PolicyInvalid
from domain.events.verdicts import ROOT, Junction
from domain.faults import Fault, summary
from domain.reported_faults import reported_faults
from rules.clause import CLAUSE_REMEDIES, Clause
from rules.tree import Node, Tree, many_clauses, read_tree, repeated_names

FAULTS_SHOWN_MAX: Final = 10  # in the message; all of them stand in the error's `faults`
TREE: Final = "whyledger.policy/2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a document says: `retrain` when its first node is met, otherwise keep."""

    id: str
    version: int
    tree: bool  # whether it is compiled node by node; format 1 is compiled as its one strict AND
    clauses: tuple[Clause, ...]  # in the document's order, no name twice
    nodes: tuple[Node, ...]  # the root first, each before the nodes it joins


class _Headed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Literal["whyledger.policy/1", "whyledger.policy/2"] = "whyledger.policy/1"
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    version: Annotated[StrictInt, Field(ge=1, le=INTEGER_MAX)]
    decides: Literal["retrain"] = "retrain"


class _Conjunction(_Headed):
    """Format 1: `clauses`, and all of them must be met."""

    combination: Literal["all"] = "all"
    clauses: tuple[Clause, ...]  # how many, and no name twice: see _conjunction


class _Tree(_Headed):
    """Format 2: `when`, a node; read_tree reads what is in it."""

    when: Any


def parse_policy(document: object) -> Policy:
    """The policy that a parsed document holds; any other value is refused, never crashed on.

    Raises:
        PolicyInvalid: with its faults, each with its JSON pointer, value and remedy.
    """
    in_tree = isinstance(document, dict) and document.get("policy") == TREE
    faults: list[Fault] = []
    head: _Conjunction | _Tree | None = None
    try:
        head = (_Tree if in_tree else _Conjunction).model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False)
        faults = reported_faults(found, document, remedies=_REMEDIES)
    tree = None
    if isinstance(head, _Conjunction):
        tree = _conjunction(head.clauses)
    elif in_tree and isinstance(document, dict) and "when" in document:
        tree, of_tree = read_tree(document["when"])
        faults += of_tree
    if not in_tree:
        faults += _faults_of_the_list(document)
    if head is None or tree is None or faults:
        given = document.get("id") if isinstance(document, dict) else None
        name = f"policy {given[:100]!r}" if isinstance(given, str) and given else "the policy"
        raise PolicyInvalid(
            f"{name} has {len(faults)} fault(s): {summary(faults, FAULTS_SHOWN_MAX)}.", faults
        )
    return Policy(
        id=head.id, version=head.version, tree=in_tree, clauses=tree.clauses, nodes=tree.nodes
    )


def policy_digest(document: dict[str, Any]) -> str:
    """SHA-256 of the document's canonical bytes, before defaults; 64 lowercase hex digits.

    Raises:
        NotCanonical: the document holds what JSON cannot.
    """
    return canonical_digest(document)


_REMEDIES: Final[Mapping[str, str]] = {
    **CLAUSE_REMEDIES,
    "int_type": "write a whole number",
    "greater_than_equal": "count from 1",
    "less_than_equal": "use a smaller number",
    "tuple_type": "write a list of clauses",
}
_ALL: Final[Junction] = "all"


def _conjunction(clauses: tuple[Clause, ...]) -> Tree:
    """The one strict AND of format 1."""
    of = tuple(clause.name for clause in clauses)
    return Tree(clauses=clauses, nodes=(Node(name=ROOT, operator=_ALL, of=of),))


def _faults_of_the_list(document: object) -> list[Fault]:
    """What is wrong with the clauses together; pydantic has judged each of them alone."""
    clauses = document.get("clauses") if isinstance(document, dict) else None
    if not isinstance(clauses, list):
        return []
    placed = [(f"/clauses/{index}", clause) for index, clause in enumerate(clauses)]
    return [*many_clauses("/clauses", len(clauses)), *repeated_names(placed)]
