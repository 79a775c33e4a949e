"""What a model's rows look like and how it is trained and judged: the contract, a document.

A contract is adopted whole by an event; nothing about one data set stands in code.
`docs/contract.md` explains every field. `rows.py` holds rows to a contract, `window.py` whole
windows; `contract_faults.py` says what is wrong with a document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from domain.canonical import INTEGER_MAX, canonical_bytes, digest
from domain.contract.columns import (
    FIELDS_MAX,
    MODEL_PATTERN,
    CategoryFeature,
    Clip,
    ColumnName,
    ColumnSpec,
    EventTimeSpec,
    FeatureSpec,
    IgnoredColumn,
    Log,
    ModelName,
    NumberFeature,
    Part,
    Plausible,
    Range,
    RowRule,
    Share,
    Standardise,
    TargetSpec,
    Transformer,
    Unit,
    Words,
)
from domain.contract.estimators import (
    EstimatorSpec,
    GradientBoosting,
    HistGradientBoosting,
    RandomForest,
    Ridge,
    Rows,
)
from domain.contract.faults import adoption_faults, cross_faults
from domain.errors import ContractInvalid, NotCanonical
from domain.faults import Fault, shown, summary
from domain.reported_faults import reported_faults

__all__ = [
    "MODEL_PATTERN",
    "CategoryFeature",
    "Clip",
    "ColumnSpec",
    "Contract",
    "DriftWindow",
    "EstimatorSpec",
    "EventTimeSpec",
    "FeatureSpec",
    "GradientBoosting",
    "HealthSpec",
    "HistGradientBoosting",
    "HoldoutSpec",
    "IgnoredColumn",
    "Last",
    "Log",
    "ModelName",
    "NumberFeature",
    "Plausible",
    "RandomForest",
    "Range",
    "Ridge",
    "RowRule",
    "Standardise",
    "TargetSpec",
    "Transformer",
    "ValueOfError",
    "contract_digest",
    "parse_contract",
]

FAULTS_SHOWN_MAX: Final = 10  # in the message; all of them stand in the error's `faults`
_REMEDIES: Final = {
    "extra_forbidden": "remove it, or correct its spelling; docs/contract.md lists every field",
    "string_pattern_mismatch": "choose a name that does",
}
Days = Annotated[int, Field(ge=1, le=36525)]


class DriftWindow(Part):
    """How far a window reaches back: exactly one of years, months or days."""

    years: int | None = Field(default=None, ge=1, le=100, description="calendar years")
    months: int | None = Field(default=None, ge=1, le=1200, description="calendar months")
    days: Days | None = Field(default=None, description="days of 24 hours")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [n for n in ("years", "months", "days") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"{' and '.join(given) or 'nothing'} given; give one of years, months or days"
            )
        return self


class Last(Part):
    """The last stretch of time before a cycle's `as_of`."""

    last: DriftWindow = Field(description="how far it reaches back from as_of")


class HoldoutSpec(Part):
    """The rows that judge candidate and champion, in neither side's training data."""

    share: float = Field(gt=0, lt=1, description="share of the latest window's eligible rows")
    rows_min: Rows = Field(description="rows; with fewer the gate says `not enough rows`")


class ValueOfError(Part):
    """What being wrong costs, as the owner declares it; nobody measures it here."""

    per_unit: float = Field(
        gt=0, le=1e12, description="cost of one target unit of absolute error in one row"
    )
    unit: Unit = Field(description="the unit of that cost")


class HealthSpec(Part):
    """When the model is called degraded or stale."""

    rmse_max: float = Field(
        gt=0,
        le=1e12,
        description="largest RMSE on rows labelled since promotion, transformed scale",
    )
    evaluation_within_days: Days = Field(description="days since the last evaluation, else stale")
    labels_within_days: Days = Field(
        description="days after a row's event time by which its label should be known, else stale"
    )
    late_share_max: Share = Field(
        default=0.5, description="share of predictions so old that may lack a label, else stale"
    )
    late_rows_min: Rows = Field(
        default=1, description="predictions so old, below which nobody calls labels late"
    )


