"""The header of a CSV, held to a contract."""

from __future__ import annotations

import pytest

from app.intake.csv_rows import csv_header
from domain.errors import DocumentInvalid
from tests.domain.kettles import KETTLES


def test_a_column_is_pointed_at_whatever_it_is_called() -> None:
    with pytest.raises(DocumentInvalid, match="'a/b~' is no column of 'kettle-noise'") as refused:
        csv_header(iter([["a/b~", "x" * 101, "y", "y"]]), KETTLES)
    paths = [fault.path for fault in refused.value.faults]
    assert paths[:4] == ["/y", "/a~1b~0", f"/{'x' * 101}", "/y"]
