"""A model's years lived again: as they were, or as they would have been under another policy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from app.audit.cycle import told_of
from app.audit.whatif import BEGIN, END, WhatIf, table_block
from app.cycle.run import run_cycle
from app.cycle.whatif import (
    ERASED,
    NO_PREDICTION,
    NOBODY_SERVED,
    UNREADABLE,
    relive,
)
from app.cycle.whatif_runs import Run, WhatIfFailed, what_ifs
from app.cycle.whatif_served import both_answers
from app.ledger.store import Ledger
from app.ledger.streams import cycle_stream
from app.projections.cycles import get_cycle
from app.projections.models import get_model
from app.projections.opening import open_ledger
from app.serving.plan import load_plan
from app.settings import Settings
from domain.decisions.cycle import fold_state
from domain.errors import NothingToDecide, UnknownModel
from domain.events.cycle_events import CycleFailed, CycleStarted
from domain.events.events import ContractAdopted, OutcomeRecorded, PredictionMade
from domain.stored_damage import StoredDamage
from tests.app.car_ledger import CarLedger, document, year_end
from tests.app.cli.command_line import whyledger
from tests.app.people import forgets, key_of, one_owned, owned
from tests.app.proof.forger import change
from tests.plausible import TIME, an

STRICT_AND = document("rules", "policies", "strict-and.yaml")
CHALLENGER = document("rules", "policies", "challenger.yaml")
Prepare = Callable[[Settings], Settings]


@pytest.fixture
def apart(tmp_path: Path, sqlite_template: Path, with_registry: Prepare) -> Settings:
    """Settings of an empty scratch ledger."""
    settings = with_registry(Settings(state_dir=tmp_path / "apart"))
    shutil.copy(sqlite_template, settings.state_dir / "ledger.db")
    return settings


def test_under_its_own_policy_a_model_lives_the_same_years_to_the_byte(
    cars: CarLedger, apart: Settings
) -> None:
    kept, retrained = cars.lives_through(1976), cars.lives_through(1977)
    before = cars.ledger.size()
    scratch = open_ledger(apart)
    told: list[tuple[int, int]] = []
    found = relive(
        cars.ledger, scratch, apart, "car-price", STRICT_AND, lambda *at: told.append(at)
    )
    assert [(each.cycle, each.outcome, each.conclusion) for each in found.cycles] == [
        ("car-price-1", "bootstrap", "promoted"),
        ("car-price-2", "keep: rules not met", "kept"),
        ("car-price-3", "retrain", "promoted"),
    ]
    assert kept.decided is not None
    assert retrained.decided is not None
    assert [each.sentence for each in found.cycles[1:]] == [
        kept.decided.sentence,
        retrained.decided.sentence,
    ]
    with scratch.connect() as connection:
        again = get_model(connection, "car-price")
    scratch.close()
    assert again is not None
    real = cars.view()
    assert (again.champion, again.plan_sha256) == (real.champion, real.plan_sha256)
    assert again.reference_sha256 == real.reference_sha256
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert cars.ledger.size() == before, "what happened is only read"
    assert kept.drift is not None
    served = found.cycles[1].before
    assert served.rmse == pytest.approx(kept.drift.champion_rmse, abs=1e-12)
    assert (served.rows, served.saved) == (kept.drift.labelled_rows, 0.0)
    assert found.since.rows == 0
    assert "Deployment passed" in found.cycles[2].gates
    assert found.left_out == {}


def test_a_mistaken_cycle_that_was_set_aside_is_set_aside_again(
    cars: CarLedger, apart: Settings
) -> None:
    """Given a forced cycle of a day too late that was set aside, when the years are lived again
    under their own policy, then every decision, whom it judged and who serves is as recorded."""
    cars.answers(cars.rows([1976]))
    mistaken = cars.runs("1977-01-02T00:00:00.000000Z", force="typed the wrong day")
    assert mistaken.settled is not None
    assert mistaken.settled.promoted
    cars.sets_aside(year_end(1976), "the day was wrong")
    cars.answers(cars.rows([1977]))
    started = cars.asked(year_end(1977))
    assert (started.champion, started.serves) == ("car-price/1", "car-price/2")
    run_cycle(cars.ledger, cars.settings, cars.begins(started))
    scratch = open_ledger(apart)
    found = relive(cars.ledger, scratch, apart, "car-price", STRICT_AND)
    recorded = [told_of(cars.cycle(number)) for number in (1, 2, 3, 4)]
    with scratch.connect() as connection:
        again = [get_cycle(connection, told.cycle) for told in recorded]
    scratch.close()
    for told, relived in zip(recorded, again, strict=True):
        assert told_of(relived) == told
        before = cars.cycle(int(told.cycle.rpartition("-")[2])).state[CycleStarted.type]
        assert relived.state[CycleStarted.type] == before
    assert [each.set_aside_by for each in found.cycles] == [None, "car-price-3", None, None]
    assert found.cycles[1].line()[3] == "promoted, set aside"


def test_labels_that_came_before_the_target_was_renamed_are_read_by_the_name_they_had(
    cars: CarLedger, apart: Settings
) -> None:
    """Given a year's labels, and then a contract that calls the target otherwise, when the year is
    lived again, then its cycle judges by them as it did."""
    rows = cars.rows([1976], most=40)
    cars.answers(rows, labelled=False).observes(rows)
    target = document("data", "contracts", "car-price.yaml")["target"]
    cars.adopts(target=target | {"name": "cost", "formerly": ["price"]})
    judged = cars.runs(year_end(1976))
    scratch = open_ledger(apart)
    found = relive(cars.ledger, scratch, apart, "car-price", STRICT_AND)
    with scratch.connect() as connection:
        again = fold_state(get_cycle(connection, "car-price-2").state)
    scratch.close()
    assert judged.drift is not None
    assert judged.drift.labelled_rows == 40
    assert again.drift == judged.drift
    assert again.decided == judged.decided
    assert found.cycles[1].before.rows == 40


def test_what_came_in_after_the_last_cycle_counts_too(cars: CarLedger, apart: Settings) -> None:
    """Given a ledger that ends with rows and labels no cycle followed on, then all are scored."""
    rows = cars.rows([1976], most=30)
    cars.answers(rows[:20], labelled=False)
    cars.runs(year_end(1976))
    late = cars.answers(rows[20:])
    outcomes = [
        (an(OutcomeRecorded, model="car-price", prediction_id=each.id, source_id=each.id,
            identity=each.event.identity, label=4000.0), each.occurred_at)
        for each in late.ledger.read_stream("predictions-car-price").entries[:20]
        if isinstance(each.event, PredictionMade)
    ]  # fmt: skip
    cars.append("observations-car-price", outcomes)
    scratch = open_ledger(apart)
    found = relive(cars.ledger, scratch, apart, "car-price", STRICT_AND)
    scratch.close()
    assert [each.before.rows for each in found.cycles] == [0, 20]
    assert found.since.rows == 10
    assert found.lines()[-1][0] == "since"
    assert found.value is not None


def test_a_row_that_comes_again_counts_once_with_its_first_answer(
    cars: CarLedger, apart: Settings
) -> None:
    """Given rows that were served before a retraining and once more after it, by a model trained
    on them, then they count where they were first answered."""
    rows = cars.rows([1976])
    cars.answers(rows)
    cars.runs(year_end(1976), force="a new supplier")
    assert cars.view().champion == "car-price/2"
    cars.answers(rows)
    cars.answers(cars.rows([1977], most=5))
    cars.runs(year_end(1977))
    scratch = open_ledger(apart)
    found = relive(cars.ledger, scratch, apart, "car-price", STRICT_AND)
    scratch.close()
    assert [each.before.rows for each in found.cycles] == [0, len(rows), 5]
    assert found.cycles[1].before.saved == 0.0, "the first champion answered them first"


def test_the_command_lives_them_again_in_a_process_under_a_policy_never_adopted(
    cars: CarLedger,
) -> None:
    """Given a page with a table of another day, then the command writes it anew, and it alone."""
    cars.lives_through(1976)
    cars.ledger.close()
    folder = cars.settings.state_dir.parent
    page = folder / "page.md"
    page.write_text(f"before\n\n{BEGIN}\n| old |\n{END}\nafter\n")
    asked = ("whatif", "--policy", "challenger", "--into", page, "--json")
    ran = whyledger(folder, *asked, WHYLEDGER_STATE_DIR=str(cars.settings.state_dir))
    assert ran.returncode == 0, ran.stderr
    [found] = orjson.loads(ran.stdout)
    assert (found["policy"], found["trained"], found["promoted"]) == ("challenger", 1, 1)
    assert [each["outcome"] for each in found["cycles"]] == ["bootstrap", "retrain"]
    assert found["cycles"][1]["champion"] == "car-price/2"
    assert found["unit"] == "1983 USD"
    block = table_block([WhatIf.from_document(found)])
    assert page.read_text() == f"before\n\n{block}\nafter\n"


def test_a_ledger_without_a_history_writes_no_table(cars: CarLedger) -> None:
    """Given a model with its first cycle alone, then the page keeps the table that it has."""
    cars.ledger.close()
    folder = cars.settings.state_dir.parent
    page = folder / "page.md"
    page.write_text(was := f"{BEGIN}\n| old |\n{END}\n")
    asked = ("whatif", "--policy", "challenger", "--into", page)
    ran = whyledger(folder, *asked, WHYLEDGER_STATE_DIR=str(cars.settings.state_dir))
    assert ran.returncode != 0
    assert "no model of this ledger has 2 cycles" in " ".join(ran.stderr.split())
    assert page.read_text() == was


def test_a_page_without_a_place_for_the_table_is_refused_before_anything_is_trained(
    cars: CarLedger,
) -> None:
    cars.ledger.close()
    folder = cars.settings.state_dir.parent
    (folder / "page.md").write_text(f"{END}\n{BEGIN}\n")
    for name, why in (("page.md", "has no place for the table"), ("no.md", "cannot be read")):
        asked = ("whatif", "--policy", "challenger", "--into", folder / name)
        ran = whyledger(folder, *asked, WHYLEDGER_STATE_DIR=str(cars.settings.state_dir))
        assert ran.returncode != 0
        assert why in " ".join(ran.stderr.split())


def test_rows_that_nobody_could_answer_are_counted_with_the_outcomes_that_label_them(
    new_cars: CarLedger, apart: Settings
) -> None:
    cars = new_cars.adopts()
    made = an(PredictionMade, model="car-price")
    [entry] = cars.append("predictions-car-price", [(made, TIME)])
    label = an(OutcomeRecorded, model="car-price", prediction_id=entry.id)
    cars.append("observations-car-price", [(label, TIME)])
    cars.starts("1977-01-01T00:00:00.000000Z")
    scratch = open_ledger(apart)
    found = relive(cars.ledger, scratch, apart, "car-price", CHALLENGER)
    scratch.close()
    assert found.left_out == {NOBODY_SERVED: 1, NO_PREDICTION: 1}
    assert found.sentence.endswith("no row was served and labelled.")


def test_a_cycle_that_was_cut_off_three_times_fails_again_and_trains_nobody(
    new_cars: CarLedger, apart: Settings
) -> None:
    cars = new_cars.adopts()
    cars.observes(cars.rows([1975]))
    cycle = cars.starts(year_end(1975), force="all three attempts die")
    why = an(CycleFailed, attempts=3, step="guard", reason="3 attempts were cut off")
    cars.append(cycle_stream(cycle), [(why, TIME)])
    scratch = open_ledger(apart)
    [found] = relive(cars.ledger, scratch, apart, "car-price", CHALLENGER).cycles
    scratch.close()
    assert (found.outcome, found.conclusion, found.champion) == ("failed", "failed", None)
    assert found.sentence == "FAILED: 3 attempts were cut off"
    assert not found.trained


def test_a_row_that_was_erased_is_one_row_whatever_was_recorded_of_it(
    new_cars: CarLedger, apart: Settings
) -> None:
    """Given one row that was observed, predicted and labelled, and then erased, then one row could
    not be lived again."""
    cars = new_cars.adopts(**owned())
    [row] = one_owned(cars.rows([1975], most=1))
    cars.observes([row])
    asked = an(PredictionMade, model="car-price", identity=key_of(row), row=row)
    [made] = cars.append("predictions-car-price", [(asked, TIME)])
    label = an(OutcomeRecorded, model="car-price", prediction_id=made.id, identity=key_of(row))
    cars.append("observations-car-price", [(label, TIME)])
    event = forgets(cars, row).event
    assert event is not None
    assert len(event.entries) == 3
    scratch = open_ledger(apart)
    found = relive(cars.ledger, scratch, apart, "car-price", CHALLENGER)
    scratch.close()
    assert found.left_out == {ERASED: 1}


def test_a_row_that_nobody_can_read_is_one_row_that_is_left_out_and_so_is_what_labels_it(
    new_cars: CarLedger, apart: Settings
) -> None:
    """Given a prediction whose data somebody removed, and its outcome, then both are counted."""
    cars = new_cars.adopts(**owned())
    [row] = one_owned(cars.rows([1975], most=1))
    asked = an(PredictionMade, model="car-price", identity=key_of(row), row=row)
    [made] = cars.append("predictions-car-price", [(asked, TIME)])
    label = an(OutcomeRecorded, model="car-price", prediction_id=made.id, identity=key_of(row))
    cars.append("observations-car-price", [(label, TIME)])
    change(cars.ledger, f"DELETE FROM payloads WHERE position = {made.position}")
    scratch = open_ledger(apart)
    found = relive(cars.ledger, scratch, apart, "car-price", CHALLENGER)
    scratch.close()
    assert found.left_out == {UNREADABLE: 1, NO_PREDICTION: 1}


def test_nobody_lives_again_without_a_contract_that_somebody_edited(
    cars: CarLedger, apart: Settings
) -> None:
    change(cars.ledger, f"UPDATE entries SET bytes = x'7b7d' WHERE type = '{ContractAdopted.type}'")
    with closing(open_ledger(apart)) as scratch, pytest.raises(StoredDamage, match="hash to"):
        relive(cars.ledger, scratch, apart, "car-price", STRICT_AND)


def test_a_row_that_cannot_be_predicted_takes_no_other_with_it(cars: CarLedger) -> None:
    sha256 = cars.view().plan_sha256
    assert sha256 is not None
    plan = load_plan(cars.ledger.artefact(sha256))
    whole = cars.rows([1976], most=2)
    broken = {name: value for name, value in whole[0].items() if name != "hpwt"}
    rows = [whole[0], broken, whole[1]]
    made = [an(PredictionMade, model="car-price", row=row) for row in rows]
    recorded = cars.append("predictions-car-price", [(event, TIME) for event in made])
    answered = list(both_answers(list(zip(recorded, made, strict=True)), plan, plan))
    assert [entry.id for (entry, _), _, _ in answered] == [entry.id for entry in recorded]
    assert [prediction is None for _, prediction, _ in answered] == [False, True, False]


def test_a_model_nobody_knows_and_a_ledger_without_cycles_are_refused(
    sqlite_ledger: Ledger, sqlite_settings: Settings, apart: Settings
) -> None:
    scratch = open_ledger(apart)
    with pytest.raises(UnknownModel):
        relive(sqlite_ledger, scratch, apart, "trams", CHALLENGER)
    scratch.close()
    with pytest.raises(NothingToDecide, match="no cycle was run yet"):
        what_ifs(sqlite_settings, [Run("trams", CHALLENGER, 0)])


def test_a_process_that_is_refused_says_why(
    sqlite_ledger: Ledger, sqlite_settings: Settings
) -> None:
    said = "trams was not lived again: model 'trams' is unknown"
    with pytest.raises(WhatIfFailed, match=said) as failed:
        what_ifs(sqlite_settings, [Run("trams", CHALLENGER, 1)])
    assert failed.value.problem == UnknownModel.code
