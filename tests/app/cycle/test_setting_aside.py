"""A cycle that was a mistake is no dead end: an earlier one sets it aside, with a reason."""

from __future__ import annotations

import pytest

from app.audit.champion import champion_told
from app.audit.cycle import told_of
from app.audit.health import Health, current_health
from app.cause import Cause
from app.cycle.next_cycle import next_cycle
from app.cycle.promotions import roll_back
from app.cycle.run import run_cycle
from app.cycle.steps.judging import facts_of
from app.cycle.steps.knowledge import Knowledge
from domain.errors import CycleRefused
from domain.events.cycle_events import CycleStarted
from domain.times import just_after, mid_year
from tests.app.car_ledger import CarLedger, year_end


def knowledge(cars: CarLedger, started: CycleStarted) -> Knowledge:
    """What that cycle would know."""
    return Knowledge(cars.ledger, cars.settings, started, cutoff=cars.ledger.size())


def health_of(cars: CarLedger) -> Health:
    with cars.ledger.connect() as connection:
        return current_health(
            connection, cars.view(), year_end(1977), alarm=None, clock_skew_seconds_max=1e12
        )


def test_a_first_cycle_on_historic_rows_looks_back_from_just_after_the_newest_and_says_so(
    new_cars: CarLedger,
) -> None:
    cars = new_cars.adopts()
    cars.observes(cars.rows(range(1974, 1976), most=40))
    started = cars.asked(None)
    assert started.as_of == just_after(mid_year(1975))
    assert "older than its drift window: so as_of is just after that row" in str(started.reason)
    later = cars.asked(year_end(1980))
    assert (later.as_of, later.reason) == (year_end(1980), None)


def test_a_mistaken_later_cycle_is_set_aside_and_the_model_begins_anew(cars: CarLedger) -> None:
    """Given a model whose only cycle looked back from too late, when one looks back from before
    with a reason, then it is a bootstrap, and the champion serves on until its gate replaces it."""
    with pytest.raises(CycleRefused, match=r"give a reason .* which sets aside car-price-1\."):
        cars.asked(year_end(1974))
    started = cars.asked(year_end(1974), "the first was asked without as_of")

    assert (started.champion, started.serves) == (None, "car-price/1")
    assert started.sets_aside == ("car-price-1",)
    assert started.reason == "the first was asked without as_of"
    cycle = cars.begins(started)
    assert cars.view().champion == "car-price/1", "it serves on"
    with cars.ledger.connect() as connection:
        champion = champion_told(connection, cars.view())
    assert champion is not None
    assert champion.sentence.endswith(
        ". Set aside by car-price-2: the first was asked without as_of."
    )
    open_cycle = "cycle car-price-2 has not ended; asked for now, it would go on"
    assert next_cycle(cars.ledger, "car-price", 5.0) == open_cycle
    known = knowledge(cars, started)
    assert known.new_samples == len(known.trainable.rows) > 0
    assert facts_of(known, None)[1], "never retrained, as far as cycles that count go"
    ended = run_cycle(cars.ledger, cars.settings, cycle)
    assert ended.decided is not None
    assert ended.decided.outcome == "bootstrap"
    assert ended.settled is not None
    assert ended.settled.promoted
    assert ended.settled.reason == "car-price/2 replaces car-price/1"
    why = "car-price/1 serves and is not compared, since the cycle that made it was set aside"
    assert ended.decided.sentence.startswith(f"BOOTSTRAP: {why}; ")
    with cars.ledger.connect() as connection:
        told = champion_told(connection, cars.view())
    assert told is not None
    assert told.sentence.startswith(f"Promoted by {cycle}: {why}: RMSE ")
    assert cars.asked(year_end(1975)).champion == "car-price/2", "and the model goes on from there"
    with pytest.raises(CycleRefused, match=r"which sets aside car-price-2\."):
        cars.asked(year_end(1973))


