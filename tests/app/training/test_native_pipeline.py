"""The table a data scientist reads, whatever pandas made of its columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.training.native_pipeline import NativePipeline


class Seen:
    """Stands where the fitted pipeline does: keeps what it is given, and predicts one."""

    def predict(self, table: pd.DataFrame) -> Any:
        self.table = table
        return np.ones(len(table))


FEATURES = [("power", "number"), ("plug", "integer"), ("shape", "text")]


def given(table: pd.DataFrame, transform: str = "none") -> tuple[dict[str, list[Any]], list[float]]:
    """What reaches the pipeline, and what is answered."""
    seen = Seen()
    answered = NativePipeline(seen, FEATURES, transform).predict(table)  # type: ignore[arg-type]
    held = seen.table.astype(object).where(seen.table.notna(), None)
    return {str(name): column.tolist() for name, column in held.items()}, list(answered)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_value_is_missing_however_pandas_says_it(missing: object) -> None:
    table = pd.DataFrame({"power": [1.5], "plug": [missing], "shape": [missing]}, dtype=object)
    assert given(table)[0] == {"power": [1.5], "plug": [None], "shape": [None]}


def test_whole_numbers_that_pandas_read_as_doubles_are_whole_again() -> None:
    table = pd.DataFrame({"power": [1, 2], "plug": [2.0, np.nan], "shape": ["jug", "dome"]})
    found = given(table)[0]
    assert found == {"power": [1.0, 2.0], "plug": [2, None], "shape": ["jug", "dome"]}
    assert type(found["plug"][0]) is int


def test_a_category_of_digits_that_pandas_read_as_a_number_is_text_again() -> None:
    table = pd.DataFrame({"power": [1.0, 1.0], "plug": [1, 2], "shape": [3.0, np.nan]})
    assert given(table)[0]["shape"] == ["3", None]


def test_columns_may_come_in_any_order_with_others_beside_them_or_not_at_all() -> None:
    table = pd.DataFrame({"year": [1975], "shape": ["jug"], "power": [2.0]})
    assert given(table)[0] == {"power": [2.0], "plug": [None], "shape": ["jug"]}


def test_the_answer_is_in_the_targets_unit() -> None:
    table = pd.DataFrame({"power": [2.0], "plug": [1], "shape": ["jug"]})
    assert given(table, "log")[1] == [math.e]
    assert given(table, "none")[1] == [1.0]
