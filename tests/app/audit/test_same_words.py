"""One decision is told in the same words by every door: nobody makes them a second time."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from msgspec import to_builtins

from app.audit.cycle import cycle_told
from app.audit.decision import Decision, decisions
from app.cli.job_summary import summary
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.events.cycle_events import Conclusion, Decided, HealthReported, NotDecided
from tests.app.audit.doors import Cells, one_line, written
from tests.app.golden_story import placed, replayed
from tests.app.http.routes.running import adopt, process_behind, promote, running
from tests.repository import REPOSITORY

LINES = (REPOSITORY / "tests" / "golden" / "0001-first-version.jsonl").read_bytes().splitlines()
ENDINGS: tuple[Conclusion, ...] = ("kept", "promoted", "rejected", "not decided", "failed")


@dataclass(frozen=True, slots=True)
class Doors:
    """A ledger whose newest cycle ended in one way, and everybody who may be asked about it."""

    state: Path
    decision: Decision
    service: TestClient

    @property
    def kind(self) -> str:
        """As the record of every change says it."""
        forced = self.decision.outcome == "override"
        undecided = self.decision.outcome == "not decided"
        return "override" if forced else "not decided" if undecided else "decided"

    def command(self, *arguments: str) -> str:
        """What the command writes to standard output."""
        return written(self.state, *arguments)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Conclusion], Doors]]:
    """The golden ledger up to the last decided cycle that ended in a way, each made once."""
    with ExitStack() as services:

        @cache
        def up_to(conclusion: Conclusion) -> Doors:
            settings = Settings(state_dir=tmp_path_factory.mktemp("state"))
            replayed(LINES[: end_of(conclusion)], settings.ledger_url)
            ledger = open_ledger(settings)
            with ledger.connect() as connection:
                decision = decisions(connection, limit=1)[0]
            ledger.close()
            assert decision.conclusion == conclusion
            client = services.enter_context(running(settings))
            return Doors(settings.state_dir, decision, client)

        yield up_to


@pytest.fixture(params=ENDINGS)
def doors(request: pytest.FixtureRequest, opened: Callable[[Conclusion], Doors]) -> Doors:
    """Everybody who may be asked about a decision whose cycle ended so."""
    return opened(request.param)


def end_of(conclusion: Conclusion) -> int:
    """How many entries there are when the last decided cycle has ended so."""
    entries = placed(LINES, ())
    decided = {e.stream for e in entries if isinstance(e.event, Decided | NotDecided)}
    return 1 + max(
        entry.position
        for entry in entries
        if isinstance(entry.event, HealthReported)
        and entry.event.conclusion == conclusion
        and entry.stream in decided
    )


def test_every_decision_has_its_words(doors: Doors) -> None:
    told = doors.decision

    assert told.sentence
    words = {"rejected": f"Candidate {told.candidate} turned away: "}
    headline = words.get(told.conclusion or "", (told.conclusion or "").capitalize())
    assert told.headline.startswith(headline)
    assert f"{told.champion or 'nobody'} serves" in told.headline
    assert told.aftermath.startswith(doors.decision.conclusion or "")
    assert bool(told.clauses) == (told.conclusion != "not decided")
    assert bool(told.gates) == (told.conclusion in {"promoted", "rejected"})
    if told.outcome in {"retrain", "keep: rules not met"}:
        deciding = [c for c in told.clauses if (c.verdict == "met") == (told.outcome == "retrain")]
        assert all(clause.sentence in told.sentence for clause in deciding)


def test_why_as_json_is_the_decision_whole(doors: Doors) -> None:
    told = json.loads(doors.command("why", doors.decision.id, "--json"))

    steps = told.pop("steps")
    assert told == json.loads(json.dumps(to_builtins(doors.decision)))
    assert steps["cycle.started"]["cycle"] == doors.decision.cycle


def test_the_api_answers_what_why_says_as_json(doors: Doors) -> None:
    by_command = json.loads(doors.command("why", doors.decision.id, "--json"))
    by_command.pop("steps")

    assert doors.service.get(f"/audit/decisions/{doors.decision.id}").json() == by_command
    assert doors.service.get("/audit/decisions").json()["decisions"][-1] == by_command
    assert json.loads(doors.command("decisions", "--json"))["decisions"][0] == by_command


def test_json_lines_hold_what_why_says_as_json(doors: Doors) -> None:
    lines = [json.loads(line) for line in doors.command("export", "--format", "jsonl").splitlines()]

    line = next(line for line in lines if line["id"] == doors.decision.id)
    assert (line.pop("kind"), line.pop("actor")) == (doors.kind, "local:unauthenticated")
    assert line == json.loads(json.dumps(to_builtins(doors.decision)))
    assert doors.service.get("/audit/export?format=jsonl").text == doors.command("export")


def test_why_says_the_same_in_text(doors: Doors) -> None:
    told = doors.decision

    lines = doors.command("why", told.id).splitlines()

    clauses = [
        "\t".join((c.symbol, c.label, c.verdict, c.shown, c.needs, c.distance))
        for c in told.clauses
    ]
    gates = [
        "\t".join((g.symbol, g.name, g.verdict, g.errors, g.reason, g.note)) for g in told.gates
    ]
    ended = [f"{told.cycle}: {told.aftermath}", f"decided at position {told.position}"]
    assert [line for line in lines if not line.startswith(("\tclause\t", "\tgate\t"))] == [
        told.headline,
        told.sentence,
        *clauses,
        *gates,
        *ended,
    ]


def test_the_report_says_the_same(doors: Doors) -> None:
    told = doors.decision

    report = doors.service.get("/audit/export?format=html").text

    assert one_line(report) == one_line(doors.command("export", "--format", "html"))
    block = next(part for part in report.split("<section") if f"id {told.id}<" in part)
    texts = Cells(f"<section{block}").texts
    assert texts[:2] == [told.headline, told.sentence]
    assert f"What came of it: {told.aftermath}" in texts
    for clause in told.clauses:
        first = texts.index(clause.label)
        assert texts[first + 1 : first + 5] == [
            f"{clause.symbol} {clause.verdict}",
            clause.shown,
            clause.needs,
            clause.distance or "–",
        ]
    for gate in told.gates:
        first = texts.index(gate.name)
        assert [texts[first + 1], *texts[first + 3 : first + 5]] == [
            f"{gate.symbol} {gate.verdict}",
            gate.errors or "–",
            " ".join(filter(None, (gate.reason or "–", gate.note))),
        ]


def test_the_page_says_the_same(doors: Doors) -> None:
    told = doors.decision

    texts = Cells(doors.service.get(f"/?model={told.model}").text).texts

    assert {told.headline, told.sentence} <= set(texts)
    assert any(told.aftermath in text for text in texts)
    for clause in told.clauses:
        assert f"{clause.symbol}{clause.label}{clause.verdict}" in texts
        assert f"{clause.shown} needs {clause.needs}" in texts
        assert clause.distance in texts
    for gate in told.gates:
        assert f"{gate.symbol}{gate.name}{gate.verdict}" in texts
        rows = "" if gate.rows is None else f" n = {gate.rows}"
        assert (f"{gate.reason}{rows}" if gate.reason else gate.question) in texts
        assert (gate.errors or "–") in texts
        assert not gate.note or gate.note in texts


def test_csv_says_the_same(doors: Doors) -> None:
    told = doors.decision

    rows = csv.DictReader(io.StringIO(doors.command("export", "--format", "csv")))
    mine = [row for row in rows if row["id"] == told.id]

    assert {(row["headline"], row["sentence"], row["aftermath"]) for row in mine} == {
        (told.headline, told.sentence, told.aftermath)
    }
    assert {row["kind"] for row in mine} == {doors.kind}
    said = [
        (row["label"], row["verdict"], row["shown"], row["needs"], row["distance"]) for row in mine
    ]
    assert said == [
        (clause.label, clause.verdict, clause.shown, clause.needs, clause.distance)
        for clause in told.clauses
    ] or [("", "", "", "", "")]
    for gate in told.gates:
        name = gate.name.lower()
        assert (mine[0][name], mine[0][f"{name}_reason"]) == (gate.verdict, gate.reason)
        assert mine[0].get(f"{name}_note", "") == gate.note


def test_the_job_summary_says_the_same(doors: Doors) -> None:
    told = doors.decision
    steps = doors.service.get(f"/models/{told.model}/cycles/{told.cycle}").json()["steps"]

    # Markdown's signs are escaped, and so are HTML's.
    page = html.unescape(re.sub(r"\\(.)", r"\1", summary(cycle_told(steps))))

    assert page.startswith(f"## {told.headline}\n\n{told.sentence}\n")
    assert told.aftermath in page
    for clause in told.clauses:
        cells = (f"{clause.symbol} {clause.verdict}", clause.shown, clause.needs, clause.distance)
        assert f"| {' | '.join((clause.label, *cells))} |\n" in page
    for gate in told.gates:
        figures = (gate.errors, gate.reason, gate.note)
        assert f"| {' | '.join((gate.name, f'{gate.symbol} {gate.verdict}', *figures))} |\n" in page


def test_every_cycle_is_listed_with_its_sentence_however_it_ended(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    replayed(LINES, settings.ledger_url)
    with running(settings) as service:
        listed = [
            cycle
            for model in ("car-price", "car-sales")
            for cycle in service.get(f"/models/{model}/cycles?limit=500").json()["cycles"]
        ]

    assert {cycle["conclusion"] for cycle in listed} >= {*ENDINGS, "halted"}
    for cycle in listed:
        told = cycle_told(cycle["steps"])
        assert (cycle["headline"], cycle["sentence"]) == (told.headline, told.sentence)
        words = {"halted": "HALTED: ", "failed": "FAILED: "}
        if cycle["outcome"] is None:
            assert cycle["sentence"].startswith(words[cycle["conclusion"]])


def test_every_change_is_told_alike_by_command_api_and_exports(doors: Doors) -> None:
    told = doors.service.get("/audit/changes?limit=500").json()["changes"]

    assert json.loads(doors.command("changes", "--json"))["changes"] == told[::-1]
    decision = next(change for change in told if change["id"] == doors.decision.id)
    assert (decision["headline"], decision["sentence"]) == (
        doors.decision.headline,
        doors.decision.sentence,
    )
    rows = {
        row["id"]: row
        for row in csv.DictReader(io.StringIO(doors.command("export", "--format", "csv")))
    }
    lines = [json.loads(line) for line in doors.command("export").splitlines()]
    lines = [line for line in lines if line["kind"] not in {"reign", "value"}]
    report = Cells(doors.command("export", "--format", "html")).texts
    listed = doors.command("changes").splitlines()[1:]
    assert [line["position"] for line in lines] == [change["position"] for change in told]
    for change, line, cells in zip(told, lines, listed[::-1], strict=True):
        names = ("id", "kind", "actor", "sentence", "headline")
        assert {name: line[name] for name in names} == {name: change[name] for name in names}
        assert {name: rows[change["id"]][name] for name in names} == {
            name: change[name] for name in names
        }
        assert {change["sentence"], change["headline"] or change["sentence"]} <= set(report)
        assert cells.endswith(f"\t{change['sentence']}\t{change['headline']}")


def test_health_is_said_alike_by_page_command_and_api(doors: Doors) -> None:
    told = next(
        model
        for model in json.loads(doors.command("state", "--json"))["models"]
        if model["model"] == doors.decision.model
    )
    answer = doors.service.get(f"/models/{told['model']}/health").json()
    page = doors.service.get(f"/?model={told['model']}").text

    assert (answer["state"], answer["sentence"]) == (told["health"], told["health_sentence"])
    assert answer["reasons"] == told["reasons"]
    assert titles(page).count(answer["sentence"]) == 1
    assert answer["sentence"].endswith("; ".join(answer["reasons"]))


def test_a_champion_that_does_not_answer_is_degraded_at_every_door(
    tmp_path: Path,
) -> None:
    with running(Settings(state_dir=tmp_path)) as service:
        adopt(service)
        promote(process_behind(service).ledger, 1, b"no serving plan")
        process_behind(service).champions.refresh()
        answer = service.get("/models/car-price/health").json()
        page = service.get("/?model=car-price").text
    state = json.loads(written(tmp_path, "state", "--json"))["models"][0]

    assert "champion 'car-price/1' does not load" in answer["alarm"]
    assert answer["alarm"] in answer["reasons"]
    assert answer["state"] == state["health"] == "degraded"
    assert answer["sentence"] == state["health_sentence"]
    assert titles(page).count(answer["sentence"]) == 1


def titles(page: str) -> list[str]:
    """What the page says of its elements, as a reader sees it."""
    return [html.unescape(title) for title in re.findall(r'title="([^"]*)"', page)]


def test_the_list_of_changes_goes_on_where_its_link_leads(
    opened: Callable[[Conclusion], Doors],
) -> None:
    service = opened("not decided").service
    whole = service.get("/audit/changes").json()["changes"]
    found, address = [], "/audit/changes?limit=5"

    while address:
        answer = service.get(address)
        found += answer.json()["changes"]
        address = answer.links.get("next", {}).get("url", "")

    assert found == whole
    assert len(found) > 10
