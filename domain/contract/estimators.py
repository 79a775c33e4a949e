"""The estimators a contract may choose, with their parameters. Training alone fits them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from domain.contract.columns import Part

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what numpy and scikit-learn take
Rows = Annotated[int, Field(ge=1, le=1_000_000)]
Trees = Annotated[int, Field(ge=1, le=2000)]
Depth = Annotated[int, Field(ge=1, le=64)]


class Ridge(Part):
    """Linear regression with an L2 penalty."""

    kind: Literal["ridge"] = Field(description="`ridge`")
    alpha: float = Field(default=1.0, gt=0, le=1e9, description="strength of the penalty")
    seed: Seed = Field(default=0, description="the only source of randomness in training")


class HistGradientBoosting(Part):
    """Boosted trees over binned features."""

    kind: Literal["hist-gradient-boosting"] = Field(description="`hist-gradient-boosting`")
    iterations: Trees = Field(default=100, description="trees")
    learning_rate: float = Field(default=0.1, gt=0, le=1, description="shrinkage of each tree")
    rows_per_leaf_min: Rows = Field(default=20, description="rows")
    leaves_max: int = Field(default=31, ge=2, le=4096, description="leaves a tree")
    depth_max: Depth | None = Field(default=None, description="levels; null: no bound")
    l2: float = Field(default=0.0, ge=0, le=1e9, description="L2 penalty on leaf values")
    seed: Seed = Field(default=0, description="the only source of randomness in training")


class GradientBoosting(Part):
    """Boosted trees over exact splits."""

    kind: Literal["gradient-boosting"] = Field(description="`gradient-boosting`")
    iterations: Trees = Field(default=100, description="trees")
    learning_rate: float = Field(default=0.1, gt=0, le=1, description="shrinkage of each tree")
    rows_per_leaf_min: Rows = Field(default=1, description="rows")
    depth_max: Depth = Field(default=3, description="levels")
    rows_share: float = Field(default=1.0, gt=0, le=1, description="share of rows a tree sees")
    seed: Seed = Field(default=0, description="the only source of randomness in training")


class RandomForest(Part):
    """The mean of trees grown on resampled rows."""

    kind: Literal["random-forest"] = Field(description="`random-forest`")
    trees: Trees = Field(default=100, description="trees")
    rows_per_leaf_min: Rows = Field(default=1, description="rows")
    depth_max: Depth | None = Field(default=None, description="levels; null: no bound")
    features_share: float = Field(
        default=1.0, gt=0, le=1, description="share of features a split may look at"
    )
    seed: Seed = Field(default=0, description="the only source of randomness in training")


EstimatorSpec = Annotated[
    Ridge | HistGradientBoosting | GradientBoosting | RandomForest, Field(discriminator="kind")
]
