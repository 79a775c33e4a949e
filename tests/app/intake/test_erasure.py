"""A person's row is erased everywhere, every proof still holds, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import MetaData, text

from app.audit.replay import replay
from app.ledger.store import Ledger
from app.projections.keeping import Keeping
from app.projections.label_rows import labelled_rows
from app.projections.opening import open_ledger
from app.projections.predictions import StoredPrediction
from app.projections.read_model import METADATA, ReadModel, table_of
from app.projections.rebuild import rebuild
from app.projections.runner import apply
from app.settings import Settings
from app.training.registry_alias import follow_champion
from domain.errors import CycleRunning, RequestInvalid, UnknownModel
from domain.events.erasure import Erased
from domain.events.events import PayloadErased, Row
from tests.app.car_ledger import CarLedger, year_end
from tests.app.cli.command_line import whyledger
from tests.app.people import (
    MARKER,
    People,
    forgets,
    holders,
    key_of,
    one_owned,
    owned,
    rows_with,
    stands_among_many,
)
from tests.app.planting import erasure, plant_event
from tests.app.proof.forger import change
from tests.told import Story, ToldOnce, retold


def test_a_row_about_a_person_stands_in_no_hashed_bytes(people: People) -> None:
    cars, row = people
    for needle in (MARKER, key_of(row)):
        found = rows_with(cars.ledger, needle)
        assert found["entries"] == 0
        assert found["payloads"] > 0


def test_reading_joins_what_stands_apart_and_a_rebuild_equals(people: People) -> None:
    cars, _ = people
    observed = next(e for e in cars.ledger.read(limit=20) if e.stream.startswith("observations"))
    assert getattr(observed.event, "row", {}).get("owner") == MARKER
    assert rebuild(cars.ledger).differing == ()


def test_erasing_reaches_every_place_and_leaves_every_proof(people: People) -> None:
    cars, row = people
    size = cars.ledger.size()
    before = cars.ledger.stored_bytes(0, size), cars.ledger.leaf_hashes(0, size)
    marker, key = MARKER.encode(), key_of(row).encode()
    assert holders(cars.settings.state_dir, marker)
    found = forgets(cars, row)
    assert found.position == size
    assert found.event is not None
    assert len(found.event.entries) == 3, "observed, predicted, labelled again"
    assert (found.event.cycles, found.event.model_versions) == (("car-price-1",), ("car-price/1",))
    assert (found.champion, found.reference_erased) == ("car-price/1", True)
    assert (found.beyond, found.left) == ((), None)
    assert found.files == 4, "CSV, Parquet, pointer, DVC's copy"
    assert found.runs == 1
    after = cars.ledger.stored_bytes(0, size - 1), cars.ledger.leaf_hashes(0, size - 1)
    assert after == before
    for needle in (MARKER, key_of(row)):
        assert set(rows_with(cars.ledger, needle).values()) == {0}
    assert holders(cars.settings.state_dir.parent, marker, key) == []


def test_what_somebody_planted_keeps_no_erasure_from_its_files_and_is_said(people: People) -> None:
    cars, row = people
    with cars.ledger.engine.begin() as connection:
        first = plant_event(
            connection, erasure(model=cars.model, entries=(999,), cycles=("cars-7",))
        )
        plant_event(connection, erasure(model="../cars", cycles=("../cars-1",)))
    found = forgets(cars, row)
    assert (found.files, found.runs, found.left) == (4, 1, None)
    assert holders(cars.settings.state_dir.parent, MARKER.encode(), key_of(row).encode()) == []
    assert str(found.planted).startswith(f"the erasure at entry {first} names entry 999")
    assert [met.position for met in cars.ledger.met.all()] == [first]
    again = forgets(cars, row)
    assert (again.files, again.planted) == (0, found.planted)


def test_what_was_erased_reads_as_erased_and_a_rebuild_equals(people: People) -> None:
    cars, row = people
    with cars.ledger.connect() as connection:
        labelled = len(labelled_rows(connection, cars.model, before="9999", up_to=1_000_000))
    found = forgets(cars, row)
    assert found.event is not None
    erased = [cars.ledger.entry(position) for position in found.event.entries]
    assert all(isinstance(entry.event, Erased) for entry in erased)
    assert {entry.event.type for entry in erased} == {
        "observations.observation-recorded",
        "predictions.prediction-made",
        "observations.outcome-recorded",
    }
    assert {entry.id for entry in erased} <= set(cars.ledger.known([e.id for e in erased]))
    with cars.ledger.connect() as connection:
        assert (
            len(labelled_rows(connection, cars.model, before="9999", up_to=1_000_000))
            == labelled - 1
        )
    assert rebuild(cars.ledger, page_entries=7).differing == ()
    follow_champion(cars.ledger, cars.settings, cars.model)
    assert replay(cars.ledger, cars.settings).whole


def test_the_event_names_no_person(people: People) -> None:
    cars, row = people
    forgets(cars, row)
    entry = cars.ledger.read_stream("ledger").entries[-1]
    assert isinstance(entry.event, PayloadErased)
    content = cars.ledger.stored_bytes(entry.position, entry.position)[0]
    assert key_of(row).encode() not in content
    assert (entry.event.reason, entry.event.legal_basis) == ("the owner asked", "GDPR Art. 17")
    assert entry.actor == "local:unauthenticated"


def test_erasing_again_finds_nothing_and_finishes_what_was_cut_off(people: People) -> None:
    cars, row = people
    merged = cars.settings.state_dir / "merged" / "car-price" / "car-price-1.csv"
    content = merged.read_bytes()
    forgets(cars, row)
    size = cars.ledger.size()
    merged.write_bytes(content)  # as if the files had never been reached
    found = forgets(cars, row)
    assert (found.position, found.event, found.files) == (None, None, 1)
    assert cars.ledger.size() == size
    assert not merged.exists()


def test_the_champion_goes_on_and_its_next_cycle_halts_until_a_retraining_is_forced(
    people: People,
) -> None:
    cars, row = people
    forgets(cars, row)
    halted = cars.runs(year_end(1976))
    assert halted.halted is not None
    assert "reference of car-price/1 was erased" in halted.halted.reason
    assert cars.view().champion == "car-price/1"
    forced = cars.runs(year_end(1976), force="its reference was erased")
    assert forced.decided is not None
    assert (forced.decided.outcome, forced.trained is None) == ("override", False)
    assert rebuild(cars.ledger).differing == ()


def test_a_row_whose_residual_was_frozen_takes_it_along_and_the_next_cycle_goes_on(
    people: People,
) -> None:
    cars, _ = people
    served = cars.rows([1976], most=30)[0]
    state = cars.runs(year_end(1976))
    assert state.drift is not None
    frozen = state.drift.residuals_sha256
    assert frozen is not None
    assert key_of(served).encode() in cars.ledger.artefact(frozen)
    found = forgets(cars, served)
    assert found.event is not None
    assert (found.event.artefacts, found.event.cycles) == ((frozen,), ())
    assert set(rows_with(cars.ledger, key_of(served)).values()) == {0}
    again = cars.runs(year_end(1977))
    assert again.drift is not None
    evidence = again.drift.residual_evidence
    assert evidence is not None
    assert (evidence.memory, evidence.entered) == (evidence.holdout_rows, 0)


def test_a_cycle_that_has_not_ended_is_let_end_first(people: People) -> None:
    cars, row = people
    cars.starts(year_end(1976))
    size = cars.ledger.size()
    with pytest.raises(CycleRunning, match="Let it end"):
        forgets(cars, row)
    assert cars.ledger.size() == size


def test_while_somebody_reads_the_file_it_says_that_something_is_left(
    sqlite_settings: Settings,
) -> None:
    hurried = sqlite_settings.model_copy(update={"busy_timeout_seconds": 0.2})
    ledger = open_ledger(hurried)
    cars = CarLedger(ledger, hurried).adopts(**owned())
    rows = one_owned(cars.rows([1971], most=3))
    cars.observes(rows)
    with ledger.connect() as reading:
        reading.execute(text("SELECT count(*) FROM payloads"))
        assert "write-ahead log still holds" in (forgets(cars, rows[0]).left or "")
    found = forgets(cars, rows[0])
    assert (found.event, found.left) == (None, None)
    assert holders(cars.settings.state_dir.parent, MARKER.encode()) == []
    ledger.close()


def test_what_an_earlier_contract_recorded_is_named_as_out_of_reach(
    ledger: Ledger, settings: Settings
) -> None:
    cars = CarLedger(ledger, settings).adopts()
    rows = cars.rows([1971], most=3)
    cars.observes(rows)
    plain = ledger.size() - len(rows)
    cars.adopts(**owned())
    cars.observes(one_owned(rows))
    found = forgets(cars, rows[0])
    assert found.event is not None
    assert (found.event.entries, found.beyond) == ((plain + 4,), (plain,))
    assert rebuild(ledger).differing == ()


@pytest.mark.parametrize("how", [{"reason": " "}, {"legal_basis": ""}, {"reason": "x" * 501}])
def test_an_erasure_without_a_reason_or_legal_basis_is_refused(
    ledger: Ledger, settings: Settings, how: dict[str, str]
) -> None:
    cars = CarLedger(ledger, settings).adopts(**owned())
    with pytest.raises(RequestInvalid, match="has to be 1 to 500 characters"):
        forgets(cars, cars.rows([1971], most=1)[0], **how)


def test_an_unknown_model_has_nothing_to_erase(ledger: Ledger, settings: Settings) -> None:
    cars = CarLedger(ledger, settings, "nobody")
    with pytest.raises(UnknownModel):
        forgets(cars, {"year": 1, "car_id": 1})


def test_the_command_says_what_it_reached_and_what_stays(
    bootstrapped_people: tuple[Settings, Row],
) -> None:
    settings, row = bootstrapped_people
    asked = [
        "erase", "car-price", "--identity", key_of(row), "--reason", "the owner asked",
        "--legal-basis", "GDPR Art. 17",
    ]  # fmt: skip
    ledger = open_ledger(settings)
    stands_among_many(CarLedger(ledger, settings), row)
    ledger.close()
    first = whyledger(settings.state_dir, *asked)
    assert first.returncode == 0, first.stderr
    assert "erased 6 events (3 of them rows of entries of many), recorded as" in first.stdout
    assert "can no longer be rebuilt: car-price/1" in first.stdout
    assert "car-price/1 goes on serving" in first.stdout
    assert "whyledger cycle --model car-price --force REASON" in first.stdout
    assert "Back-ups, exports" in first.stderr
    assert holders(settings.state_dir, MARKER.encode(), key_of(row).encode()) == []
    assert whyledger(settings.state_dir, "replay").returncode == 0
    ledger = open_ledger(settings)
    *_, labelled = stands_among_many(CarLedger(ledger, settings), row, "/once more")
    change(
        ledger, "UPDATE blocks SET salts = zeroblob(48) WHERE position = :at", at=labelled.position
    )
    ledger.close()
    again = whyledger(settings.state_dir, *asked, "--json")
    said = json.loads(again.stdout)
    assert (again.returncode, said["unread"], said["entries"]) == (3, [labelled.position], [])
    assert said["rows"] == [{"position": labelled.position - at, "row": 1} for at in (2, 1)]
    assert f"the rows of entries {labelled.position} are not as written" in again.stderr


@pytest.fixture
def bootstrapped_people(
    tmp_path: Path, told_once: ToldOnce, of_people: Story
) -> tuple[Settings, Row]:
    """A state directory with one owned car in it; nobody has it open."""
    settings = Settings(state_dir=tmp_path / "state")
    told = told_once(of_people, settings)
    ledger = open_ledger(retold(told, settings))
    follow_champion(ledger, settings, "car-price")
    ledger.close()
    return settings, told.gives


def test_no_read_model_of_another_version_keeps_what_was_erased(people: People) -> None:
    cars, row = people
    elsewhere = MetaData(schema=METADATA.schema)
    earlier = table_of(
        StoredPrediction, "predictions", number=0, key="position", metadata=elsewhere
    )
    open_ledger(cars.settings, keeping=Keeping([ReadModel(earlier, {})])).close()
    with cars.ledger.snapshot() as connection:
        assert list(apply.others(connection)) == ["predictions_0"]
    forgets(cars, row)
    with cars.ledger.snapshot() as connection:
        assert list(apply.others(connection)) == []
