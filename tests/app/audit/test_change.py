"""Every change is told in one sentence: what happened, to whom, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.audit.change import Change, changes, happened_last
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.events.events import DamageFound, DamageSettled
from tests.app.golden_story import replayed
from tests.app.web.car_story import MODEL, car_story, record, time
from tests.ledger_events import put
from tests.repository import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden"


def told_of(name: str, folder: Path) -> list[Change]:
    """The changes in a golden ledger, oldest first."""
    lines = (GOLDEN / f"{name}.jsonl").read_bytes().splitlines()
    apart = GOLDEN / f"{name}.payloads.jsonl"
    settings = Settings(state_dir=folder)
    payloads = apart.read_bytes().splitlines() if apart.exists() else []
    replayed(lines, settings.ledger_url, payloads)
    ledger = open_ledger(settings)
    with ledger.connect() as connection:
        found = changes(connection, after=-1)
    ledger.close()
    return found


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> list[Change]:
    """Both models' changes, in which a cycle ends in every way there is."""
    return told_of("0001-first-version", tmp_path_factory.mktemp("state"))


def sentences(found: list[Change], kind: str) -> list[str]:
    return [change.sentence for change in found if change.kind == kind]


def test_every_kind_of_change_of_a_cycle_is_told_in_plain_words(golden: list[Change]) -> None:
    assert sentences(golden, "promoted")[0] == (
        "car-price/1 was promoted (no champion yet: RMSE 0.1932 has nothing to beat, on 38 rows)."
    )
    assert sentences(golden, "promoted")[1].startswith(
        "car-price/2 took over from car-price/1: RMSE 0.1536 beats car-price/1's 0.2342; "
    )
    (turned_away,) = sentences(golden, "rejected")
    assert turned_away.startswith("car-price/3 was turned away: RMSE 0.2137 beats ")
    assert sentences(golden, "halted") == [
        "car-sales-2 halted: the refused share of received rows is 0.2, above the plausible 0.05."
    ]
    assert sentences(golden, "failed") == [
        "car-price-1 failed: 'car-price' has 4 labelled training rows; at least 10 are needed. "
        "Send more outcomes or observations.",
        "car-sales-3 failed: 3 attempts were cut off; see logs/car-sales-3.log.",
    ]


def test_what_people_did_is_told_with_their_reason_or_their_name(golden: list[Change]) -> None:
    assert sentences(golden, "rolled back") == [
        "Rolled back from car-price/2 to car-price/1: customers complained."
    ]
    assert sentences(golden, "policy adopted") == [
        "Policy strict-and version 1, 5f75369f15b7…, adopted by local:unauthenticated."
    ]
    assert sentences(golden, "contract adopted")[0] == (
        "Contract cfba734a9ff1… of car-price adopted by local:unauthenticated."
    )
    (override,) = [change for change in golden if change.kind == "override"]
    assert (override.reason, override.outcome) == ("a year of new prices", "override")


def test_an_erasure_is_a_change_and_names_no_row(tmp_path: Path) -> None:
    *_, last = told_of("0002-people", tmp_path)

    assert last.kind == "erased"
    assert last.sentence == (
        "What was kept about one row of car-price was erased: the owner asked (GDPR Art. 17)."
    )


def test_a_decision_among_the_changes_says_what_came_of_it(golden: list[Change]) -> None:
    decided = [change for change in golden if change.headline]

    assert {change.kind for change in decided} == {"decided", "override", "not decided"}
    assert [change.headline for change in decided if change.model == "car-price"] == [
        "Failed: nobody serves yet.",
        "Promoted: car-price/1 serves as the first.",
        "Kept: car-price/1 serves on.",
        "Promoted: car-price/2 serves in place of car-price/1.",
        "Candidate car-price/3 turned away: car-price/1 serves on.",
        "Not decided: car-price/1 serves on.",
    ]


def test_each_change_leads_to_what_it_is_about(golden: list[Change]) -> None:
    for change in golden:
        about_cycle = change.kind not in {
            "contract adopted", "policy adopted", "rolled back", "erased",
        }  # fmt: skip
        assert (change.cycle is not None) == (change.as_of is not None) == about_cycle
        if change.kind in {"promoted", "rejected", "rolled back"}:
            assert change.model_version is not None
        assert change.digest is not None or change.kind in {"halted", "failed"}


def test_changes_are_paged_from_either_end_and_a_model_has_its_own_and_the_policies(
    ledger: Ledger,
) -> None:
    record(ledger, car_story(1978))
    with ledger.connect() as connection:
        whole = changes(connection, after=-1)
        newest_first = changes(connection)
        rest = changes(connection, after=whole[2].position, limit=3)
        before = changes(connection, before=whole[2].position)
        others = changes(connection, model="another")
        bounded = changes(connection, since=time(1978), until=time(1979))

    assert newest_first == whole[::-1]
    assert rest == whole[3:6]
    assert before == whole[1::-1]
    assert [change.kind for change in others] == ["policy adopted"]
    assert {change.as_of for change in bounded} == {time(1978)}


def test_nothing_happened_before_the_first_cycle(sqlite_ledger: Ledger) -> None:
    story = car_story()
    story.events = story.events[:2]
    record(sqlite_ledger, story)

    with sqlite_ledger.connect() as connection:
        assert happened_last(connection, MODEL) is None


def test_damage_that_was_found_and_what_became_of_it_are_told(ledger: Ledger) -> None:
    said = "position 2: the entry: expected one that can be read; found bytes that are no JSON."
    put(
        ledger,
        "ledger",
        DamageFound(position=2, said=said),
        DamageSettled(found=(1,), how="accepted", reason="we know who"),
        DamageSettled(found=(1,), how="verified", reason="9 entries were verified"),
    )
    with ledger.connect() as connection:
        found = [each for each in changes(connection, after=-1) if each.model is None]
    assert [(each.kind, each.sentence) for each in found] == [
        ("damage found", f"Damage was found, and deciding stopped: {said}"),
        (
            "damage settled",
            "local:unauthenticated let deciding go on in spite of the damage found before: "
            "we know who.",
        ),
        (
            "damage settled",
            "The damage found before is gone, and deciding goes on: 9 entries were verified.",
        ),
    ]
