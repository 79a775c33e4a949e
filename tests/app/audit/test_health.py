"""A model's health is one value, and its sentence holds the state and every reason."""

from __future__ import annotations

import pytest

from app.audit.health import Health, current_health
from app.clock import now
from app.ledger.store import Ledger
from app.projections.models import get_model
from domain.events.cycle_events import CycleStarted
from tests.app.web.car_story import (
    HALTED_YEAR,
    MODEL,
    REJECTED_YEAR,
    Story,
    car_story,
    record,
    time,
)
from tests.plausible import an


def told(ledger: Ledger, story: Story, *, alarm: str | None = None) -> Health:
    record(ledger, story)
    with ledger.connect() as connection:
        view = get_model(connection, MODEL)
        assert view is not None
        return current_health(connection, view, now(), alarm=alarm, clock_skew_seconds_max=5.0)


def test_a_healthy_model_gives_no_reasons(sqlite_ledger: Ledger) -> None:
    health = told(sqlite_ledger, car_story())

    assert (health.state, health.reasons) == ("healthy", ())
    assert health.sentence == f"{MODEL} is healthy"


@pytest.mark.parametrize("alarm", [None, "the champion does not load"])
def test_a_degraded_model_gives_every_reason_in_its_sentence(
    sqlite_ledger: Ledger, alarm: str | None
) -> None:
    health = told(sqlite_ledger, car_story(HALTED_YEAR), alarm=alarm)

    assert health.state == "degraded"
    assert health.sentence == f"{MODEL} is degraded: {'; '.join(health.reasons)}"
    assert (alarm in health.reasons) == (alarm is not None)
    assert health.alarm == alarm
    assert (health.halted, health.failed, health.undecided) == (1, 0, 0)
    assert any("mean of mpg is 14.2" in reason for reason in health.reasons)


def test_drift_that_a_cycle_set_aside_had_found_stands_no_more(sqlite_ledger: Ledger) -> None:
    """Given drift that no candidate answered, when its cycle is set aside, then nobody says so."""
    story = car_story(REJECTED_YEAR)
    number = REJECTED_YEAR - 1974
    assert any("have drifted" in reason for reason in told(sqlite_ledger, story).reasons)
    later = Story()
    later.tell(
        f"cycle-{MODEL}-{number + 1}",
        an(
            CycleStarted,
            cycle=f"{MODEL}-{number + 1}",
            model=MODEL,
            number=number + 1,
            as_of=time(REJECTED_YEAR),
            sets_aside=(f"{MODEL}-{number}",),
        ),
        time(REJECTED_YEAR),
    )

    health = told(sqlite_ledger, later)

    assert health.counts.set_aside == 1
    assert not any("have drifted" in reason for reason in health.reasons)


def test_a_model_nobody_serves_has_no_champion(sqlite_ledger: Ledger) -> None:
    story = car_story()
    story.events = story.events[:2]  # policy and contract

    health = told(sqlite_ledger, story)

    assert health.champion is None
    assert health.sentence == f"{MODEL} has no champion: no model version was promoted yet"


def test_a_last_cycle_from_beyond_now_is_stale(sqlite_ledger: Ledger) -> None:
    record(sqlite_ledger, car_story())
    with sqlite_ledger.connect() as connection:
        view = get_model(connection, MODEL)
        assert view is not None
        health = current_health(
            connection, view, "2025-01-01T00:00:00.000000Z", alarm=None, clock_skew_seconds_max=5.0
        )

    assert health.state == "stale"
    assert "by a clock that ran ahead" in health.sentence
