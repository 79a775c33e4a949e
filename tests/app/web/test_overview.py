"""The page says what the ledger holds, in one file, without scripts, for everybody."""

import re
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from app.ledger.store import Ledger
from app.projections.decisions import list_decisions
from app.proof.checkpoints import Checkpoints
from app.settings import Settings
from app.web.overview import overview_page
from domain.errors import UnknownModel
from domain.events.cycle_events import (
    CandidateCompared,
    CycleFailed,
    Decided,
    DriftMeasured,
    PromotionSettled,
)
from domain.events.events import ChampionRolledBack
from tests.app.web.car_story import (
    HALTED_YEAR,
    MODEL,
    REJECTED_YEAR,
    Story,
    car_story,
    record,
    time,
)

NOW = "2026-11-23T12:10:00.000000Z"


class Page(HTMLParser):
    """The elements of a page, and whether every one that opens is closed."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(sqlite_ledger: Ledger) -> str:
    record(sqlite_ledger, car_story())
    return overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)


def test_a_ledger_without_models_says_how_to_begin(ledger: Ledger) -> None:
    assert "whyledger adopt" in overview_page(ledger, None, NOW, {}, clock_skew_seconds_max=5.0)


def test_a_model_without_a_champion_says_that_nobody_serves(sqlite_ledger: Ledger) -> None:
    story = car_story()
    story.events = story.events[:2]  # policy and contract
    record(sqlite_ledger, story)

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert "Nothing was decided yet." in page
    assert "nobody" in page
    assert "no champion" in page


def test_a_model_without_rows_is_told_to_import_before_its_first_cycle(
    sqlite_ledger: Ledger,
) -> None:
    story = car_story()
    story.events = story.events[:2]
    record(sqlite_ledger, story)

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert 0 < page.index(f"whyledger import {MODEL}") < page.index(f"cycle --model {MODEL}")


def test_one_entry_is_no_plural(sqlite_ledger: Ledger) -> None:
    page = overview_page(sqlite_ledger, None, NOW, {}, clock_skew_seconds_max=5.0)

    assert sqlite_ledger.size() == 1
    assert "<span>1</span> ledger entry</p>" in page


def test_an_unknown_model_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UnknownModel, match="nowhere"):
        overview_page(ledger, "nowhere", NOW, {}, clock_skew_seconds_max=5.0)


def test_the_page_of_a_whole_story_is_made_on_both_databases(ledger: Ledger) -> None:
    record(ledger, car_story())
    with ledger.connect() as connection:
        recorded = list_decisions(connection, model=MODEL, limit=1)[0]

    page = overview_page(ledger, None, NOW, {}, clock_skew_seconds_max=5.0)

    headline = re.search(r'<h1 class="verdict"[^>]*>(.*?)</h1>', page)
    assert headline is not None
    assert unescape(headline[1]) == f"Promoted: {MODEL}/16 serves in place of {MODEL}/15."
    assert f'<p class="sentence">{recorded.sentence}</p>' in unescape(page)


def test_the_newest_checkpoint_says_since_when_changes_show(
    sqlite_ledger: Ledger, sqlite_settings: Settings
) -> None:
    record(sqlite_ledger, car_story())
    assert "No checkpoint was signed yet." in overview_page(
        sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0
    )

    checkpoints = Checkpoints(sqlite_ledger, sqlite_settings)
    signed = checkpoints.sign()

    says = f"Tamper-evident since checkpoint {signed.checkpoint.size:,}, signed 20"
    assert says in overview_page(
        sqlite_ledger, MODEL, NOW, {}, newest=checkpoints.newest, clock_skew_seconds_max=5.0
    )


def test_every_element_is_closed_and_every_id_stands_once(page: str) -> None:
    parsed = Page(page)

    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))


def test_it_holds_no_script_no_inline_style_and_nothing_from_elsewhere(page: str) -> None:
    for tag, name, value in Page(page).attributes:
        assert tag != "script"
        assert name != "style"
        assert not name.startswith("on")
        if name in {"href", "src"}:
            assert value is not None
            assert value.startswith(("/", "#"))


def test_eight_times_the_cycles_weigh_less_than_four_times_as_much(sqlite_ledger: Ledger) -> None:
    two, sixteen = car_story(1976), car_story()
    record(sqlite_ledger, two)
    after_two = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)
    record(sqlite_ledger, Story(sixteen.events[len(two.events) :]))
    after_sixteen = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert len(after_sixteen.encode()) < 4 * len(after_two.encode())


def test_every_picture_is_well_formed_and_has_a_name(page: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)

    assert len(pictures) > 10
    for picture in pictures:
        root = ElementTree.fromstring(picture)  # noqa: S314 - we made it
        assert root.get("aria-label") or root.get("aria-hidden") == "true"


def test_a_halted_window_is_shown_and_is_never_called_no_drift(sqlite_ledger: Ledger) -> None:
    record(sqlite_ledger, car_story(HALTED_YEAR))

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    notice = re.search(r'<p class="notice">(.*?)</p>', page)
    assert notice is not None
    assert " halted: mean of mpg is 14.2" in notice[1]
    assert "no drift" not in notice[1]


def test_the_gates_stop_at_the_first_that_failed(sqlite_ledger: Ledger) -> None:
    record(sqlite_ledger, car_story(REJECTED_YEAR))

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert '<li class="gate failed">' in page
    assert '<li class="gate not-evaluated">' in page


def test_the_decisions_stand_newest_first_and_lead_to_their_json(page: str) -> None:
    days = re.findall(r'data-label="when">([^<]+)<', page)
    links = re.findall(r'<a href="([^"]*)" aria-label="Why: [^"]* as JSON">', page)

    assert days == sorted(days, reverse=True)
    assert days[0] == time(1991)[:10]
    assert len(links) == len(days)
    kinds = [link.partition("?")[0].rpartition("/")[0] for link in links]
    assert (kinds.count("/audit/decisions"), kinds.count("/audit")) == (15, 3)


def test_no_sentence_ends_in_two_full_stops(sqlite_ledger: Ledger) -> None:
    story = car_story(1976)
    for told in story.events:
        if isinstance(told.event, CandidateCompared):
            told.event = replace(told.event, reason="better on 53 rows.")
    record(sqlite_ledger, story)

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert "better on 53 rows.</p>" in page
    assert "53 rows.." not in page


def test_a_digest_in_a_sentence_is_cut_and_shows_whole_on_hover(sqlite_ledger: Ledger) -> None:
    whole = "0123456789abcdef" * 4
    story = car_story(1976)
    for told in story.events:
        if isinstance(told.event, PromotionSettled):
            told.event = replace(told.event, reason=f"the gated plan is {whole}, <it> says")
    record(sqlite_ledger, story)

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    short = f'the gated plan is <abbr title="{whole}">0123456789ab…</abbr>, &lt;it&gt; says'
    assert short in page
    assert not re.search("[0-9a-f]{64}", re.sub(r'="[^"]*"', "", page))


def test_a_drift_heading_says_which_window_it_stands_for(page: str) -> None:
    headings = re.findall(r'<figcaption>.*?<span class="band[^>]*>. (\d{4}): ', page)

    assert set(headings) == {"1990"}


def test_a_large_psi_without_evidence_raises_no_alarm(sqlite_ledger: Ledger) -> None:
    """Given a last window with a PSI of 0.326 that chance explains, then it is said as that."""
    story = car_story(1976)
    for told in story.events:
        if isinstance(told.event, DriftMeasured) and (report := told.event.report):
            large = {"psi": 0.326, "evidence": False, "band": "significant", "significant": False}
            features = tuple(replace(f, **large) for f in report.features)
            told.event = replace(told.event, report=replace(report, features=features))
    record(sqlite_ledger, story)

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert 'class="band significant"' not in page
    assert 'class="band large-no-evidence">? 1976: 0.326 large, no evidence</span>' in page
    assert '<td class="band large-no-evidence">? 0.326 no evidence' in page
    assert "PSI 0.326, large, no evidence, n = " in page


def test_a_symbol_of_the_drift_charts_means_one_thing(page: str) -> None:
    legend = re.search(r"<span>(.) hollow: too few rows to say no drift</span>", page)
    assert legend is not None
    assert legend[1] not in re.findall(r'<(?:span|td) class="band [^>]*>(.) ', page)


def test_rollbacks_are_counted_and_the_other_champions_error_is_not_shown(
    sqlite_ledger: Ledger,
) -> None:
    story = car_story()
    rolled_back(story)
    record(sqlite_ledger, story)

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert "<dt>rollbacks</dt><dd>1</dd>" in page
    assert f"not measured since {MODEL}/1 serves" in page


def test_a_failed_cycles_reason_stands_once(sqlite_ledger: Ledger) -> None:
    story = car_story(1977)
    last = max(i for i, told in enumerate(story.events) if isinstance(told.event, Decided))
    story.events = story.events[: last + 1]
    reason = "the disk is full; free some of it"
    story.tell(
        story.events[last].stream, CycleFailed(attempts=3, step="train", reason=reason), time(1978)
    )
    record(sqlite_ledger, story)

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    read = re.sub(r' title="[^"]*"', "", page)  # which holds the whole sentence of the health
    above, _, table = read.partition('<h2 id="decisions">')
    assert (above.count(reason), table.count(reason)) == (1, 1)


def rolled_back(story: Story) -> None:
    event = ChampionRolledBack(
        model=MODEL,
        model_version=f"{MODEL}/1",
        replaced=f"{MODEL}/16",
        plan_sha256=f"{1:064x}",
        reference_sha256="ab" * 32,
        trained_until=time(1976),
        registry_run=None,
        reason="customers complained",
    )
    story.tell(f"model-{MODEL}", event, time(1991))


def headline_of(page: str) -> str:
    found = re.search(r'<h1 class="verdict"[^>]*>(.*?)</h1>', page)
    assert found is not None
    return unescape(found[1])


def test_after_a_rollback_the_headline_says_so_and_the_decision_stands_below(
    sqlite_ledger: Ledger,
) -> None:
    story = car_story()
    rolled_back(story)
    record(sqlite_ledger, story)

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    said = f"Rolled back from {MODEL}/16 to {MODEL}/1: customers complained."
    assert headline_of(page) == said
    assert "The last decision before it: Promoted: " in page
    assert page.count(said) == 2  # the headline, and the line of the table
    assert re.findall(r'class="outcome [^>]*>.*?</span> ([^<]+)<', page)[0] == "rolled back"


def test_a_halted_cycle_is_the_headline_and_a_line_among_the_decisions(
    sqlite_ledger: Ledger,
) -> None:
    record(sqlite_ledger, car_story(HALTED_YEAR))

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert headline_of(page).startswith("Halted, nothing was judged: ")
    assert re.findall(r'class="outcome [^>]*>.*?</span> ([^<]+)<', page)[0] == "halted"


def test_a_turned_away_candidate_is_no_retraining_in_the_headline(sqlite_ledger: Ledger) -> None:
    record(sqlite_ledger, car_story(REJECTED_YEAR))

    said = headline_of(overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0))

    assert re.fullmatch(rf"Candidate {MODEL}/\d+ turned away: {MODEL}/\d+ serves on\.", said)


def test_a_model_that_was_promoted_shows_its_gates_however_long_ago_that_was(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.overview.WINDOWS_SHOWN", 1)
    record(sqlite_ledger, car_story(HALTED_YEAR))

    page = overview_page(sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0)

    assert "No candidate was trained yet" not in page
    assert re.search(rf'The last gates <span class="quiet">{MODEL}/\d+, 19\d\d</span>', page)


def test_only_a_model_that_never_had_a_candidate_is_said_to_have_none(
    sqlite_ledger: Ledger,
) -> None:
    story = car_story()
    story.events = story.events[:2]
    record(sqlite_ledger, story)

    assert "No candidate was trained yet" in overview_page(
        sqlite_ledger, MODEL, NOW, {}, clock_skew_seconds_max=5.0
    )
