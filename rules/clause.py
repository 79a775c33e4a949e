"""A clause: one fact against one threshold, with its unit and the reason it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from domain.events.verdicts import Operator
from rules.facts import FACTS, finite_number


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


CLAUSE_REMEDIES: Final[Mapping[str, str]] = {
    "literal_error": "use one of those",
    "string_type": "write a text",
    "string_pattern_mismatch": (
        "use lowercase letters, digits and '_' (clauses) or '-' (ids), a letter first"
    ),
    "string_too_short": "say it in words",
    "string_too_long": "say it in fewer words",
    "model_type": "write an object with the named fields",
}