def test_cool_down_and_champion_count_from_the_last_cycle_at_or_before_it(cars: CarLedger) -> None:
    """Given a good cycle, then a forced one of a clock that ran ahead, when one looks back from
    between with a reason, then it judges the good one's model and counts from its retraining."""
    ahead = "2999-01-01T00:00:00.000000Z"
    cars.answers(cars.rows([1976]))
    cars.runs(ahead, force="by mistake")
    with pytest.raises(CycleRefused, match=r"That has not come yet: .* give a reason"):
        cars.asked(None)

    started = cars.asked(year_end(1976), "the clock ran ahead")

    assert started.sets_aside == ("car-price-2",)
    assert started.champion == "car-price/1"
    facts, never = facts_of(knowledge(cars, started), None)
    assert not never
    hours = facts["hours_since_last_retraining"]
    assert hours is not None
    assert 8000 < hours < 9000, "from the end of 1975 to the end of 1976"
    new = facts["new_samples"]
    assert new is not None
    assert new > 0, "the forced training consumed nothing that counts"


def test_whom_a_cycle_judges_is_named_where_it_is_not_who_serves_and_health_says_so(
    cars: CarLedger,
) -> None:
    """Given a promotion by mistake that was set aside, when years go by, then every cycle names the
    model it judges, nobody calls the window of who serves empty, and health names a way out."""
    cars.answers(cars.rows([1976]))
    cars.runs("1977-01-02T00:00:00.000000Z", force="the wrong day")
    kept = cars.sets_aside(year_end(1976), "the day was wrong")
    headline = "Kept: car-price/2 serves on. Judged was car-price/1."
    assert told_of(cars.cycle(3)).headline == headline
    assert kept.decided is not None
    assert kept.decided.sentence.endswith(
        "; judged is car-price/1, since the cycle that made car-price/2, which serves, was set "
        "aside"
    )

    cars.answers(cars.rows([1977]))
    year = run_cycle(cars.ledger, cars.settings, cars.begins(cars.asked(year_end(1977))))

    assert told_of(cars.cycle(4)).headline == headline
    assert year.decided is not None
    assert year.decided.outcome == "keep: nothing to judge"
    assert year.decided.sentence == (
        f"KEEP: nothing to judge of car-price/1: {len(cars.rows([1977]))} rows were answered by "
        "car-price/2, which nobody judges (it was made by a cycle that was set aside)"
    )
    why = (
        "car-price/2 serves and nobody judges it: the cycle that made it was set aside, and cycles "
        "judge car-price/1; a rollback to car-price/1 or a forced cycle whose candidate is "
        "promoted would mend it"
    )
    assert health_of(cars).reasons == (why,)
    for ended in (kept, year):
        assert ended.health is not None
        assert (ended.health.state, why in ended.health.reasons) == ("degraded", True)
    cause = Cause.unauthenticated("asked")
    roll_back(cars.ledger, "car-price", to="car-price/1", reason="to be judged", cause=cause)
    assert why not in health_of(cars).reasons


def test_a_rollback_outlives_the_mistake_that_was_set_aside_after_it(cars: CarLedger) -> None:
    """Given a champion that a person rolled back, when a later mistaken promotion is set aside,
    then whom the person brought back is judged, and not whom they removed."""
    cars.answers(cars.rows([1976]))
    cars.runs(year_end(1976), force="to have another")
    assert cars.view().champion == "car-price/2"
    cause = Cause.unauthenticated("asked")
    roll_back(cars.ledger, "car-price", to="car-price/1", reason="absurd prices", cause=cause)
    cars.answers(cars.rows([1977]))
    cars.runs("1978-01-02T00:00:00.000000Z", force="the wrong day")
    assert cars.view().champion == "car-price/3"

    started = cars.asked(year_end(1977), "the day was wrong")

    assert started.sets_aside == ("car-price-3",)
    assert (started.champion, started.serves) == ("car-price/1", "car-price/3")
    assert knowledge(cars, started).basis.champion == "car-price/1"
