"""Every Python that has this folder on its path is a later version of the service, whose read
model of rows has other numbers. It is not imported by tests: Python does so as it starts."""

from __future__ import annotations

from typing import Any

from app.projections import read_model

_table_of = read_model.table_of


def _with_later_numbers(view: type, name: str, *, number: int, **how: Any) -> Any:
    if how.get("metadata") is read_model.ROWS_METADATA:
        number += 1
    return _table_of(view, name, number=number, **how)


read_model.table_of = _with_later_numbers
