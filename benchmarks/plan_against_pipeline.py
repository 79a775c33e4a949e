"""The serving plan against the scikit-learn pipeline it came from, one row and a thousand at once.

Both sides answer the same rows in the same process on one thread; the ratio is the figure to quote.
The pipeline's side includes making its data frame from the rows, as a service would have to.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.intake.documents import parse_document
from app.serving.plan import load_plan
from app.training.fit import fit
from app.training.pipeline import feature_frame
from benchmarks.report import Figure, per_second, report
from domain.contract.contract import Contract, contract_digest, parse_contract
from domain.contract.rows import RowGuard
from domain.events.events import Row

DATA = Path(__file__).parents[1] / "data"
ESTIMATORS: dict[str, tuple[str, dict[str, object] | None]] = {
    "car-price, ridge": ("car-price", None),  # None: the estimator its contract names
    "car-sales, hist gradient boosting, 150 trees": ("car-sales", None),
    "car-sales, gradient boosting, 100 trees": ("car-sales", {"kind": "gradient-boosting"}),
    "car-sales, random forest, 100 trees": ("car-sales", {"kind": "random-forest"}),
}
MANY = 1_000  # rows


def main() -> None:
    """Measure every estimator and print the report."""
    figures: list[Figure] = []
    with threadpool_limits(limits=1):
        for title, (model, estimator) in ESTIMATORS.items():
            figures += measured(title, model, estimator)
    report("Predictions by the serving plan against the scikit-learn pipeline", figures)


def measured(title: str, model: str, estimator: dict[str, object] | None) -> list[Figure]:
    """One row a request, and a thousand: microseconds a row on both sides, and their ratio."""
    path = DATA / "contracts" / f"{model}.yaml"
    document = parse_document(path.read_bytes(), name=path.name)
    if estimator is not None:
        document["estimator"] = estimator
    contract = parse_contract(document)
    guard = RowGuard(contract)
    with (DATA / "us_cars_1971_1990.csv").open(newline="") as file:
        parsed = (guard.parse_csv_row(row) for row in csv.DictReader(file))
        rows: list[Row] = [guard.check_row(row, labelled=True) for row in parsed]
    trained = fit(contract, rows, contract_digest(document))
    plan = load_plan(trained.plan)
    one = per_second(lambda: plan.predict_row(rows[0]))
    many = per_second(lambda: plan.predict_rows(rows[:MANY]), units=MANY)
    figures: list[Figure] = []
    for given, ours in ((rows[:1], one), (rows[:MANY], many)):
        theirs = per_second(
            partial(pipeline_predicts, contract, trained.pipeline, given), units=len(given)
        )
        figures.append(
            {
                "model": title,
                "rows": len(given),
                "plan us/row": 1e6 / ours,
                "pipeline us/row": 1e6 / theirs,
                "times faster": ours / theirs,
            }
        )
    return figures


def pipeline_predicts(contract: Contract, pipeline: Pipeline, rows: list[Row]) -> object:
    """What a service around the pipeline would do for `rows`."""
    return pipeline.predict(feature_frame(contract, rows))


if __name__ == "__main__":
    main()
