"""What damage stops, and what lets deciding go on, told as given, when, then."""

from __future__ import annotations

import pytest

from domain.decisions.damage import (
    Known,
    NoteDamage,
    SettleDamage,
    fold,
    note_damage,
    settle_damage,
    standing,
)
from domain.errors import NothingToDecide, RequestInvalid
from domain.events.events import DamageFound, DamageSettled

FOUND = DamageFound(position=164, said="its bytes hash to another leaf")
OTHER = DamageFound(position=12, said="its data is missing")
NOTE = NoteDamage(position=FOUND.position, said=FOUND.said)
ACCEPT = SettleDamage(how="accepted", reason=" the copy is right\n")
CLEAN = SettleDamage(how="verified", reason="nothing is broken", before=100)


def settled(*found: int, how: str = "accepted", reason: str = "r") -> DamageSettled:
    return DamageSettled(
        found=found, how="accepted" if how == "accepted" else "verified", reason=reason
    )


def test_what_is_met_stands_until_it_is_settled() -> None:
    known = fold([(7, FOUND), (9, OTHER), (10, settled(7))])
    assert standing(known) == (Known(position=9, found=OTHER),)


def test_what_else_stands_in_the_ledger_says_nothing_of_damage() -> None:
    assert fold([(6, "a checkpoint"), (7, FOUND)]) == (Known(position=7, found=FOUND),)


def test_the_same_damage_is_said_once() -> None:
    assert note_damage((), NOTE) == (FOUND,)
    assert note_damage(fold([(7, FOUND)]), NOTE) == ()


def test_what_was_accepted_stays_accepted_however_often_it_is_met() -> None:
    assert note_damage(fold([(7, FOUND), (8, settled(7))]), NOTE) == ()


def test_what_a_verification_found_gone_and_comes_again_stands_again() -> None:
    known = fold([(7, FOUND), (8, settled(7, how="verified"))])
    assert note_damage(known, NOTE) == (FOUND,)


def test_accepting_names_all_that_stands_with_the_reason() -> None:
    known = fold([(7, FOUND), (8, settled(7)), (9, OTHER)])
    assert settle_damage(known, ACCEPT) == (settled(9, reason="the copy is right"),)


def test_a_clean_verification_settles_what_was_accepted_and_nothing_it_has_not_seen() -> None:
    known = fold([(7, FOUND), (8, settled(7)), (99, OTHER), (100, FOUND)])
    (event,) = settle_damage(known, CLEAN)
    assert (event.found, event.how) == ((7, 99), "verified")


def test_a_verification_settles_what_it_has_proven_and_no_more() -> None:
    nowhere = DamageFound(position=None, said="an artefact has another digest")
    known = fold([(7, FOUND), (9, OTHER), (10, nowhere)])

    def settles(covered: int) -> list[int]:
        clean = SettleDamage(how="verified", reason="r", before=100, covered=covered)
        return [each for event in settle_damage(known, clean) for each in event.found]

    found = {covered: settles(covered) for covered in (0, 12, 13, 165)}
    assert found == {0: [], 12: [10], 13: [9, 10], 165: [7, 9, 10]}


def test_a_settlement_planted_before_the_damage_settles_nothing() -> None:
    assert len(standing(fold([(5, settled(7)), (7, FOUND)]))) == 1


def test_a_planted_acceptance_brings_back_nothing_that_is_gone() -> None:
    known = fold([(7, FOUND), (8, settled(7, how="verified")), (9, settled(7))])
    assert [each.gone for each in known] == [True]


def test_there_is_nothing_to_accept_where_nothing_stands() -> None:
    with pytest.raises(NothingToDecide, match="no damage stands"):
        settle_damage(fold([(7, FOUND), (8, settled(7))]), ACCEPT)
    assert settle_damage((), CLEAN) == ()


@pytest.mark.parametrize("reason", ["", " \n", "x" * 501])
def test_who_accepts_says_why(reason: str) -> None:
    with pytest.raises(RequestInvalid, match="the reason has to be 1 to 500 characters"):
        SettleDamage(how="accepted", reason=reason)
