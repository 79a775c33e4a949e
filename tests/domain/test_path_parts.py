"""A name of somebody else's becomes part of a path only when it leads nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import LedgerDamaged
from domain.path_parts import file_digest, is_digest, path_part

DIGEST = "0a" * 32


def test_a_digest_is_64_lower_case_hex_digits() -> None:
    assert file_digest(DIGEST, "a plan") == DIGEST
    assert is_digest(DIGEST)


@pytest.mark.parametrize(
    "value", [DIGEST.upper(), DIGEST[:-1], DIGEST + "\n", DIGEST + "0", "../" + DIGEST, 7, None]
)
def test_whatever_else_is_no_digest_and_the_refusal_says_whose_it_is(value: object) -> None:
    assert not is_digest(value)
    with pytest.raises(LedgerDamaged, match=r"the digest of a plan is .* names no file"):
        file_digest(value, "the digest of a plan")


@pytest.mark.parametrize("name", ["car-price", "car-price-7", "0198f2a4-6d1e", "rows.jsonl"])
def test_a_name_without_a_way_out_is_taken(name: str) -> None:
    assert path_part(name, "a cycle") == name


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", ".x", "a\0", "a\n", "é", 3])
def test_a_name_that_could_lead_elsewhere_is_refused(name: object) -> None:
    with pytest.raises(LedgerDamaged, match="a cycle is"):
        path_part(name, "a cycle")


@given(st.text(alphabet="ab./\\\0-_\n", max_size=8))
def test_what_is_taken_never_leaves_its_folder(name: str) -> None:
    try:
        part = path_part(name, "a cycle")
    except LedgerDamaged:
        return
    assert part not in {"", ".", ".."}
    assert not set(part) & set("/\\\0\n")
