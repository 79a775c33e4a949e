"""Frozen residuals are read as they were written, and nothing else is read."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import canonical_lists
from domain.canonical import canonical_bytes
from domain.errors import LedgerDamaged
from domain.residuals.frozen import (
    HEAD,
    TAIL,
    Residual,
    from_document,
    read_frozen,
    row_bytes,
    to_document,
)

ROWS = (Residual("car=1", "a", "1976-07-01T00:00:00.000000Z", -0.25), Residual("car=2", "b", "", 1))


def test_what_was_frozen_is_read_again() -> None:
    assert from_document(to_document(ROWS)) == ROWS


NAMES = st.text(alphabet='ab",[]\\é{}:', max_size=6)


@given(
    st.lists(st.builds(Residual, NAMES, NAMES, NAMES, st.floats(-1e9, 1e9)), max_size=12),
    st.integers(1, 60),
)
def test_row_by_row_the_same_bytes_are_written_and_read_whatever_the_names_hold(
    rows: list[Residual], read_at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical_lists, "_BYTES_AT_ONCE", read_at_once)
        content = HEAD + b",".join(map(row_bytes, rows)) + TAIL
        read = list(read_frozen(content))
    assert content == canonical_bytes(to_document(rows))
    assert read == list(from_document(orjson.loads(content)))


def test_bytes_in_another_order_are_read_too() -> None:
    spaced = orjson.dumps(to_document(ROWS), option=orjson.OPT_INDENT_2)
    assert tuple(read_frozen(spaced)) == ROWS


def test_another_format_is_named() -> None:
    with pytest.raises(LedgerDamaged, match=r"format 'whyledger.residuals/2', not .*/1'"):
        from_document({"format": "whyledger.residuals/2", "rows": []})


def test_a_row_that_is_none_is_damage() -> None:
    with pytest.raises(LedgerDamaged, match="frozen residuals cannot be read"):
        from_document(to_document(ROWS) | {"rows": [["car=1", "a"]]})
