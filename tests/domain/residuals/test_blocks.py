"""Alike rows enter the evidence as one value, once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identities import Identities
from domain.residuals import blocks
from domain.residuals.blocks import Alike, Hearing, set_of_blocks
from domain.residuals.evidence import Evidence, Ranked, begun
from domain.residuals.frozen import Residual
from tests.peak import peak


def row(name: str, residual: float, group: str = "g", day: int = 1) -> Residual:
    return Residual(name, group, f"2026-01-{day:02d}T12:00:00.000000Z", residual)


@dataclass(frozen=True)
class Heard:
    rows: tuple[Residual, ...]
    values: tuple[Ranked, ...]
    blocks: Identities


def heard(
    settled: Iterable[Residual], alike: Alike | None, before: Identities | None = None
) -> Heard:
    """All that is heard of these rows, each of which is read once."""
    kept: list[Residual] = []
    hearing = Hearing(iter(list(settled)), alike, before=before, keeps=kept.append)
    values = tuple(hearing)
    assert (hearing.rows, hearing.values) == (len(kept), len(values))
    return Heard(tuple(kept), values, hearing.blocks)


def test_a_block_enters_as_the_mean_of_its_residuals_and_of_their_sizes() -> None:
    rows = [row("a", -3.0), row("b", 0.5, group="h"), row("c", 1.0)]
    found = heard(rows, "group")
    assert found.values == (Ranked("a", -1.0, 2.0), Ranked("b", 0.5, 0.5))
    assert (len(found.blocks), found.rows) == (2, tuple(rows))
    assert found.blocks.among(["g", "h", "a"]).tolist() == [True, True, False]


def test_a_day_is_a_block_whatever_its_groups() -> None:
    found = heard([row("a", 1.0), row("b", 2.0, group="h"), row("c", 4.0, day=2)], "day")
    assert [each.signed for each in found.values] == [1.5, 4.0]
    assert len(found.blocks) == 2
    assert found.blocks.among(["2026-01-01", "2026-01-02"]).all()


def test_later_rows_of_a_block_that_has_entered_are_skipped() -> None:
    first = heard([row("a", 1.0)], "group")
    again = heard([row("b", 9.0), row("c", 2.0, group="h")], "group", before=first.blocks)
    assert again.values == (Ranked("c", 2.0, 2.0),)
    assert [each.identity for each in again.rows] == ["c"]


def test_without_blocks_each_row_stands_for_itself() -> None:
    rows = [row("a", -1.0), row("b", 2.0)]
    found = heard(rows, None)
    assert found.values == (Ranked("a", -1.0, 1.0), Ranked("b", 2.0, 2.0))
    assert (found.rows, len(found.blocks)) == (tuple(rows), 0)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.floats(-9, 9)), max_size=12),
    st.sets(st.sampled_from("abcd")),
)
def test_each_block_enters_once_or_had_entered_and_no_row_is_heard_twice(
    drawn: list[tuple[str, float]], before: set[str]
) -> None:
    rows = [row(str(n), residual, group) for n, (group, residual) in enumerate(drawn)]
    entered = set_of_blocks()
    entered.add(before)
    found = heard(rows, "group", before=entered)
    assert len(found.values) == len(found.blocks) == len({group for group, _ in drawn} - before)
    assert [each.group in before for each in rows if each not in found.rows] == [True] * (
        len(rows) - len(found.rows)
    )
    whole = math.fsum(each.magnitude for each in found.values)
    assert all(abs(each.signed) <= each.magnitude + 1e-12 for each in found.values)
    assert whole <= 9 * len(found.values) + 1e-9
    assert heard(rows, "group", before=entered | found.blocks).values == ()


def of_pairs(pairs: int) -> Iterator[Residual]:
    """Two rows of each of so many groups: all first ones, then all second ones."""
    for n in range(2 * pairs):
        yield row(f"row={n:015}", n / 7, group=f"group={n % pairs:015}")


def test_of_many_blocks_no_page_of_them_is_told_from_another() -> None:
    """Given more rows and more blocks than a page has, then each is what plain Python has."""
    pairs = 10_000
    found = heard(of_pairs(pairs), "group")
    assert len(found.blocks) == pairs
    expected = [
        Ranked(f"row={n:015}", math.fsum(both) / 2, math.fsum(both) / 2)
        for n in range(pairs)
        for both in [(n / 7, (n + pairs) / 7)]
    ]
    assert list(found.values) == expected


def evidence_of(pairs: int) -> Evidence:
    return begun(Hearing(of_pairs(pairs), "group"))


def test_of_rows_that_are_heard_figures_are_kept_and_no_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given 2,000 blocks of two rows and four times as many, then what is held at most grows by 220
    bytes a block: its name, its first row's identity and an array of its own take 390."""
    monkeypatch.setattr(blocks, "_ROWS_AT_ONCE", 100)  # so that few rows are many pages
    held = [peak(partial(evidence_of, pairs)) for pairs in (2_000, 8_000)]
    assert held[1] - held[0] <= 220 * 6_000


def test_a_block_of_one_row_is_that_row() -> None:
    alone = [row("a", -2.0, group="a"), row("b", 3.0, group="b")]
    assert heard(alone, "group").values == heard(alone, None).values
