"""The columns of a contract: target, features, other columns, rules between them, event time.

`contract.py` puts them together; `docs/contract.md` explains every field.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from domain.canonical import INTEGER_MAX
from domain.target_scale import Transform

MODEL_PATTERN: Final = r"^[a-z][a-z0-9-]{0,62}$"  # it stands in stream names, file names and URLs
COLUMN_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_]{0,62}$"  # it stands in identity keys and CSV heads
CATEGORIES_MAX: Final = 1000  # one-hot columns a plan may carry for one feature
FIELDS_MAX: Final = 500  # features, columns, ignored columns and rules, each
WORDS_MAX: Final = 500  # characters of a title, a meaning or a reason


ModelName = Annotated[str, Field(pattern=MODEL_PATTERN)]
ColumnName = Annotated[str, Field(pattern=COLUMN_PATTERN)]
Words = Annotated[str, Field(min_length=1, max_length=WORDS_MAX)]
Unit = Annotated[str, Field(min_length=1, max_length=100)]
Bound = Annotated[float, Field(ge=-INTEGER_MAX, le=INTEGER_MAX)]  # beyond it JSON loses digits
Share = Annotated[float, Field(ge=0, le=1)]
Missing = Literal["refused", "allowed"]
_PERSONAL: Final = "whether it is about a person; rows are then kept where `erase` can reach them"


class Part(BaseModel):
    """A part of a contract: frozen, with no field that is not named here, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Range(Part):
    """A closed interval."""

    min: Bound = Field(description="smallest value, inclusive")
    max: Bound = Field(description="largest value, inclusive; above min")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError(
                f"min {self.min:.15g} is not below max {self.max:.15g}; swap or widen them"
            )
        return self


class Plausible(Part):
    """What a whole window may look like before anything is concluded from it."""

    mean: Range | None = Field(
        default=None, description="bounds of the window's mean, in the feature's unit; numbers only"
    )
    missing_share_max: Share = Field(
        default=1.0, description="largest share of the window's rows without a value"
    )
    unlisted_share_max: Share = Field(
        default=1.0,
        description="largest share of the window's values that are no listed category; categories "
        "that accept unknown ones only",
    )


class PlausibleLabels(Part):
    """What the labels of a whole window may look like before anything is concluded from them."""

    mean: Range = Field(description="bounds of the mean of the window's labels, in target's unit")


class Standardise(Part):
    """Subtract the training mean, divide by the training standard deviation."""

    kind: Literal["standardise"] = Field(description="`standardise`")


class Log(Part):
    """Natural logarithm; the possible range must be positive."""

    kind: Literal["log"] = Field(description="`log`")


class Clip(Part):
    """Cut at two quantiles of the training rows."""

    kind: Literal["clip"] = Field(description="`clip`")
    low: Share = Field(description="lower quantile, below high")
    high: Share = Field(description="upper quantile")


def _named(transformer: object) -> object:
    """`"log"` and `{"clip": {…}}` as `{"kind": …, …}`; the rest is left for pydantic to refuse."""
    if isinstance(transformer, str):
        return {"kind": transformer}
    if isinstance(transformer, dict) and len(transformer) == 1:
        ((kind, parameters),) = transformer.items()
        if isinstance(parameters, dict) and "kind" not in parameters:
            return {"kind": kind, **parameters}
    return transformer


Transformer = Annotated[
    Annotated[Standardise | Log | Clip, Field(discriminator="kind")], BeforeValidator(_named)
]


class TargetSpec(Part):
    """What the model predicts."""

    name: ColumnName = Field(description="the target's column")
    unit: Unit = Field(description="its native unit")
    meaning: Words = Field(description="what it is, in words")
    transform: Transform = Field(
        description="the scale the model is trained and judged on: natural logarithm, or as it is"
    )
    possible: Range = Field(description="labels outside are refused; positive for `log`")
    plausible: PlausibleLabels | None = Field(
        default=None, description="bounds of a window's labels; outside them the cycle halts"
    )
    formerly: tuple[ColumnName, ...] = Field(
        default=(),
        max_length=10,
        description="earlier names of the same quantity, in the same unit: labels recorded under "
        "them train, and models that predict them are compared",
    )


class NumberFeature(Part):
    """A feature that is a number."""

    name: ColumnName = Field(description="the feature's column")
    type: Literal["number"] = Field(description="`number`")
    unit: Unit = Field(description="its unit; `1` when it has none")
    meaning: Words = Field(description="what it is, in words")
    possible: Range = Field(description="rows outside are refused, in the feature's unit")
    plausible: Plausible = Field(
        default=Plausible(), description="bounds of a whole window; outside them the cycle halts"
    )
    missing: Missing = Field(default="refused", description="whether a row may lack it")
    personal: bool = Field(default=False, description=_PERSONAL)
    transformers: tuple[Transformer, ...] = Field(
        default=(),
        max_length=5,
        description="in this order: `standardise`, `log`, `{clip: {low: 0.01, high: 0.99}}`",
    )


class CategoryFeature(Part):
    """A feature that is one of several categories, one-hot encoded."""

    name: ColumnName = Field(description="the feature's column")
    type: Literal["category"] = Field(description="`category`")
    unit: Unit = Field(default="1", description="what its categories are; `1` when nothing special")
    meaning: Words = Field(description="what it is, in words")
    categories: tuple[str | int, ...] = Field(
        min_length=1,
        max_length=CATEGORIES_MAX,
        description="the categories known today, all text or all integers",
    )
    unknown: Literal["accept", "refuse"] = Field(
        description="a category not listed: accepted (all-zero one-hot) and counted, or refused"
    )
    plausible: Plausible = Field(
        default=Plausible(),
        description="bounds of a whole window; `missing_share_max` and `unlisted_share_max`",
    )
    missing: Missing = Field(default="refused", description="whether a row may lack it")
    personal: bool = Field(default=False, description=_PERSONAL)


FeatureSpec = Annotated[NumberFeature | CategoryFeature, Field(discriminator="type")]


class ColumnSpec(Part):
    """A column kept with the row that is no feature: for identity, group, event time or rules."""

    name: ColumnName = Field(description="the column")
    type: Literal["number", "integer", "text"] = Field(
        description="text has 1 to 200 characters, in Unicode's NFC and printable"
    )
    unit: Unit = Field(default="1", description="its unit; `1` when it has none")
    meaning: Words = Field(description="what it is, in words")
    possible: Range | None = Field(
        default=None, description="rows outside are refused; not for text; ±(2^53 − 1) without it"
    )
    missing: Missing = Field(default="refused", description="whether a row may lack it")
    personal: bool = Field(default=False, description=_PERSONAL)


class IgnoredColumn(Part):
    """A column that may be sent and is not kept; anything neither named nor ignored is refused."""

    name: ColumnName = Field(description="the column")
    because: Words = Field(description="why it is neither kept nor a feature")


class RowRule(Part):
    """One comparison that every row must meet; a row that lacks either side is not judged by it."""

    name: ModelName = Field(description="the rule, as refusals name it")
    left: ColumnName = Field(description="a number, an integer or the target")
    op: Literal["<", "<=", ">", ">=", "==", "!="] = Field(description="left op right must hold")
    right: ColumnName | Bound = Field(description="another such column, or a number in left's unit")
    because: Words = Field(description="why it must hold")


class EventTimeSpec(Part):
    """When a row happened in the world."""

    column: ColumnName = Field(description="the column it is read from, never missing")
    read_as: Literal["mid-year", "timestamp"] = Field(
        alias="as",
        description="`mid-year`: an integer year, meaning 1 July 00:00 UTC; `timestamp`: RFC 3339",
    )
