"""Exports hold every decision, and nothing in them runs in a spreadsheet."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from app.ledger.store import Ledger
from app.projections.decisions import list_decisions
from app.projections.opening import open_ledger
from app.reports.export import export_csv, export_html, export_jsonl, guarded
from app.settings import Settings
from domain.events.cycle_events import CandidateCompared, CycleFailed, Decided, HealthReported
from domain.events.verdicts import significant_digits
from tests.app.web.car_story import MODEL, REJECTED_YEAR, Story, car_story, record, time
from tests.told import ToldOnce

Told = tuple[Ledger, Story]
STYLE = ":root { --page: white; }"


def html(ledger: Ledger) -> str:
    return "".join(export_html(ledger, stylesheet=STYLE))


def decided(ledger: Ledger, **bounds: str) -> list[dict[str, Any]]:
    """The lines that hold decisions."""
    lines = [json.loads(line) for line in export_jsonl(ledger, **bounds)]
    return [line for line in lines if "decision" in line]


def of_changes(ledger: Ledger, **bounds: str) -> list[dict[str, Any]]:
    """The lines that hold decisions and other changes, but not what champions were worth."""
    lines = [json.loads(line) for line in export_jsonl(ledger, **bounds)]
    return [line for line in lines if line["kind"] not in {"reign", "value"}]


def table(ledger: Ledger) -> list[dict[str, str]]:
    """The lines of decisions and other changes."""
    rows = csv.DictReader(io.StringIO("".join(export_csv(ledger))))
    return [row for row in rows if row["kind"] not in {"reign", "value"}]


def tell(ledger: Ledger, _: Settings) -> Story:
    story = car_story()
    record(ledger, story)
    return story


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told_ledger(request: pytest.FixtureRequest, told_once: ToldOnce) -> Iterator[Told]:
    """One for all of them: an export reads and changes nothing."""
    of = told_once(tell, Settings(database_url=f"{request.param}:///ledger"))
    ledger = open_ledger(of.settings)
    yield ledger, of.gives
    ledger.close()


@pytest.fixture
def told(told_ledger: Told) -> Ledger:
    return told_ledger[0]


@pytest.fixture
def story(told_ledger: Told) -> Story:
    return told_ledger[1]


def test_json_lines_hold_every_decision_whole_oldest_first(told: Ledger) -> None:
    lines = decided(told)
    with told.connect() as connection:
        recorded = list_decisions(connection, model=MODEL)[::-1]

    assert [line["sentence"] for line in lines] == [view.sentence for view in recorded]
    assert [line["decision"] for line in lines] == [json.loads(view.body) for view in recorded]


def test_csv_has_a_line_a_clause(told: Ledger) -> None:
    rows = [row for row in table(told) if row["clause"]]

    assert len(rows) == 4 * len(decided(told))
    assert {row["model"] for row in rows} == {MODEL}


def test_the_bounds_are_those_of_as_of(told: Ledger) -> None:
    bounds = {"since": time(1978), "until": time(1980)}

    lines = of_changes(told, **bounds)

    assert [line["as_of"] for line in decided(told, **bounds)] == [time(1978), time(1979)]
    assert {line["as_of"] for line in lines} == {time(1978), time(1979)}


def test_the_report_holds_every_change(told: Ledger) -> None:
    report = html(told)

    sections = report.count("<h2>") - report.count("<h2>What the champions of")
    assert sections == len(of_changes(told))
    assert report.rstrip().endswith("</html>")


def _rejection(story: Story) -> CandidateCompared:
    return next(
        told.event
        for told in story.events
        if isinstance(told.event, CandidateCompared) and not told.event.passed
    )


def test_csv_says_what_came_of_each_decision(told: Ledger, story: Story) -> None:
    rejection = _rejection(story)
    assert rejection.champion is not None

    rows = [row for row in table(told) if row["outcome"]]

    ended = {row["as_of"]: row for row in rows}
    row = ended[time(REJECTED_YEAR + 1)]
    assert (row["conclusion"], row["deployment"], row["promotion"]) == (
        "rejected", "failed", "not evaluated",
    )  # fmt: skip
    assert row["deployment_reason"] == rejection.reason
    assert float(row["rmse_candidate"]) == rejection.candidate.rmse
    assert float(row["rmse_champion"]) == rejection.champion.rmse
    assert row["champion_compared"] == rejection.champion_version
    assert ended[time(1976)]["conclusion"] == "promoted"
    assert ended[time(1976)]["rmse_champion"] == ""
    kept = next(row for row in rows if row["outcome"].startswith("keep"))
    assert (kept["conclusion"], kept["candidate"], kept["parity"]) == ("kept", "", "")


def test_json_lines_say_how_each_cycle_ended(told: Ledger) -> None:
    ended = {line["as_of"]: line for line in decided(told)}

    assert ended[time(REJECTED_YEAR + 1)]["conclusion"] == "rejected"
    assert ended[time(1976)]["candidate"] == f"{MODEL}/1"


def test_the_report_shows_both_errors_and_the_reason_of_a_rejection(
    told: Ledger, story: Story
) -> None:
    rejection = _rejection(story)
    assert rejection.champion is not None

    report = html(told)

    assert report.count("What came of it:") == len(decided(told))
    assert "What came of it:</strong> rejected. Candidate" in report
    assert rejection.reason in report
    for side, errors in (("candidate", rejection.candidate), ("champion", rejection.champion)):
        assert f"{side} {significant_digits(errors.rmse)}" in report


def test_the_report_is_one_file_with_its_style_inside(told: Ledger) -> None:
    report = html(told)

    assert STYLE in report.partition("<style>")[2].partition("</style>")[0]
    assert "<link" not in report
    assert "/static/" not in report


def test_a_failed_cycle_says_why_in_csv_and_report(sqlite_ledger: Ledger) -> None:
    story = car_story(1977)
    last = max(i for i, told in enumerate(story.events) if isinstance(told.event, Decided))
    story.events = story.events[: last + 1]
    failed = CycleFailed(attempts=3, step="train", reason="the disk is full. Free some of it.")
    story.tell(story.events[last].stream, failed, time(1978))
    record(sqlite_ledger, story)

    *_, row, said = table(sqlite_ledger)
    report = html(sqlite_ledger)

    assert (said["kind"], said["reason"]) == ("failed", failed.reason)
    assert (row["conclusion"], row["conclusion_reason"]) == ("failed", failed.reason)
    assert f"What came of it:</strong> failed: {failed.reason}" in report


def test_a_decision_whose_cycle_goes_on_is_not_finished(sqlite_ledger: Ledger) -> None:
    story = car_story()
    last = max(i for i, told in enumerate(story.events) if isinstance(told.event, HealthReported))
    story.events = story.events[:last]
    record(sqlite_ledger, story)

    assert decided(sqlite_ledger)[-1]["conclusion"] is None
    assert "What came of it:</strong> not finished." in html(sqlite_ledger)


def test_a_report_without_changes_says_so(sqlite_ledger: Ledger) -> None:
    assert "No decision or other change lies within these bounds." in html(sqlite_ledger)


def test_exports_hold_adoptions_promotions_rejections_and_halts_beside_decisions(
    told: Ledger,
) -> None:
    lines = of_changes(told)
    rows = table(told)

    positions = [line["position"] for line in lines]
    assert positions == sorted(positions)
    assert Counter(line["kind"] for line in lines) == {
        "policy adopted": 1,
        "contract adopted": 1,
        "decided": 15,
        "promoted": 11,
        "rejected": 1,
        "halted": 1,
    }
    assert list(dict.fromkeys(row["position"] for row in rows)) == [str(p) for p in positions]
    assert [row["sentence"] for row in rows if row["kind"] == "halted"] == [
        line["sentence"] for line in lines if line["kind"] == "halted"
    ]
    adopted = rows[0]
    assert (adopted["policy"], adopted["policy_version"], adopted["policy_digest"]) == (
        "strict-and", "1", adopted["digest"],
    )  # fmt: skip


def test_asked_for_an_outcome_an_export_holds_decisions_alone(told: Ledger) -> None:
    lines = [json.loads(line) for line in export_jsonl(told, outcome="retrain")]

    assert lines
    assert {(line["kind"], line["outcome"]) for line in lines} == {("decided", "retrain")}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_begins_like_a_formula_is_marked_as_text(start: str) -> None:
    assert guarded(f"{start}1") == f"'{start}1"


def test_a_negative_number_stays_a_number() -> None:
    assert guarded(-0.5) == -0.5
