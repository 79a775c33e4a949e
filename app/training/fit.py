"""Fit a candidate: pipeline, serving plan, and predictions of rows it had not seen.

Single-threaded and seeded: the same rows in the same order give the same plan, byte for byte, on
the same machine with the same library versions.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.training.export_plan import export_plan
from app.training.pipeline import (
    Floats,
    build_pipeline,
    feature_frame,
    transformed_target,
)
from domain.canonical import sha256_hex
from domain.contract.contract import Contract
from domain.errors import NotCanonical, TrainingFailed
from domain.events.events import Row

FOLDS: Final = 5  # whole groups each, for the out-of-fold predictions
ROWS_MIN: Final = 10  # fewer rows than this cannot be split into folds and teach nothing
LIBRARIES: Final = ("numpy", "pandas", "scikit-learn", "scipy")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A candidate, fitted and exported; `n` training rows in the order they were given."""

    pipeline: Pipeline
    plan: bytes  # canonical JSON, the serving plan
    plan_sha256: str
    target: Floats  # shape (n,), transformed scale
    out_of_fold: Floats  # shape (n,), transformed scale: each row predicted without its group
    estimator: str
    parameters: dict[str, float | int | str]
    seed: int
    libraries: dict[str, str]


def fit(
    contract: Contract, rows: Sequence[Row], contract_digest: str, *, listed_only: bool = True
) -> Trained:
    """Fit `contract`'s pipeline on labelled `rows` (target in its native unit).

    The order of the rows counts; training gives them by event time, then identity.
    `listed_only` is said at `build_pipeline`.

    Raises:
        TrainingFailed: too few rows, a constant target, labels without a logarithm, a feature
            missing in every row, or scikit-learn refuses; the message says what to do.
    """
    if len(rows) < ROWS_MIN:
        raise TrainingFailed(
            f"{contract.model!r} has {len(rows)} labelled training rows; at least {ROWS_MIN} are "
            "needed. Send more outcomes or observations."
        )
    target = transformed_target(contract, rows)
    if target.min() == target.max():
        raise TrainingFailed(
            f"{contract.target.name!r} is {rows[0][contract.target.name]!r} in all {len(rows)} "
            "training rows; there is nothing to learn. Send rows with other labels."
        )
    frame = feature_frame(contract, rows)
    _require_values(contract, frame, np.ones(len(rows), bool))
    out_of_fold = np.empty(len(rows))
    fold_of = _folds(contract, rows)
    try:
        # What overflows float32 is refused by scikit-learn right after the cast, as an error.
        with threadpool_limits(limits=1), np.errstate(over="ignore"):
            pipeline = build_pipeline(contract, listed_only=listed_only).fit(frame, target)
            for fold in np.unique(fold_of):
                held = fold_of == fold
                _require_values(contract, frame, ~held)
                partial = build_pipeline(contract, listed_only=listed_only)
                partial.fit(frame[~held], target[~held])
                out_of_fold[held] = partial.predict(frame[held])
        plan = export_plan(contract, contract_digest, pipeline)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError, NotCanonical) as error:
        raise TrainingFailed(
            f"{contract.estimator.kind} could not be fitted on {len(rows)} rows of "
            f"{contract.model!r}: {error}. Look at the rows and the contract's estimator."
        ) from error
    spec = contract.estimator
    return Trained(
        pipeline=pipeline,
        plan=plan,
        plan_sha256=sha256_hex(plan),
        target=target,
        out_of_fold=out_of_fold,
        estimator=spec.kind,
        parameters={
            name: "no bound" if value is None else value
            for name, value in spec.model_dump(exclude={"kind", "seed"}).items()
        },
        seed=spec.seed,
        libraries={"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
    )


def predict_pipeline(contract: Contract, pipeline: Pipeline, rows: Sequence[Row]) -> Floats:
    """The pipeline's own predictions of `rows`, shape (rows,), transformed scale."""
    with threadpool_limits(limits=1):
        predicted: Floats = pipeline.predict(feature_frame(contract, rows))
    return predicted


def _require_values(contract: Contract, frame: pd.DataFrame, chosen: NDArray[np.bool_]) -> None:
    """Refuse a feature that none of the chosen rows has: nothing could be learnt about it."""
    for name in contract.feature_names:
        if frame[name][chosen].isna().all():
            where = "training rows" if chosen.all() else "training rows but those of a few groups"
            raise TrainingFailed(
                f"feature {name!r} is missing in all {where}; send rows that have it, or take it "
                "out of the contract."
            )


def _folds(contract: Contract, rows: Sequence[Row]) -> NDArray[np.int64]:
    """The fold of each row: whole groups in the order of a hash, each into the smallest fold.

    With a single group there is nothing to hold out whole, so rows are dealt out one by one.
    """
    groups = [str(row.get(contract.group)) for row in rows]
    if len(set(groups)) == 1:
        groups = [str(number) for number in range(len(rows))]
    seed = contract.estimator.seed
    names, sizes = np.unique(groups, return_counts=True)
    size_of = dict(zip(names.tolist(), sizes.tolist(), strict=True))
    fold_of: dict[str, int] = {}
    filled = [0] * FOLDS
    for group in sorted(size_of, key=lambda g: hashlib.sha256(f"{seed}/{g}".encode()).digest()):
        fold = filled.index(min(filled))
        fold_of[group] = fold
        filled[fold] += size_of[group]
    return np.array([fold_of[group] for group in groups], np.int64)
