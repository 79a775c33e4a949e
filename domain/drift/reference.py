"""The frozen reference: a model's training rows as later windows are compared with them.

Frozen once, when a candidate is trained, and kept as an artefact whose bytes are canonical JSON. It
holds the bins with their counts and, for exact Kolmogorov-Smirnov tests, every value in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from domain.drift.bins import (
    CategoryReference,
    FeatureReference,
    Kind,
    NumberReference,
    Numbers,
    count_numbers,
    freeze_categories,
    freeze_numbers,
    numbers_of,
)
from domain.drift.dependence import (
    Dependence,
    Depending,
    dependence_from_document,
    freeze_dependence,
)
from domain.drift.statistics import Floats
from domain.errors import LedgerDamaged, NotMeasurable
from domain.packed import Value
from domain.target_scale import Transform

FORMATS: Final = ("whyledger.reference/1", "whyledger.reference/2")


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Everything later windows are compared with."""

    rows: int
    window_rows_expected: int
    features: tuple[FeatureReference, ...]
    target: Numbers  # the training target, transformed scale
    out_of_fold: Numbers  # the model's predictions of rows it had not seen, transformed scale
    transform: Transform | None  # what that scale is; None in format 1, where the plan says it
    dependence: Dependence | None = None  # of rows that are not independent

    def to_document(self) -> dict[str, Any]:
        """The reference as a JSON object; its canonical bytes are the artefact."""
        scale = {} if self.transform is None else {"transform": self.transform}
        depending = {} if self.dependence is None else {"dependence": self.dependence.to_document()}
        return (scale | depending) | {
            "format": FORMATS[self.transform is not None],
            "rows": self.rows,
            "window_rows_expected": self.window_rows_expected,
            "features": [_feature_document(feature) for feature in self.features],
            "target": self.target.ordered.tolist(),
            "out_of_fold": self.out_of_fold.ordered.tolist(),
        }


def freeze_reference(
    features: Sequence[tuple[str, Kind]],
    columns: Mapping[str, Sequence[Value]],
    target: Floats,
    out_of_fold: Floats,
    window_rows_expected: int,
    transform: Transform | None = "none",
    depending: Depending | None = None,
) -> Reference:
    """The reference of a model: its training rows, the holdout excluded.

    Args:
        features: name and kind of each feature, in the contract's order.
        columns: each feature's values, one a row, None where missing.
        target: the training target on the transformed scale, one a row.
        out_of_fold: predictions by models that had not seen the row, transformed scale, one a row.
        window_rows_expected: rows a later window is expected to have (at least 1). Categories
            expected fewer than 5 times in it share one bin.
        transform: what the transformed scale is. None freezes in format 1, by the first form of the
            rule `bins`.
        depending: what depends, where rows are not independent; they are then in order of event
            time. Format 1 has no place for it.

    Raises:
        NotMeasurable: no rows, a column missing or of another length, or a value that is not a
            finite number.
    """
    rows = len(target)
    if rows == 0 or window_rows_expected < 1:
        raise NotMeasurable(
            f"a reference needs training rows and an expected window of at least 1 row; "
            f"got {rows} and {window_rows_expected}. Import labelled rows first."
        )
    if len(out_of_fold) != rows:
        raise NotMeasurable(
            f"{rows} targets but {len(out_of_fold)} out-of-fold predictions; give one for each row."
        )
    frozen: list[FeatureReference] = []
    for name, kind in features:
        column = column_of(columns, name, rows)
        frozen.append(
            freeze_numbers(name, column, first=transform is None)
            if kind == "number"
            else freeze_categories(name, column, window_rows_expected, first=transform is None)
        )
    return Reference(
        rows,
        window_rows_expected,
        tuple(frozen),
        numbers_of("the training target", target),
        numbers_of("the out-of-fold predictions", out_of_fold),
        transform,
        None
        if depending is None or transform is None
        else freeze_dependence(frozen, [columns[name] for name, _ in features], depending),
    )


