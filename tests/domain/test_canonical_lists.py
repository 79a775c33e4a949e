"""A long list is read in parts, and gives the same elements as at once."""

from __future__ import annotations

from itertools import chain

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import canonical_lists
from domain.canonical_lists import elements

TEXTS = st.lists(st.text(alphabet='ab",[]\\é', max_size=8), max_size=12)


@given(TEXTS, st.booleans(), st.integers(1, 40))
def test_the_parts_make_the_list_wherever_it_is_cut(
    texts: list[str], nested: bool, at_once: int
) -> None:
    given_list = [[text, 0.5, text] for text in texts] if nested else texts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical_lists, "_BYTES_AT_ONCE", at_once)
        found = list(elements(orjson.dumps(given_list)))
    assert list(chain.from_iterable(found)) == given_list


def test_no_part_is_much_longer_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical_lists, "_BYTES_AT_ONCE", 100)
    parts = list(elements(orjson.dumps([f"car={n:04d}" for n in range(1_000)])))
    assert max(map(len, parts)) <= 11


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(ValueError, match="unexpected"):
        list(elements(b'["a",b]'))
