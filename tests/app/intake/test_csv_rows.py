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


def test_a_header_that_does_not_fit_says_what_to_send_and_how_much_more_is_wrong() -> None:
    said = r"'a' is no column .*'e' .*; and \d+ more\. Nothing was kept; send the file again with"

    with pytest.raises(DocumentInvalid, match=said):
        csv_header(iter([list("abcdefg")]), KETTLES)
