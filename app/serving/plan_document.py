"""The serving plan as a document: its shape, its bounds, and every fault it may have.

A plan is data: reading one executes nothing. Numbers are written so that they round-trip (RFC
8785), so the plan that is read is the plan that was written, to the bit.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from domain.errors import WhyledgerError
from domain.faults import Fault
from domain.reported_faults import reported_faults
from domain.target_scale import Transform

PLAN_BYTES_MAX: Final = 64 * 2**20  # a forest of 500 deep trees takes about half of it
FEATURES_MAX: Final = 1_000
CATEGORIES_MAX: Final = 10_000  # of one feature
TREES_MAX: Final = 5_000
NODES_MAX: Final = 2_000_000  # of all trees together
_FAULTS_SHOWN_MAX: Final = 50

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Scale = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
Index = Annotated[int, Field(strict=True, ge=0, le=NODES_MAX)]


class PlanInvalid(WhyledgerError):
    """A serving plan is not one that may serve; its first faults are listed."""

    code = "plan-invalid"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClipStep(_Part):
    """Values below `low` become `low`, above `high` become `high`; feature's unit."""

    kind: Literal["clip"]
    low: Finite
    high: Finite


class LogStep(_Part):
    """The natural logarithm, `math.log`, of a positive value."""

    kind: Literal["log"]


class StandardiseStep(_Part):
    """(value - mean) / scale."""

    kind: Literal["standardise"]
    mean: Finite
    scale: Scale


class Fill(_Part):
    """A missing value becomes `value` before the steps; with `indicator` a 0/1 column tells so."""

    value: Finite
    indicator: Annotated[bool, Field(strict=True)]


class NumberFeature(_Part):
    """A number: one column, and one more when a missing value is told by an indicator."""

    type: Literal["number"]
    name: str
    missing: Literal["refused", "native"] | Fill
    steps: Annotated[
        tuple[Annotated[ClipStep | LogStep | StandardiseStep, Field(discriminator="kind")], ...],
        Field(max_length=10),
    ]

    @property
    def columns(self) -> int:
        """How many columns the feature takes."""
        return 2 if isinstance(self.missing, Fill) and self.missing.indicator else 1


class CategoryFeature(_Part):
    """A category: one 0/1 column for each category of the training rows; null is "missing"."""

    type: Literal["category"]
    name: str
    categories: Annotated[
        tuple[StrictInt | StrictStr | None, ...], Field(min_length=1, max_length=CATEGORIES_MAX)
    ]

    @property
    def columns(self) -> int:
        """How many columns the feature takes."""
        return len(self.categories)


class Linear(_Part):
    """intercept + coefficients · columns, added one after another in the order of the columns."""

    kind: Literal["ridge"]
    intercept: Finite
    coefficients: tuple[Finite, ...]


class Tree(_Part):
    """One binary tree in preorder: the left child of node i is i + 1, the right one is `right[i]`.

    `column[i]` is -1 at a leaf. `number[i]` is the leaf's value, or the split's threshold: a row
    goes left when its column is <= the threshold (null: whatever the number). A missing number
    goes right, but left at the nodes in `missing_left`. `right[i]` is 0 at a leaf.
    """

    column: tuple[Annotated[int, Field(strict=True, ge=-1)], ...]
    number: tuple[Finite | None, ...]
    right: tuple[Index, ...]
    missing_left: tuple[Index, ...] = ()


class Trees(_Part):
    """base + the trees' values, added in the order of the trees; `mean` divides by their count."""

    kind: Literal["hist-gradient-boosting", "gradient-boosting", "random-forest"]
    combine: Literal["sum", "mean"]
    base: Finite
    trees: Annotated[tuple[Tree, ...], Field(min_length=1, max_length=TREES_MAX)]


class Target(_Part):
    """What is predicted: transformed scale inside, native unit outside."""

    name: str
    unit: str
    transform: Transform


class PlanDocument(_Part):
    """A whole serving plan."""

    format: Literal["whyledger.plan/1"]
    model: str
    contract_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    target: Target
    features: Annotated[
        tuple[Annotated[NumberFeature | CategoryFeature, Field(discriminator="type")], ...],
        Field(min_length=1, max_length=FEATURES_MAX),
    ]
    estimator: Annotated[Linear | Trees, Field(discriminator="kind")]

    @property
    def columns(self) -> int:
        """How many columns the estimator reads."""
        return sum(feature.columns for feature in self.features)


