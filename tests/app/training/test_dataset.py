"""Merged data: the same rows, the same bytes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from app.training.dataset import csv_bytes, write_dataset
from domain.canonical import sha256_hex
from domain.contract.rows import RowGuard
from tests.app.training.training_rows import car_contract, cars, kettle_contract, kettles

CARS, _ = car_contract("car-price")
KETTLES, _ = kettle_contract()


def test_the_csv_holds_every_column_and_reads_back_to_the_same_rows() -> None:
    rows = cars(CARS)
    guard = RowGuard(CARS)
    read = csv.DictReader(io.StringIO(csv_bytes(CARS, rows).decode()))
    assert read.fieldnames == [*CARS.row_columns, "price"]
    assert [guard.check_row(guard.parse_csv_row(row), labelled=True) for row in read] == rows


@given(st.floats(100, 5000), st.sampled_from([3, 3.0]))
def test_a_number_is_written_so_that_it_reads_back_to_the_bit(power: float, idle: float) -> None:
    row = kettles(1)[0] | {"power": power, "idle": idle, "note": 'a "quoted",\nnote'}
    (read,) = csv.DictReader(io.StringIO(csv_bytes(KETTLES, [row]).decode()))
    assert float(read["power"]) == power
    assert read["idle"] == "3.0"
    assert read["note"] == 'a "quoted",\nnote'


def test_missing_values_are_empty_in_the_csv_and_null_in_parquet(tmp_path: Path) -> None:
    row = kettles(1)[0] | {"power": None, "shape": None}
    written = write_dataset(tmp_path, "kettle-noise-1", KETTLES, [row])
    (read,) = csv.DictReader(io.StringIO(written.csv.read_text()))
    (kept,) = pq.read_table(written.parquet).to_pylist()
    assert (read["power"], read["shape"]) == ("", "")
    assert (kept["power"], kept["shape"], kept["plug"]) == (None, None, row["plug"])


def test_writing_twice_gives_the_same_digest_and_leaves_nothing_behind(tmp_path: Path) -> None:
    rows = cars(CARS)
    first = write_dataset(tmp_path / "merged", "car-price-3", CARS, rows)
    content = first.csv.read_bytes()
    assert write_dataset(tmp_path / "merged", "car-price-3", CARS, rows) == first
    assert first.csv.read_bytes() == content
    assert (first.sha256, first.rows) == (sha256_hex(content), len(rows))
    assert sorted(path.name for path in first.csv.parent.iterdir()) == [
        "car-price-3.csv",
        "car-price-3.parquet",
    ]
    assert pq.read_table(first.parquet).num_rows == len(rows)
