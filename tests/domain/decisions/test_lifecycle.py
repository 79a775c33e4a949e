"""What a model's stream allows, told as given, when, then."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given as for_all
from hypothesis.strategies import integers, lists, sampled_from
from msgspec import structs

from domain.decisions.lifecycle import (
    AdoptContract,
    Champion,
    PromoteCandidate,
    ReportHealth,
    RollBack,
    fold,
    report,
    settle,
)
from domain.errors import PromotionRefused, RollbackRefused, UnknownModel
from domain.events.cycle_events import PromotionSettled
from domain.events.events import (
    CandidatePromoted,
    ChampionRolledBack,
    ContractAdopted,
    ModelEvent,
    ValueMeasured,
)
from tests.domain.events.sample_events import REPORTED, STARTED
from tests.plausible import an
from tests.story import given

ADOPTED = ContractAdopted(model="car-price", contract={"model": "car-price"}, contract_digest="c1")
FIRST = CandidatePromoted(
    model="car-price",
    model_version="car-price/1",
    replaced=None,
    plan_sha256="p1",
    reference_sha256="r1",
    cycle="car-price-1",
    as_of="1976-01-01T00:00:00.000000Z",
    trained_until="1975-07-01T00:00:00.000001Z",
    registry_run="run1",
)
SECOND = structs.replace(
    FIRST,
    model_version="car-price/2",
    replaced="car-price/1",
    plan_sha256="p2",
    reference_sha256="r2",
    cycle="car-price-2",
    registry_run=None,
)
BACK = ChampionRolledBack(
    model="car-price",
    model_version="car-price/1",
    replaced="car-price/2",
    plan_sha256="p1",
    reference_sha256="r1",
    trained_until="1975-07-01T00:00:00.000001Z",
    registry_run="run1",
    reason="prices came in wrong",
)
PROMOTE_SECOND = PromoteCandidate(
    model="car-price",
    candidate=Champion(
        model_version="car-price/2",
        plan_sha256="p2",
        reference_sha256="r2",
        trained_until="1975-07-01T00:00:00.000001Z",
        registry_run=None,
    ),
    compared_with="car-price/1",
    serves="car-price/1",
    cycle="car-price-2",
    as_of="1976-01-01T00:00:00.000000Z",
)
OF_FIRST = an(ValueMeasured, model="car-price", model_version="car-price/1")
OF_SECOND = structs.replace(OF_FIRST, model_version="car-price/2")
EVENTS: tuple[ModelEvent, ...] = (ADOPTED, FIRST, SECOND, BACK, OF_FIRST)


def back_to(version: str, reason: str = "-") -> RollBack:
    """The command to let that version serve again."""
    return RollBack(model="car-price", to=version, reason=reason)


def test_a_contract_is_adopted_whole() -> None:
    command = AdoptContract(
        model="car-price", contract={"model": "car-price"}, contract_digest="c1"
    )
    given().when(command).then(ADOPTED)


def test_adopting_the_contract_in_force_again_changes_nothing() -> None:
    command = AdoptContract(
        model="car-price", contract={"model": "car-price"}, contract_digest="c1"
    )
    given(ADOPTED).when(command).then()


def test_a_candidate_compared_with_the_champion_is_promoted() -> None:
    given(ADOPTED, FIRST).when(PROMOTE_SECOND).then(SECOND)


def test_promoting_the_champion_again_changes_nothing() -> None:
    given(ADOPTED, FIRST, SECOND).when(PROMOTE_SECOND).then()


def test_a_candidate_is_refused_when_the_champion_changed_after_its_gate() -> None:
    given(ADOPTED).when(PROMOTE_SECOND).then_refused(
        PromotionRefused, saying="compared it with 'car-price/1', and None serves now. Run another"
    )


def test_a_model_nobody_knows_has_nobody_to_promote_and_nobody_to_roll_back_to() -> None:
    unknown = r"^model 'car-price' is unknown\. Adopt a contract for it first, or correct"
    given().when(PROMOTE_SECOND).then_refused(UnknownModel, saying=unknown)
    given().when(PROMOTE_SECOND, by=settle).then_refused(UnknownModel, saying=unknown)
    given().when(back_to("car-price/1")).then_refused(UnknownModel, saying=unknown)


def test_a_promotion_stands_before_the_word_that_the_cycle_is_settled() -> None:
    settled = PromotionSettled(
        promoted=True, model_version="car-price/2", reason="car-price/2 replaces car-price/1"
    )
    given(ADOPTED, FIRST).when(PROMOTE_SECOND, by=settle).then(SECOND, settled)
    given(ADOPTED, FIRST, SECOND).when(PROMOTE_SECOND, by=settle).then(settled)


def test_a_first_promotion_replaces_nobody() -> None:
    first = replace(PROMOTE_SECOND, compared_with=None, serves=None)
    given(ADOPTED).when(first, by=settle).then(
        structs.replace(SECOND, replaced=None),
        PromotionSettled(
            promoted=True, model_version="car-price/2", reason="car-price/2 replaces nobody"
        ),
    )


def test_a_cycle_whose_promotion_is_refused_is_settled_with_the_reason() -> None:
    given(ADOPTED).when(PROMOTE_SECOND, by=settle).then(
        PromotionSettled(
            promoted=False,
            model_version="car-price/2",
            reason="cannot promote 'car-price/2': its deployment gate compared it with "
            "'car-price/1', and None serves now. Run another cycle.",
        )
    )


def test_a_contract_adopted_between_gate_and_promotion_does_not_stop_it() -> None:
    given(ADOPTED, FIRST, structs.replace(ADOPTED, contract_digest="c2")).when(PROMOTE_SECOND).then(
        SECOND
    )


def test_any_earlier_champion_can_serve_again() -> None:
    given(ADOPTED, FIRST, SECOND).when(back_to("car-price/1", "prices came in wrong")).then(BACK)


def test_after_a_rollback_the_later_champion_is_an_earlier_one_too() -> None:
    history = (ADOPTED, FIRST, SECOND, BACK)
    assert [champion.model_version for champion in fold(history).champions] == [
        "car-price/1",
        "car-price/2",
    ]


def test_rolling_back_to_who_serves_is_refused() -> None:
    given(ADOPTED, FIRST).when(back_to("car-price/1")).then_refused(
        RollbackRefused, saying="it serves already. Earlier champions: none"
    )


def test_rolling_back_to_a_version_that_never_served_is_refused() -> None:
    given(ADOPTED, FIRST, SECOND).when(back_to("car-price/9")).then_refused(
        RollbackRefused, saying="never was champion. Earlier champions: car-price/1."
    )


def test_who_was_rolled_back_from_may_be_chosen_and_who_serves_may_not() -> None:
    given(ADOPTED, FIRST, SECOND, BACK).when(back_to("car-price/1")).then_refused(
        RollbackRefused, saying="it serves already. Earlier champions: car-price/2."
    )


def test_rolling_back_before_any_promotion_is_refused() -> None:
    given(ADOPTED).when(back_to("car-price/1")).then_refused(
        RollbackRefused, saying="no version was ever promoted. Run a cycle first"
    )


def test_what_a_champion_was_worth_stands_before_what_ended_its_reign() -> None:
    ended = replace(PROMOTE_SECOND, ended=OF_FIRST)
    given(ADOPTED, FIRST).when(ended).then(OF_FIRST, SECOND)
    back = replace(back_to("car-price/1", "prices came in wrong"), ended=OF_SECOND)
    given(ADOPTED, FIRST, SECOND).when(back).then(OF_SECOND, BACK)


def test_what_was_measured_of_somebody_who_serves_no_longer_is_not_said_again() -> None:
    stale = replace(back_to("car-price/1", "prices came in wrong"), ended=OF_FIRST)
    given(ADOPTED, FIRST, SECOND).when(stale).then(BACK)


def test_a_cycle_ends_with_what_its_champion_is_worth_while_it_serves() -> None:
    command = ReportHealth(measured=OF_FIRST, health=REPORTED)
    given(ADOPTED, FIRST).when(command, by=report).then(OF_FIRST, REPORTED)
    given(ADOPTED, FIRST, SECOND).when(command, by=report).then(REPORTED)
    given(ADOPTED).when(command, by=report).then(REPORTED)
    given(ADOPTED, FIRST).when(replace(command, measured=None), by=report).then(REPORTED)


@for_all(lists(sampled_from(EVENTS), max_size=30), integers(0, 30))
def test_folding_from_any_snapshot_equals_folding_from_the_start(
    history: list[ModelEvent], cut: int
) -> None:
    assert fold(history[cut:], start=fold(history[:cut])) == fold(history)


def test_what_is_no_event_of_a_model_changes_nothing() -> None:
    assert fold((STARTED, ADOPTED, STARTED, FIRST)) == fold((ADOPTED, FIRST))
