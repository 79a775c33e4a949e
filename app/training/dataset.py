"""The merged data of one training, written down: CSV, which its digest is of, and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from app.database.durable_files import replace_file
from domain.canonical import sha256_hex
from domain.contract.contract import CategoryFeature, Contract, NumberFeature
from domain.events.events import Row
from domain.path_parts import path_part


@dataclass(frozen=True, slots=True)
class WrittenDataset:
    """Where a merged data set stands."""

    csv: Path
    parquet: Path
    sha256: str  # of the CSV's bytes, 64 hex digits
    rows: int


def csv_bytes(contract: Contract, rows: Sequence[Row]) -> bytes:
    """The CSV of labelled `rows` in the order given: the same rows, the same bytes.

    Columns in the contract's order, the target last; numbers as the shortest text that reads
    back to the same double (3 is 3.0), missing values empty, lines end in LF, UTF-8.
    """
    numbers = {field.name for field in _schema(contract) if field.type == pa.float64()}
    columns = _columns(contract)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name), name in numbers) for name in columns])
    return text.getvalue().encode()


def write_dataset(
    folder: Path, name: str, contract: Contract, rows: Sequence[Row]
) -> WrittenDataset:
    """Write `name`.csv and `name`.parquet into `folder`, each whole or not at all.

    Repeating it gives the same bytes. `rows` are labelled and in the order they are trained in.

    Raises:
        OSError: the folder cannot be written.
    """
    name = path_part(name, "a cycle")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = csv_bytes(contract, rows)
    written = WrittenDataset(
        folder / f"{name}.csv", folder / f"{name}.parquet", sha256_hex(content), len(rows)
    )
    replace_file(written.csv, content)
    sink = pa.BufferOutputStream()
    schema = _schema(contract)
    columns = [pa.array([row.get(each.name) for row in rows], each.type) for each in schema]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink)
    replace_file(written.parquet, sink.getvalue().to_pybytes())
    return written


def _cell(value: float | int | str | None, number: bool) -> float | int | str:
    if value is None:
        return ""
    return float(value) if number else value


def _columns(contract: Contract) -> tuple[str, ...]:
    return (*contract.row_columns, contract.target.name)


def _schema(contract: Contract) -> pa.Schema:
    types: dict[str, pa.DataType] = {contract.target.name: pa.float64()}
    for feature in contract.features:
        if isinstance(feature, NumberFeature):
            types[feature.name] = pa.float64()
        else:
            types[feature.name] = _category_type(feature)
    for column in contract.columns:
        types[column.name] = {
            "number": pa.float64(),
            "integer": pa.int64(),
            "text": pa.string(),
        }[column.type]
    return pa.schema([(name, types[name]) for name in _columns(contract)])


def _category_type(feature: CategoryFeature) -> pa.DataType:
    return pa.string() if isinstance(feature.categories[0], str) else pa.int64()
