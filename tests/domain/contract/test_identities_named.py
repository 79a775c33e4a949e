"""Identities that are sent together are read as each of them by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.contract.rows import RowGuard
from domain.errors import RequestInvalid
from tests.domain.kettles import KETTLES

GUARD = RowGuard(KETTLES)
SERIALS: st.SearchStrategy[Any] = st.sampled_from(["K-1", "a|b", "50%", "Cafe\u0301", "", "\u200b"])
BATCHES: st.SearchStrategy[Any] = st.sampled_from([1, 12, 12.0, 12.5, -5, True, None, 10**12, "12"])
NAMED = st.fixed_dictionaries({"serial": SERIALS, "batch": BATCHES})


def told(identities: list[dict[str, Any]]) -> list[str] | str:
    """The keys of each by itself, or why the first bad one is none."""
    try:
        return [GUARD.check_identity(each) for each in identities]
    except RequestInvalid as refused:
        return refused.message


@example([{"batch": 12, "serial": "K-1"}, {"serial": "K-2", "batch": 13}])
@example([{"serial": "K-1"}])
@example([])
@given(st.lists(NAMED | st.fixed_dictionaries({"serial": SERIALS}), max_size=4))
def test_what_each_names_does_not_depend_on_the_others(identities: list[dict[str, Any]]) -> None:
    expected = told(identities)
    if isinstance(expected, str):
        with pytest.raises(RequestInvalid) as refused:
            GUARD.identities_named(identities)
        assert refused.value.message == expected
    else:
        assert GUARD.identities_named(identities) == expected