def parse_plan(content: bytes) -> PlanDocument:
    """The plan in `content` (UTF-8 JSON), checked whole.

    Raises:
        PlanInvalid: too large, no JSON, unknown or missing fields, numbers that are not finite,
            shapes that do not fit each other, or trees that are none.
    """
    if len(content) > PLAN_BYTES_MAX:
        raise PlanInvalid(
            f"the plan has {len(content):,} bytes, more than {PLAN_BYTES_MAX:,}; "
            "train fewer or smaller trees."
        )
    try:
        sent = orjson.loads(content)
        document = PlanDocument.model_validate(sent)
    except orjson.JSONDecodeError as error:
        raise PlanInvalid(f"the plan is no JSON: {error}; fetch the artefact again.") from None
    except ValidationError as error:
        found = error.errors(include_url=False)[:_FAULTS_SHOWN_MAX]
        faults = tuple(reported_faults(found, sent))
        raise _invalid(faults) from None
    faults = tuple(_faults(document))[:_FAULTS_SHOWN_MAX]
    if faults:
        raise _invalid(faults)
    return document


def _invalid(faults: tuple[Fault, ...]) -> PlanInvalid:
    first = faults[0]
    return PlanInvalid(
        f"the plan has {len(faults)} fault(s), first {first.path}: {first.message}. "
        "It must not serve; fetch or train it again.",
        faults,
    )


def _faults(document: PlanDocument) -> list[Fault]:
    faults: list[Fault] = []
    names = [feature.name for feature in document.features]
    for place, feature in enumerate(document.features):
        path = f"/features/{place}"
        if feature.name in names[:place]:
            faults.append(Fault(f"{path}/name", f"{feature.name!r} is there twice"))
        if isinstance(feature, CategoryFeature):
            if len(set(feature.categories)) < len(feature.categories):
                faults.append(Fault(f"{path}/categories", "a category is there twice"))
        else:
            faults.extend(
                Fault(f"{path}/steps/{at}", f"low {step.low!r} is above high {step.high!r}")
                for at, step in enumerate(feature.steps)
                if isinstance(step, ClipStep) and step.low > step.high
            )
    if isinstance(document.estimator, Linear):
        given = len(document.estimator.coefficients)
        if given != document.columns:
            faults.append(
                Fault("/estimator/coefficients", f"{given} for {document.columns} columns")
            )
    else:
        nodes = sum(len(tree.column) for tree in document.estimator.trees)
        if nodes > NODES_MAX:
            return [*faults, Fault("/estimator/trees", f"{nodes:,} nodes, at most {NODES_MAX:,}")]
        for place, tree in enumerate(document.estimator.trees):
            fault = _tree_fault(tree, document.columns)
            if fault:
                faults.append(Fault(f"/estimator/trees/{place}", fault))
    return faults


def _tree_fault(tree: Tree, columns: int) -> str:
    """What is wrong with a tree; empty when it is one, whole and in preorder."""
    size = len(tree.column)
    if not size or len(tree.number) != size or len(tree.right) != size:
        return f"{size} columns, {len(tree.number)} numbers, {len(tree.right)} right children"
    waiting: list[int] = []  # right children that are still to come, the nearest last
    whole = False
    for node, column in enumerate(tree.column):
        if column >= columns:
            return f"node {node} splits on column {column} of {columns}"
        if column >= 0:
            waiting.append(tree.right[node])
        elif tree.number[node] is None or tree.right[node] != 0:
            return f"leaf {node} has no value, or a child"
        elif waiting:
            following = waiting.pop()
            if following != node + 1:
                return f"after leaf {node} comes node {node + 1}, not {following}"
        elif node + 1 != size:
            return f"node {node + 1} comes after the last leaf"
        else:
            whole = True
    if not whole:
        return "it ends before its last leaf"
    splits = [node for node in tree.missing_left if node < size and tree.column[node] >= 0]
    if len(splits) != len(tree.missing_left) or sorted(set(splits)) != splits:
        return "missing_left must name splits, each once, in order"
    return ""