def reference_from_document(document: Mapping[str, Any]) -> Reference:
    """The reference from the JSON object that `Reference.to_document` made.

    Raises:
        LedgerDamaged: another format, a field missing or of another type, or counts that do not fit
            the values.
    """
    if document.get("format") not in FORMATS:
        raise LedgerDamaged(
            f"a frozen reference has format {document.get('format')!r}, none of "
            f"{' and '.join(FORMATS)}. Read it with the version that wrote it."
        )
    try:
        features = tuple(_feature_from_document(feature) for feature in document["features"])
        depending = document.get("dependence")
        reference = Reference(
            int(document["rows"]),
            int(document["window_rows_expected"]),
            features,
            numbers_of("target", document["target"]),
            numbers_of("out_of_fold", document["out_of_fold"]),
            _transform_from(document),
            None if depending is None else dependence_from_document(depending, features),
        )
    except (KeyError, TypeError, ValueError, NotMeasurable) as fault:
        raise LedgerDamaged(f"a frozen reference cannot be read: {fault!r}. Restore it.") from fault
    for feature in reference.features:
        if sum(feature.counts) != reference.rows or not _fits(feature):
            raise LedgerDamaged(
                f"a frozen reference's counts of {feature.name!r} ({sum(feature.counts)} of "
                f"{reference.rows} rows) do not fit its values and bins. Restore it."
            )
    return reference


def column_of(columns: Mapping[str, Sequence[Value]], name: str, rows: int) -> Sequence[Value]:
    """The feature's column. Raises NotMeasurable when it is absent or has another number of
    rows."""
    if name not in columns:
        raise NotMeasurable(f"feature {name!r} has no column; there are {sorted(columns)}.")
    column = columns[name]
    if len(column) != rows:
        raise NotMeasurable(
            f"feature {name!r} has {len(column)} rows, not {rows}; give one value a row."
        )
    return column


def _feature_document(feature: FeatureReference) -> dict[str, Any]:
    document: dict[str, Any] = {"name": feature.name, "kind": feature.kind}
    if isinstance(feature, NumberReference):
        document |= {"edges": feature.edges.tolist(), "values": feature.numbers.ordered.tolist()}
    else:
        document |= {"levels": list(feature.levels), "pooled": list(feature.pooled)}
        if feature.pooled_counts is not None:
            document["pooled_counts"] = list(feature.pooled_counts)
    return document | {"counts": list(feature.counts)}


def _transform_from(document: Mapping[str, Any]) -> Transform | None:
    if document["format"] == FORMATS[0]:
        return None
    if document["transform"] not in get_args(Transform):
        raise ValueError(f"its transform is {document['transform']!r}")
    found: Transform = document["transform"]
    return found


def _feature_from_document(document: Mapping[str, Any]) -> FeatureReference:
    name, counts = str(document["name"]), tuple(int(count) for count in document["counts"])
    if document["kind"] == "number":
        edges = numbers_of(f"edges of {name!r}", document["edges"]).ordered
        return NumberReference(name, edges, numbers_of(name, document["values"]), counts)
    if document["kind"] == "category":
        levels, pooled = tuple(document["levels"]), tuple(document["pooled"])
        rows = document.get("pooled_counts")
        return CategoryReference(
            name, levels, pooled, counts, None if rows is None else tuple(rows)
        )
    raise ValueError(f"feature {name!r} is of kind {document['kind']!r}")


def _fits(feature: FeatureReference) -> bool:
    """Whether the counts are those of the values, as far as the document tells."""
    if len(feature.counts) != len(feature.bins) or min(feature.counts) < 0:
        return False
    if isinstance(feature, NumberReference):
        return feature.counts == count_numbers(feature.edges, feature.numbers, feature.counts[-1])
    rows = feature.pooled_counts
    if rows is None:
        return feature.counts[-2] == 0
    if len(rows) != len(feature.pooled) or feature.counts[-2] != rows.count(1):
        return False
    return sum(rows) - rows.count(1) == sum(feature.counts[len(feature.levels) : -2])
