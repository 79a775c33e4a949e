"""An entry that is not what its hash says stops deciding, and nothing else: no hand that can add a
row to SQLite's file, and no other, silences the ledger with one.

Where it was edited, not added, nobody is answered without it in silence (decision 27).
"""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from app.cause import Cause
from app.ledger.damage import record_damage, refuse_on_damage, settle_known
from app.ledger.deciding import decide, folded
from app.ledger.erasures import erased_artefacts, positions_gone
from app.ledger.store import Ledger
from app.projections.folding import digests
from app.projections.models import get_model
from app.projections.opening import open_ledger, open_unfolded
from app.projections.policies import POLICIES
from app.projections.positions import POSITIONS
from app.projections.rebuild import rebuild
from app.projections.runner import READ_MODELS
from app.proof.repair import plan_repair, repair
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.canonical import sha256_hex
from domain.decisions import lifecycle
from domain.decisions.damage import SettleDamage
from domain.errors import LedgerDamaged
from domain.events.cycle_events import DataMerged
from domain.events.events import ContractAdopted, Event
from domain.events.unreadable import Unreadable
from tests.app.planting import erasure, plant_event, plant_unhashed
from tests.app.proof.forger import change, edited, stored_as
from tests.ledger_events import (
    contract_adopted,
    observation,
    policy_adopted,
    prediction,
    promoted,
    put,
    refused,
)
from tests.plausible import an

SOMEBODY = Cause.unauthenticated("somebody")
STREAM = "observations-cars"
PLANTED: dict[str, tuple[str, Event]] = {
    "what is refused": (STREAM, refused(7)),
    "a contract": ("model-cars", contract_adopted(policy="none")),
    "a policy": ("policy-strict-and", policy_adopted(version=9)),
    "an erasure": ("ledger", erasure(entries=(1,))),
}
PROMOTIONS = (
    promoted("cars/1", cycle="cars-1"),
    promoted("cars/2", cycle="cars-2", replaced="cars/1"),
)
EDIT = "UPDATE entries SET bytes = :content WHERE position = {}"
SAID = "ledger entry 4: the stored bytes hash to"


@pytest.fixture
def cars(ledger: Ledger) -> Ledger:
    """Policy, contract and a row of cars whose data stands apart: entries 1 to 3."""
    put(ledger, "policy-strict-and", policy_adopted())
    put(ledger, "model-cars", contract_adopted())
    put(ledger, STREAM, observation("car=1"), personal=True)
    return ledger


@pytest.fixture(params=PLANTED)
def planted(cars: Ledger, request: pytest.FixtureRequest) -> Ledger:
    stream, event = PLANTED[request.param]
    assert plant_unhashed(cars, event, stream=stream) == 4
    return cars


def accept(ledger: Ledger) -> None:
    record_damage(ledger, SOMEBODY)
    settle_known(ledger, SettleDamage(how="accepted", reason="we know who"), SOMEBODY)


def test_over_a_planted_one_writing_goes_on_and_deciding_does_not(
    planted: Ledger, settings: Settings
) -> None:
    put(planted, "predictions-cars", prediction("car=2"), personal=True)
    put(planted, STREAM, observation("car=2"), personal=True)
    assert isinstance(planted.entry(4).event, Unreadable)
    assert rebuild(planted).differing == ()
    assert [met.position for met in planted.met.all()] == [4]
    with pytest.raises(LedgerDamaged, match=SAID):
        refuse_on_damage(planted)
    first, *others = verify(planted, None).breaks
    assert (first.position, first.thing) == (4, "the stored bytes")
    assert [each.thing for each in others] == ["the tree's head"]
    accept(planted)
    refuse_on_damage(planted)
    again = open_ledger(settings)
    put(again, STREAM, refused())
    again.close()
    assert verify(planted, None).breaks[0].position == 4


def test_a_planted_one_keeps_nobody_from_an_erasure(planted: Ledger) -> None:
    put(planted, "ledger", erasure(entries=(3,)))
    with planted.engine.begin() as connection:
        connection.execute(text("DELETE FROM payloads"))
        assert positions_gone(connection) == {3}


def test_what_a_planted_one_may_have_frozen_is_nobodys(cars: Ledger) -> None:
    frozen = an(DataMerged, identities_sha256=sha256_hex(b"identities"))
    with cars.engine.begin() as connection:
        plant_event(connection, frozen, stream="cycle-cars-1")
    plant_unhashed(cars, frozen, stream="cycle-cars-2")
    put(cars, "ledger", erasure(artefacts=(frozen.identities_sha256,)))
    with cars.engine.connect() as connection:
        assert erased_artefacts(connection) == {frozen.identities_sha256}


