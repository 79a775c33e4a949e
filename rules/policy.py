"""A policy is data: clauses, each one fact against one threshold, and all of them must be met.

A policy document can be read, compared, hashed and recorded. It cannot do anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from domain.canonical import INTEGER_MAX
from domain.canonical import digest as canonical_digest
from domain.errors import Fault, PolicyInvalid, summary
from domain.events.verdicts import Operator
from domain.reported_faults import reported_faults
from rules.facts import FACTS, finite_number

CLAUSES_MAX: Final = 16  # a person must be able to read why a model changed
FAULTS_SHOWN_MAX: Final = 10  # in the message; all of them stand in the error's `faults`


def _threshold(value: object) -> float:
    number = finite_number(value)
    if number is None:
        raise ValueError("is not a finite number (whole numbers up to 2^53 - 1); write a number")
    return number


class Clause(BaseModel):
    """One comparison of one fact with a threshold, with its unit and the reason it stands there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    label: Annotated[str, Field(min_length=1, max_length=80)]
    fact: str
    op: Operator
    threshold: Annotated[float, BeforeValidator(_threshold)]
    unit: str
    because: Annotated[str, Field(min_length=1, max_length=500)]

    @field_validator("name")
    @classmethod
    def _name_is_no_decision(cls, name: str) -> str:
        # Its rules `keep.met` and `keep.unmet` would look like the decisions `keep.<clause>`.
        if name == "keep":
            raise ValueError("is what the policy may conclude; name the clause otherwise")
        return name

    @field_validator("fact")
    @classmethod
    def _fact_exists(cls, fact: str) -> str:
        if fact not in FACTS:
            raise ValueError(f"is no fact a policy may name; use one of {', '.join(FACTS)}")
        return fact

    @field_validator("threshold")
    @classmethod
    def _threshold_can_be_crossed(cls, threshold: float, info: ValidationInfo) -> float:
        spec = FACTS.get(info.data.get("fact", ""))
        complaint = "" if spec is None else spec.complaint(threshold)
        if complaint:
            raise ValueError(f"{complaint} of {info.data['fact']}; choose a value it can cross")
        return threshold

    @field_validator("unit")
    @classmethod
    def _unit_is_that_of_the_fact(cls, unit: str, info: ValidationInfo) -> str:
        spec = FACTS.get(info.data.get("fact", ""))
        if spec is not None and unit != spec.unit:
            raise ValueError(
                f"is not the unit of {info.data['fact']}; convert the threshold and write "
                f"{spec.unit!r}"
            )
        return unit


class Policy(BaseModel):
    """Clauses with a name and a version; `retrain` when all are met, otherwise keep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Literal["whyledger.policy/1"] = "whyledger.policy/1"
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    version: Annotated[StrictInt, Field(ge=1, le=INTEGER_MAX)]
    decides: Literal["retrain"] = "retrain"
    combination: Literal["all"] = "all"
    clauses: tuple[Clause, ...]  # 1 to CLAUSES_MAX, no name twice: see _faults_of_the_list


def parse_policy(document: object) -> Policy:
    """The policy that a parsed document holds; any other value is refused, never crashed on.

    Raises:
        PolicyInvalid: with every fault at once, each with its JSON pointer, value and remedy.
    """
    faults: list[Fault] = []
    policy = None
    try:
        policy = Policy.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False)
        faults = reported_faults(found, document, remedies=_REMEDIES)
    faults += _faults_of_the_list(document)
    if policy is None or faults:
        given = document.get("id") if isinstance(document, dict) else None
        name = f"policy {given[:100]!r}" if isinstance(given, str) and given else "the policy"
        raise PolicyInvalid(
            f"{name} has {len(faults)} fault(s): {summary(faults, FAULTS_SHOWN_MAX)}.", faults
        )
    return policy


def policy_digest(document: dict[str, Any]) -> str:
    """SHA-256 of the document's canonical bytes, before defaults; 64 lowercase hex digits.

    Raises:
        NotCanonical: the document holds what JSON cannot.
    """
    return canonical_digest(document)


_REMEDIES: Final[Mapping[str, str]] = {
    "literal_error": "use one of those",
    "string_type": "write a text",
    "string_pattern_mismatch": (
        "use lowercase letters, digits and '_' (clauses) or '-' (ids), a letter first"
    ),
    "string_too_short": "say it in words",
    "string_too_long": "say it in fewer words",
    "int_type": "write a whole number",
    "greater_than_equal": "count from 1",
    "less_than_equal": "use a smaller number",
    "tuple_type": "write a list of clauses",
    "model_type": "write an object with the named fields",
}


def _faults_of_the_list(document: object) -> list[Fault]:
    """What is wrong with the clauses together; pydantic has judged each of them alone."""
    clauses = document.get("clauses") if isinstance(document, dict) else None
    if not isinstance(clauses, list):
        return []
    faults: list[Fault] = []
    if not 1 <= len(clauses) <= CLAUSES_MAX:
        many = f"has {len(clauses)} clauses; name at least 1 and at most {CLAUSES_MAX}"
        faults.append(Fault("/clauses", many, len(clauses)))
    seen: set[str] = set()
    for index, clause in enumerate(clauses):
        name = clause.get("name") if isinstance(clause, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            path = f"/clauses/{index}/name"
            faults.append(Fault(path, f"{name!r} names an earlier clause too; rename it", name))
        seen.add(name)
    return faults
