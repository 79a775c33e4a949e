"""A set of identities answers as a set of texts does, in 16 bytes a text."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from domain.identities import Identities, row_digests

NAMES = st.lists(st.text(max_size=3), max_size=12)


@given(NAMES, NAMES, NAMES, NAMES)
def test_it_answers_as_a_set_does(
    first: list[str], added: list[str], other: list[str], asked: list[str]
) -> None:
    found = Identities("cars", first)
    found.add(added)
    expected = {*first, *added}
    assert found.among(asked).tolist() == [name in expected for name in asked]
    assert not found.among_rows(row_digests("vans", asked)).any(), "of another model"
    assert len(found) == len(expected)
    both = found | Identities("cars", other)
    assert [name in both for name in asked] == [name in expected | {*other} for name in asked]
    assert len(found) == len(expected)  # it is as it was


def test_what_is_kept_does_not_depend_on_how_long_the_names_are() -> None:
    rows = 20_000
    Identities("cars", ["1"])  # what NumPy imports for the first of them is none of theirs
    held = []
    for count in (rows, 4 * rows):
        tracemalloc.start()
        found = Identities("cars", (f"{n}" * 20 for n in range(count)))
        kept, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        held.append(most)
        assert len(found) == count
        assert kept <= 20 * count
    assert held[1] - held[0] <= 64 * 3 * rows, "as objects, digests alone take as much"
