"""When a row may be erased and what goes with it, told as given, when, then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from domain.decisions.erasure import EraseRow, Kept, Training, trained_with
from domain.errors import CycleRunning, RequestInvalid
from domain.events.block_events import RowPlace
from domain.events.events import PayloadErased
from tests.story import given

KEPT = Kept(
    open_cycle=None,
    positions=(7, 12),
    rows=(RowPlace(position=9, row=3),),
    beyond=(5,),
    unread=(),
    trainings=(
        Training(cycle="car-price-1", candidate="car-price/1", artefacts=("b", "a")),
        Training(cycle="car-price-2", candidate=None, artefacts=("c",)),
        Training(cycle="car-price-3", candidate="car-price/3", artefacts=("a",)),
    ),
    residuals=("r", "a"),
    champion="car-price/3",
    reference_sha256="a",
)
ERASE = EraseRow(
    model="car-price",
    identity="year=1976|car_id=129",
    reason=" the owner asked ",
    legal_basis="GDPR Art. 17\n",
)
ERASED = PayloadErased(
    model="car-price",
    entries=(7, 12),
    rows=(RowPlace(position=9, row=3),),
    artefacts=("a", "b", "c", "r"),
    cycles=("car-price-1", "car-price-2", "car-price-3"),
    model_versions=("car-price/1", "car-price/3"),
    reason="the owner asked",
    legal_basis="GDPR Art. 17",
)


def test_an_erasure_names_every_entry_row_artefact_cycle_and_version_that_held_the_row() -> None:
    given(KEPT).when(ERASE).then(ERASED)


def test_a_row_that_nobody_trained_with_takes_nothing_with_it() -> None:
    given(replace(KEPT, trainings=(), residuals=())).when(ERASE).then(
        structs.replace(ERASED, artefacts=(), cycles=(), model_versions=())
    )


def test_when_nothing_that_can_be_erased_is_kept_nothing_is_recorded() -> None:
    given(replace(KEPT, positions=(), rows=(), trainings=(), residuals=())).when(ERASE).then()


def test_rows_of_many_in_one_entry_are_enough_to_erase() -> None:
    given(replace(KEPT, positions=())).when(ERASE).then(structs.replace(ERASED, entries=()))


def test_a_cycle_that_has_not_ended_is_let_end_first() -> None:
    for kept in (KEPT, replace(KEPT, positions=(), rows=())):
        given(replace(kept, open_cycle="car-price-4")).when(ERASE).then_refused(
            CycleRunning,
            saying=r"^cycle 'car-price-4' has not ended and may hold the row\. Let it end "
            r"\(`whyledger cycle --model car-price` resumes it\), then erase\.$",
        )


@pytest.mark.parametrize("words", ["", " ", "x" * 501])
@pytest.mark.parametrize(("field", "name"), [("reason", "reason"), ("legal_basis", "legal basis")])
def test_an_erasure_says_why_and_on_what_legal_basis(field: str, name: str, words: str) -> None:
    with pytest.raises(RequestInvalid, match=f"^the {name} has to be 1 to 500 characters; say it"):
        replace(ERASE, **{field: words})


def test_a_key_that_is_no_text_is_no_rows() -> None:
    with pytest.raises(RequestInvalid, match=r"^the row's key holds bytes that are no UTF-8"):
        replace(ERASE, identity="year=1976|car_id=\udcff")


def test_five_hundred_characters_are_not_too_many() -> None:
    given(KEPT).when(replace(ERASE, reason="x" * 500)).then(
        structs.replace(ERASED, reason="x" * 500)
    )


@pytest.mark.parametrize(
    ("labels", "saw"),
    [
        ((), False),
        (((20, "1975"),), True),
        (((21, "1975"),), False),
        (((20, "1976"),), False),
        (((21, "1975"), (20, "1976"), (3, "1974")), True),
    ],
)
def test_a_cycle_saw_labels_that_were_there_and_are_about_a_time_before_its_as_of(
    labels: tuple[tuple[int, str], ...], saw: bool
) -> None:
    assert trained_with(labels, started_position=20, as_of="1976") is saw
