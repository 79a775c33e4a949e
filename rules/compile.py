"""A policy as a durable-rules definition: pure data, inside the engine's safe subset.

Every rule looks at a single message. Each clause becomes a `met` and an `unmet` rule over the
facts, so the engine itself says which held; the strict AND is a second message that carries the
verdicts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from domain.canonical import INTEGER_MAX
from domain.errors import NotCanonical
from domain.events.verdicts import Operator, Verdict
from rules.facts import RETRAINING_FACT
from rules.plain import after_never
from rules.policy import Policy

Definition = dict[str, dict[str, Any]]  # rule name -> what it matches

DECISION: Final = "retrain"
NEVER_FIELD: Final = "never_retrained"
NEVER_VALUE: Final = "yes"

_MET: Final[Mapping[Operator, str]] = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_UNMET: Final[Mapping[Operator, str]] = {">": "$lte", ">=": "$lt", "<": "$gte", "<=": "$gt"}


def compile_policy(policy: Policy) -> Definition:
    """The rules of `policy` for the engine: up to 3 per clause, one per way to keep, `retrain`.

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
    every_met = [{verdict_field(clause.name): "met"} for clause in policy.clauses]
    rules[DECISION] = _on_message({"$and": every_met} if len(every_met) > 1 else every_met[0])
    for clause in policy.clauses:
        rules[keep_rule(clause.name)] = _on_message({"$neq": {verdict_field(clause.name): "met"}})
    return rules


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


def verdict_field(clause: str) -> str:
    """The field of the second message that carries the verdict of `clause`; never a fact's name."""
    return f"verdict_{clause}"


def keep_rule(clause: str) -> str:
    """The rule that holds when `clause` is not met."""
    return f"keep.{clause}"


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
