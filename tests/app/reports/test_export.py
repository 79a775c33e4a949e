"""Exports hold every decision, and nothing in them runs in a spreadsheet."""

import csv
import io
import json

import pytest

from app.ledger.store import Ledger
from app.projections.decisions import list_decisions
from app.reports.export import export_csv, export_html, export_jsonl, guarded
from tests.app.web.car_story import MODEL, car_story, record, time


@pytest.fixture
def told(ledger: Ledger) -> Ledger:
    record(ledger, car_story())
    return ledger


def test_json_lines_hold_every_decision_whole_oldest_first(told: Ledger) -> None:
    lines = [json.loads(line) for line in export_jsonl(told)]
    with told.connect() as connection:
        recorded = list_decisions(connection, model=MODEL)[::-1]

    assert [line["sentence"] for line in lines] == [view.sentence for view in recorded]
    assert [line["decision"] for line in lines] == [view.body for view in recorded]


def test_csv_has_a_line_a_clause(told: Ledger) -> None:
    rows = list(csv.DictReader(io.StringIO("".join(export_csv(told)))))
    decisions = len(list(export_jsonl(told)))

    assert len(rows) == 4 * decisions
    assert {row["model"] for row in rows} == {MODEL}


def test_the_bounds_are_those_of_as_of(told: Ledger) -> None:
    lines = [json.loads(x) for x in export_jsonl(told, since=time(1978), until=time(1980))]

    assert [line["as_of"] for line in lines] == [time(1978), time(1979)]


def test_the_report_holds_every_sentence(told: Ledger) -> None:
    report = "".join(export_html(told))

    assert report.count("<h2>") == len(list(export_jsonl(told)))
    assert report.rstrip().endswith("</html>")


def test_a_report_without_decisions_says_so(ledger: Ledger) -> None:
    assert "No decision lies within these bounds." in "".join(export_html(ledger))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_begins_like_a_formula_is_marked_as_text(start: str) -> None:
    assert guarded(f"{start}1") == f"'{start}1"


def test_a_negative_number_stays_a_number() -> None:
    assert guarded(-0.5) == -0.5