def test_one_behind_the_heads_back_is_taken_up_by_a_repair_that_says_it(
    cars: Ledger,
) -> None:
    plant_unhashed(cars, refused(), stream=STREAM, taken_up=False)
    with pytest.raises(LedgerDamaged, match="added behind its back"):
        put(cars, STREAM, refused())
    (damaged,) = plan_repair(cars, None, None).damaged
    assert damaged.said.startswith(SAID)
    assert repair(cars, None, None).damaged == (damaged,)
    assert plan_repair(cars, None, None).steps == ()
    put(cars, STREAM, refused())
    assert verify(cars, None).breaks[0].position == 4


def test_a_repair_keeps_the_artefact_that_an_edited_entry_may_name(cars: Ledger) -> None:
    change(cars, EDIT.format(2), content=b"{}")
    with cars.engine.begin() as connection:
        content = b"a plan"
        row = {"s": sha256_hex(content), "b": content}
        connection.execute(text("INSERT INTO artefacts VALUES (:s, 'plan', :b)"), row)
    assert repair(cars, None, None).steps == ()


@pytest.fixture
def promoted_cars(cars: Ledger) -> Ledger:
    """Promotions of cars at 4 and 5, the later of which somebody edited."""
    put(cars, "model-cars", *PROMOTIONS)
    (content,) = cars.stored_bytes(5, 5)
    change(cars, EDIT.format(5), content=edited(content, model_version="cars/3"))
    return cars


def champion(ledger: Ledger) -> str | None:
    with ledger.connect() as connection:
        view = get_model(connection, "cars")
    assert view is not None
    return view.champion


def test_what_was_folded_of_an_edited_one_is_not_exchanged_until_somebody_gives_it_up(
    promoted_cars: Ledger,
) -> None:
    with promoted_cars.connect() as connection:
        before = digests(connection, READ_MODELS)
    for fold in (rebuild, Ledger.fold_anew):
        with pytest.raises(LedgerDamaged, match="ledger entry 5: the stored bytes hash to"):
            fold(promoted_cars)
    with promoted_cars.connect() as connection:
        assert digests(connection, READ_MODELS) == before
    accept(promoted_cars)
    assert "models" in " ".join(rebuild(promoted_cars).differing)
    assert champion(promoted_cars) == "cars/1"
    promoted_cars.fold_anew()
    assert champion(promoted_cars) == "cars/1"


def test_nobody_decides_by_a_stream_that_lacks_one_until_somebody_gives_it_up(
    promoted_cars: Ledger,
) -> None:
    look = folded("model-cars", lifecycle.fold)
    adopt = contract_adopted(policy="other")

    def adopted(_: lifecycle.Lifecycle, event: ContractAdopted) -> tuple[ContractAdopted]:
        return (event,)

    with pytest.raises(LedgerDamaged, match="ledger entry 5"):
        decide(promoted_cars, look, adopted, adopt, SOMEBODY)
    accept(promoted_cars)
    assert decide(promoted_cars, look, adopted, adopt, SOMEBODY).state.champion is not None


def test_another_edit_than_the_one_that_was_accepted_is_damage_again(
    promoted_cars: Ledger,
) -> None:
    promoted_cars.read()
    accept(promoted_cars)
    (content,) = promoted_cars.stored_bytes(4, 4)
    change(promoted_cars, EDIT.format(5), content=content)
    with pytest.raises(LedgerDamaged, match="ledger entry 5"):
        promoted_cars.read_stream("model-cars")


def test_a_version_with_other_read_models_opens_it_when_somebody_gave_it_up(
    promoted_cars: Ledger, settings: Settings
) -> None:
    change(promoted_cars, f"DELETE FROM {stored_as(promoted_cars, POSITIONS)}")
    promoted_cars.close()
    with pytest.raises(LedgerDamaged, match=r"ledger entry 5: .*whyledger settle --reason"):
        open_ledger(settings)
    unfolded = open_unfolded(settings)
    accept(unfolded)
    unfolded.close()
    opened = open_ledger(settings)
    with opened.connect() as connection:
        assert len(connection.execute(select(POLICIES)).all()) == 1
    opened.close()


def test_however_many_were_edited_each_is_given_up_once(cars: Ledger) -> None:
    put(cars, STREAM, *[refused(n + 1) for n in range(150)])  # more than a process remembers
    change(cars, "UPDATE entries SET bytes = :content WHERE position > 3", content=b"{}")
    for _ in range(2):
        with pytest.raises(LedgerDamaged, match="the stored bytes hash to"):
            cars.fold_anew()
        accept(cars)
    cars.fold_anew()


def test_an_erasure_that_was_edited_and_is_put_back_is_believed_again(cars: Ledger) -> None:
    put(cars, "ledger", erasure(entries=(3,)))
    (content,) = cars.stored_bytes(4, 4)
    change(cars, EDIT.format(4), content=content + b" ")
    with cars.engine.connect() as connection:
        assert positions_gone(connection) == frozenset()
    change(cars, EDIT.format(4), content=content)
    with cars.engine.connect() as connection:
        assert positions_gone(connection) == {3}