class Contract(Part):
    """One model's contract, every default filled in."""

    contract: Literal["whyledger.contract/1"] = Field(description="the format of this document")
    model: ModelName = Field(description="the model's name")
    title: Words = Field(description="what it is, for people")
    target: TargetSpec = Field(description="what is predicted")
    features: tuple[FeatureSpec, ...] = Field(
        min_length=1, max_length=FIELDS_MAX, description="what it is predicted from, in this order"
    )
    columns: tuple[ColumnSpec, ...] = Field(
        default=(), max_length=FIELDS_MAX, description="other columns kept with the row"
    )
    ignored: tuple[IgnoredColumn, ...] = Field(
        default=(), max_length=FIELDS_MAX, description="columns that may be sent and are not kept"
    )
    rules: tuple[RowRule, ...] = Field(
        default=(), max_length=FIELDS_MAX, description="comparisons between columns"
    )
    identity: tuple[ColumnName, ...] = Field(
        min_length=1, max_length=10, description="columns that tell rows apart; text or integers"
    )
    group: ColumnName = Field(description="rows of one group are held out together")
    event_time: EventTimeSpec = Field(description="when a row happened in the world")
    blocks: Literal["day", "group", "serial"] | None = Field(
        default=None,
        description="rows that depend on each other, for drift and residual evidence: those of a "
        "UTC day, of a `group`, or (drift alone) each on the one before; null: none do",
    )
    estimator: EstimatorSpec = Field(description="what is fitted, with its parameters")
    drift_window: DriftWindow = Field(description="how far a window reaches back")
    training_pool: Literal["all"] | Last = Field(
        description="labelled rows trained on: `all` before as_of, or those of the last stretch"
    )
    reference: Literal["all"] | Last = Field(
        default="all",
        description="training rows that drift is measured against: `all`, or the last stretch's",
    )
    holdout: HoldoutSpec = Field(description="the rows that judge")
    margin: float = Field(
        default=0.0,
        ge=0,
        le=INTEGER_MAX,
        description="RMSE by which a candidate must beat the champion, transformed scale",
    )
    confidence: float | None = Field(
        default=None,
        ge=0.5,
        le=0.999,
        description="probability, by Student's t over groups, that a candidate is better than the "
        "champion, below which it is turned away; null: strictly better is enough",
    )
    refit: Literal["after gates"] | None = Field(
        default=None,
        description="`after gates`: a candidate that passed is fitted again on training and "
        "holdout rows, and that plan serves, which no gate has seen; null: the gated plan serves",
    )
    value_of_error: ValueOfError | None = Field(
        default=None, description="what being wrong costs; null: nobody has said"
    )
    retraining_cost: float | None = Field(
        default=None,
        ge=0,
        le=1e12,
        description="cost of one retraining, in the unit of `value_of_error`; null: nobody has "
        "said",
    )
    refused_share_max: Share = Field(
        description="largest share of received rows refused since the last cycle, else it halts"
    )
    policy: ModelName = Field(description="id of the policy that judges its cycles")
    health: HealthSpec = Field(description="when it is degraded or stale")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features, in the contract's order."""
        return tuple(feature.name for feature in self.features)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """What an accepted row holds without its label: features, then the other columns."""
        return self.feature_names + tuple(column.name for column in self.columns)

    @property
    def is_personal(self) -> bool:
        """Whether some column is about a person: the rows' data is then kept where it can be
        erased, apart from the hashed bytes."""
        return any(field.personal for field in (*self.features, *self.columns))


def parse_contract(document: Mapping[str, Any], *, adopting: bool = False) -> Contract:
    """The contract a parsed document holds.

    `adopting`: it is new, so that it is held to what was not asked of earlier ones, too.

    Raises:
        ContractInvalid: the document has faults; every one of them is listed, with its JSON
            pointer, value and remedy.
    """
    try:
        content = canonical_bytes(document)
    except NotCanonical as refused:
        raise ContractInvalid(f"the contract is not JSON: {refused.message}") from refused
    faults = list(cross_faults(document))
    if adopting:
        faults += adoption_faults(document)
    try:
        contract = Contract.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False)
        faults = [*reported_faults(found, document, remedies=_REMEDIES), *faults]
        raise _invalid(document, faults) from None
    if faults:
        raise _invalid(document, faults)
    return contract


def contract_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of the document's canonical bytes, before defaults; 64 lowercase hex digits."""
    return digest(document)


def _invalid(document: object, faults: list[Fault]) -> ContractInvalid:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    name = document.get("model") if isinstance(document, Mapping) else None
    return ContractInvalid(
        f"the contract of {shown(name)} has {count}: {summary(faults, FAULTS_SHOWN_MAX)}. "
        "Correct and adopt it again.",
        faults,
    )
