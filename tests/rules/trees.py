"""Trees of clauses written as text, for tests: `all(a any(b c))`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from domain.events.verdicts import Verdict
from rules.policy import Policy, parse_policy

# A fact for each letter; met above one half, and every one may be any number from 0 on.
FACT_OF = {
    "a": "feature_drift_score",
    "b": "prediction_drift_p",
    "c": "error_ratio",
    "d": "error_increase_p",
    "e": "psi_max",
    "f": "drifted_feature_share",
}
OBSERVED: dict[Verdict, float | None] = {"met": 1.0, "unmet": 0.0, "unknown": None}


def clause_of(name: str) -> dict[str, Any]:
    """The clause called by this letter."""
    return {
        "name": name,
        "label": name,
        "fact": FACT_OF[name],
        "op": ">",
        "threshold": 0.5,
        "unit": "",
        "because": "a test asks",
    }


def document_of(when: object) -> dict[str, Any]:
    """A format 2 document around a tree."""
    return {"policy": "whyledger.policy/2", "id": "tree", "version": 1, "when": when}


def tree_of(text: str) -> dict[str, Any]:
    """The document of a tree such as `all(a any(b c))`."""
    tokens = iter(re.findall(r"all\(|any\(|[a-f]|\)", text))
    return document_of(_member(next(tokens), tokens))


def policy_of(text: str) -> Policy:
    """The policy of such a tree."""
    return parse_policy(tree_of(text))


def facts_of(verdicts: Mapping[str, Verdict]) -> dict[str, object]:
    """Facts by which the clauses called so have these verdicts."""
    return {FACT_OF[name]: OBSERVED[verdict] for name, verdict in verdicts.items()}


def _member(token: str, tokens: Iterator[str]) -> dict[str, Any]:
    if token in FACT_OF:
        return clause_of(token)
    members = []
    while (following := next(tokens)) != ")":
        members.append(_member(following, tokens))
    return {token[:3]: members}
