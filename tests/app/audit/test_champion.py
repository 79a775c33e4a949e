"""Who serves and why is one value; the page shows its sentence and makes none of its own."""

from __future__ import annotations

from html import unescape

import pytest

from app.audit.champion import ChampionTold, champion_told
from app.ledger.store import Ledger
from app.projections.models import get_model
from app.web import overview
from domain.errors import LedgerDamaged
from domain.events.cycle_events import CandidateCompared
from domain.events.events import CandidatePromoted, ChampionRolledBack
from tests.app.planting import plant_unhashed
from tests.app.proof.forger import change
from tests.app.web.car_story import MODEL, REJECTED_YEAR, Story, car_story, record, time
from tests.plausible import an


def told(ledger: Ledger, story: Story) -> ChampionTold | None:
    record(ledger, story)
    return told_again(ledger)


def told_again(ledger: Ledger) -> ChampionTold | None:
    with ledger.connect() as connection:
        view = get_model(connection, MODEL)
        assert view is not None
        return champion_told(connection, view)


def test_nobody_serves_before_the_first_promotion(sqlite_ledger: Ledger) -> None:
    story = car_story()
    story.events = story.events[:2]  # policy and contract

    assert told(sqlite_ledger, story) is None


def test_a_promotion_is_told_by_its_cycle_and_what_the_deployment_gate_said(
    ledger: Ledger,
) -> None:
    story = car_story()
    promoted = [e.event for e in story.events if isinstance(e.event, CandidatePromoted)][-1]
    compared = [
        each.event
        for each in story.events
        if isinstance(each.event, CandidateCompared) and each.stream == f"cycle-{promoted.cycle}"
    ]

    champion = told(ledger, story)

    assert champion is not None
    assert champion.model_version == promoted.model_version
    assert champion.sentence == (
        f"Promoted by {promoted.cycle}: {compared[-1].reason.removesuffix('.')}."
    )


def test_a_rollback_is_told_by_its_reason(sqlite_ledger: Ledger) -> None:
    champion = told(sqlite_ledger, rolled_back())

    assert champion is not None
    assert champion.sentence == f"Rolled back from {MODEL}/16: complaints"


def test_what_was_planted_in_a_champions_cycle_hides_no_reason_and_an_edited_reason_is_damage(
    sqlite_ledger: Ledger,
) -> None:
    before = told(sqlite_ledger, car_story())
    assert before is not None
    cycle = before.sentence.removeprefix("Promoted by ").partition(":")[0]
    plant_unhashed(sqlite_ledger, an(CandidateCompared, reason="it is"), stream=f"cycle-{cycle}")
    assert told_again(sqlite_ledger) == before
    reason = f"stream = 'cycle-{cycle}' AND type = '{CandidateCompared.type}'"
    change(sqlite_ledger, f"UPDATE entries SET bytes = x'7b7d' WHERE {reason}")
    with pytest.raises(LedgerDamaged, match="the stored bytes hash to"):
        told_again(sqlite_ledger)


@pytest.mark.parametrize("windows_shown", [overview.WINDOWS_SHOWN, 1])
def test_the_page_shows_the_sentence_however_long_ago_the_promotion_was(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch, windows_shown: int
) -> None:
    champion = told(sqlite_ledger, car_story(REJECTED_YEAR))  # promoted before the last cycle
    monkeypatch.setattr(overview, "WINDOWS_SHOWN", windows_shown)

    page = overview.overview_page(sqlite_ledger, MODEL, time(1992), {}, clock_skew_seconds_max=5.0)

    assert champion is not None
    assert f'<p class="quiet">{champion.sentence}</p>' in unescape(page)


def rolled_back() -> Story:
    """The story of the cars, and after it the first champion serves again."""
    story = car_story()
    back = an(
        ChampionRolledBack,
        model=MODEL,
        model_version=f"{MODEL}/1",
        replaced=f"{MODEL}/16",
        reason="complaints",
    )
    story.tell(f"model-{MODEL}", back, time(1991))
    return story
