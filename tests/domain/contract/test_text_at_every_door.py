"""One rule for text: what a contract lists and what a row holds are the same text, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from domain.contract.contract import Contract, parse_contract
from domain.contract.rows import RowGuard
from domain.errors import ContractInvalid, DocumentInvalid, RowsRefusedError
from domain.strict_json import read_json
from tests.domain.kettles import GUARD, ROW, kettle_document

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def kettles_with(categories: list[str], unknown: str = "accept") -> dict[str, Any]:
    document = kettle_document()
    document["features"][2] |= {"categories": categories, "unknown": unknown}
    return document


@pytest.mark.parametrize("listed", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("sent", [COMPOSED, DECOMPOSED])
def test_a_category_typed_in_two_ways_is_one_category_kept_as_the_contract_writes_it(
    listed: str, sent: str
) -> None:
    guard = RowGuard(parse_contract(kettles_with([listed], "refuse"), adopting=True))
    assert guard.check_row({**ROW, "shape": sent}, labelled=False)["shape"] == listed


def test_text_and_categories_that_nobody_listed_are_kept_composed() -> None:
    guard = RowGuard(parse_contract(kettles_with(["jug"])))
    row = guard.check_row({**ROW, "shape": DECOMPOSED, "serial": DECOMPOSED}, labelled=False)
    assert (row["shape"], row["serial"]) == (COMPOSED, COMPOSED)


@pytest.mark.parametrize("label", ["(missing)", "(new)", "(other)"])
def test_a_category_never_has_the_label_of_a_drift_bin(label: str) -> None:
    with pytest.raises(ContractInvalid, match="is the label of a drift bin; name the category"):
        parse_contract(kettles_with(["jug", label]), adopting=True)
    guard = RowGuard(parse_contract(kettles_with(["jug"])))
    with pytest.raises(RowsRefusedError, match="is the label of a drift bin"):
        guard.check_row({**ROW, "shape": label}, labelled=False)


def test_a_category_is_refused_by_the_code_point_that_nobody_can_see() -> None:
    with pytest.raises(ContractInvalid, match=r"/features/2/categories/1: .* U\+00AD"):
        parse_contract(kettles_with(["jug", "do\u00adme"]), adopting=True)


def test_two_forms_of_one_category_are_refused() -> None:
    with pytest.raises(ContractInvalid, match="in another form of Unicode; remove one"):
        parse_contract(kettles_with([COMPOSED, DECOMPOSED]), adopting=True)


@pytest.mark.parametrize("category", ["(new)", "no\u00a0space"])
def test_what_was_adopted_before_the_rule_stays_readable_and_known(category: str) -> None:
    contract: Contract = parse_contract(kettles_with(["jug", category], "refuse"))
    row = RowGuard(contract).check_row({**ROW, "shape": category}, labelled=False)
    assert row["shape"] == category


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2028"])
def test_only_the_space_that_everybody_sees_is_printable(space: str) -> None:
    with pytest.raises(RowsRefusedError, match=f"U\\+{ord(space):04X}"):
        GUARD.check_row({**ROW, "serial": f"a{space}b"}, labelled=False)
    assert GUARD.check_row({**ROW, "serial": "a b"}, labelled=False)["serial"] == "a b"


def test_a_number_too_long_for_json_is_told_to_come_as_text_only_where_text_is_wanted() -> None:
    with pytest.raises(DocumentInvalid, match="text where the contract wants text"):
        read_json('{"batch": 9007199254740993, "serial": 9007199254740993}', name="the body")
    as_text = GUARD.check_row({**ROW, "serial": "9007199254740993"}, labelled=False)
    assert as_text["serial"] == "9007199254740993"
    with pytest.raises(RowsRefusedError, match="not an integer; send an integer"):
        GUARD.check_row({**ROW, "batch": "9007199254740993"}, labelled=False)
