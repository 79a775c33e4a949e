"""That a later cycle set one aside is said by every door, and its counts stand apart."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.audit.cycle import cycle_told
from app.audit.health import Health, current_health
from app.audit.setting_aside import set_aside_sentence, sets_aside_sentence
from app.cli.job_summary import summary
from app.cli.main import app
from app.clock import new_id
from app.projections.cycles_that_count import ModelCounts
from app.projections.models import get_model
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.canonical import canonical_bytes
from domain.events.cycle_events import CycleStarted, HealthReported
from tests.app.golden_story import replayed
from tests.app.http.routes.running import running
from tests.repository import REPOSITORY

LINES = (REPOSITORY / "tests" / "golden" / "0003-reigns.jsonl").read_bytes().splitlines()
ASIDE = ("car-price-3", "car-price-4")  # the first of them promoted car-price/2
SAID = "Set aside by car-price-5: the clock ran ahead."
NOW = "1979-02-01T00:00:00.000000Z"
ENDED_EARLY = {"halted": 0, "failed": 0, "undecided": 0}


def setting_aside(cycles: tuple[str, ...] = ASIDE, **fields: object) -> list[bytes]:
    """The entries of a cycle that starts after all of them, sets these aside, and ends."""
    last = {each["type"]: each for each in map(orjson.loads, LINES)}
    started, ended = last[CycleStarted.type], last[HealthReported.type]
    data = {
        "cycle": "car-price-5",
        "number": 5,
        "as_of": "1977-06-01T00:00:00.000000Z",
        "champion": "car-price/1",
        "serves": "car-price/2",
        "sets_aside": list(cycles),
        "reason": "the clock ran ahead",
        **fields,
    }
    entries = [started | {"data": started["data"] | data}, ended]
    mine = "cycle-car-price-5"
    return [canonical_bytes(each | {"stream": mine, "id": new_id()}) for each in entries]


def health_in(settings: Settings) -> Health:
    ledger = open_ledger(settings)
    with ledger.connect() as connection:
        view = get_model(connection, "car-price")
        assert view is not None
        found = current_health(connection, view, NOW, alarm=None, clock_skew_seconds_max=5.0)
    ledger.close()
    return found


class Doors:
    """A ledger in which two cycles were set aside, and everybody who may be asked about it."""

    def __init__(self, state: Path) -> None:
        self.settings = Settings(state_dir=state)
        replayed(LINES, self.settings.ledger_url)
        self.before = health_in(self.settings)
        self.settings = Settings(state_dir=state / "aside")
        replayed([*LINES, *setting_aside()], self.settings.ledger_url)
        self.after = health_in(self.settings)

    def command(self, *arguments: str) -> str:
        env = {"WHYLEDGER_STATE_DIR": str(self.settings.state_dir), "COLUMNS": "300"}
        done = CliRunner().invoke(app, arguments, env=env)
        assert done.exit_code == 0, done.output
        return done.stdout


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Doors:
    return Doors(tmp_path_factory.mktemp("aside"))


@pytest.fixture(scope="module")
def service(doors: Doors) -> Iterator[TestClient]:
    with running(doors.settings) as client:
        yield client


def aside(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that belong to a cycle that was set aside, each of which says so; no other does."""
    for each in listed:
        mine = each["cycle"] in ASIDE
        assert each["set_aside_by"] == ("car-price-5" if mine else None)
    return [each for each in listed if each["cycle"] in ASIDE]


def test_decisions_and_cycles_say_by_whom_and_why_in_their_headline(
    doors: Doors, service: TestClient
) -> None:
    decided = aside(service.get("/audit/decisions?limit=500").json()["decisions"])
    assert len(decided) == len(ASIDE)
    for each in decided:
        assert each["set_aside"] == SAID
        assert each["headline"].endswith(f" serves in place of car-price/1. {SAID}") or each[
            "headline"
        ].endswith(f"serves on. {SAID}")
    cycles = aside(service.get("/models/car-price/cycles").json()["cycles"])
    assert [each["set_aside_reason"] for each in cycles] == ["the clock ran ahead"] * 2
    assert [each["headline"] for each in cycles] == [each["headline"] for each in decided[::-1]]
    listed = json.loads(doors.command("decisions", "--json"))["decisions"]
    assert [each["headline"] for each in aside(listed)] == [c["headline"] for c in cycles]
    assert SAID in doors.command("why", decided[0]["id"])


def test_the_cool_down_of_what_was_set_aside_holds_nobody_back(
    doors: Doors, service: TestClient
) -> None:
    """Given a retraining that was set aside, then no door says that its cool-down is in force."""
    decided = aside(service.get("/audit/decisions?limit=500").json()["decisions"])
    assert {each["outcome"] for each in decided} >= {"override"}
    assert {each["earliest_retraining"] for each in decided} == {None}
    assert "The cool-down lets the next" not in service.get("/?model=car-price").text


def test_changes_mark_what_was_set_aside_and_list_who_set_it_aside(
    doors: Doors, service: TestClient
) -> None:
    told = service.get("/audit/changes?limit=500").json()["changes"]
    marked = aside(told)
    assert {each["kind"] for each in marked} >= {"decided", "promoted"}
    for each in marked:
        assert each["set_aside"] == SAID
        assert (each["headline"] or each["sentence"]).endswith(SAID)
    assert json.loads(doors.command("changes", "--json"))["changes"] == told[::-1]
    last = told[-1]
    assert (last["kind"], last["actor"], last["as_of"][:10]) == (
        "set aside",
        "local:unauthenticated",
        "1977-06-01",
    )
    assert last["sentence"] == (
        "car-price-5 set aside car-price-3 and car-price-4: the clock ran ahead."
    )


def test_exports_and_the_page_say_it(doors: Doors, service: TestClient) -> None:
    exported = [json.loads(line) for line in doors.command("export").splitlines()]
    lines = [each for each in exported if each["kind"] not in {"reign", "value"}]
    assert {each["set_aside"] for each in aside(lines)} == {SAID}
    rows = list(csv.DictReader(io.StringIO(doors.command("export", "--format", "csv"))))
    for row in rows:
        mine = row["cycle"] in ASIDE
        assert row["set_aside"] == (SAID if mine else "")
        assert row["set_aside_by"] == ("car-price-5" if mine else "")
    page = html.unescape(service.get("/?model=car-price").text)
    decided = len([each for each in lines if each["kind"] == "decided" and each["set_aside"]])
    assert page.count(SAID) >= decided
    assert "car-price-5 set aside car-price-3 and car-price-4: the clock ran ahead." in page
    report = html.unescape(service.get("/audit/export?format=html").text)
    assert report.count(SAID) == len([each for each in lines if each["set_aside"]])


def test_whatever_shows_a_window_that_was_set_aside_marks_it(
    doors: Doors, service: TestClient
) -> None:
    """Given a promotion that was set aside, then the last gates, the pictures, their tables and
    `state` say so."""
    page = html.unescape(service.get("/?model=car-price").text)
    [gates] = re.findall(r'The last gates <span class="quiet">(.*?)</span>', page)
    assert gates == f"car-price/2, 1977. {SAID}"
    assert "<td>promoted, set aside</td>" in page
    assert "△</text>" in page
    [state] = json.loads(doors.command("state", "--json"))["models"]
    assert state["decision_set_aside"] == SAID
    assert f"{state['sentence']}. {SAID}" in doors.command("state")


def test_the_job_summary_says_what_the_cycle_set_aside_and_that_it_was_itself(
    service: TestClient,
) -> None:
    cycles = {
        each["cycle"]: each for each in service.get("/models/car-price/cycles").json()["cycles"]
    }
    setting = cycle_told(cycles["car-price-5"]["steps"])
    assert "It set aside car-price-3 and car-price-4: the clock ran ahead." in plain(
        summary(setting)
    )
    was = cycles["car-price-3"]
    told = cycle_told(
        was["steps"],
        set_aside_by=was["set_aside_by"],
        set_aside_reason=was["set_aside_reason"],
    )
    assert SAID in plain(summary(told))


def plain(markdown: str) -> str:
    return html.unescape(re.sub(r"\\(.)", r"\1", markdown))


def test_counts_and_rates_are_of_the_cycles_that_count_and_the_others_stand_apart(
    doors: Doors, service: TestClient
) -> None:
    before, after = doors.before, doors.after
    assert before.counts == ModelCounts(
        **ENDED_EARLY, cycles=4, decisions=4, trainings=2, promotions=2, rejections=0, set_aside=0
    )
    assert (before.success_rate, before.promotion_rate) == (1.0, 0.5)
    assert after.counts == ModelCounts(
        **ENDED_EARLY, cycles=3, decisions=2, trainings=1, promotions=1, rejections=0, set_aside=2
    )
    assert (after.success_rate, after.promotion_rate) == (1.0, 0.5)
    model = service.get("/models/car-price").json()
    assert (model["decisions"], model["promotions"], model["set_aside"]) == (2, 1, 2)
    assert service.get("/models/car-price/health").json()["counts"]["set_aside"] == 2
    [state] = json.loads(doors.command("state", "--json"))["models"]
    assert (state["cycles"], state["promotions"], state["set_aside"]) == (3, 1, 2)
    page = html.unescape(service.get("/?model=car-price").text)
    assert "(n = 1 and 2; 2 cycles set aside, not counted)" in page
    assert "<dt>cycles</dt><dd>3</dd>" in page


def test_a_bootstrap_that_was_set_aside_is_no_training_that_was_never_started(
    tmp_path: Path,
) -> None:
    """Given a champion whose every training was set aside, the rates do not deny that it serves."""
    every = tuple(f"car-price-{number}" for number in range(1, 5))
    settings = Settings(state_dir=tmp_path)
    early = setting_aside(every, as_of="1971-06-01T00:00:00.000000Z", champion=None)
    replayed([*LINES, *early], settings.ledger_url)

    found = health_in(settings)

    assert (found.champion, found.counts.trainings) == ("car-price/1", 0)
    assert found.rates == (
        "no training was started by a cycle that counts (4 cycles set aside, not counted)"
    )
    with running(settings) as client:
        page = html.unescape(client.get("/?model=car-price").text)
        assert client.get("/models/car-price/health").json()["rates"] == found.rates
    assert found.rates in page
    assert "no training was started yet" not in page


def test_a_cycle_that_nobody_set_aside_says_nothing() -> None:
    assert set_aside_sentence(None, None) == ""
    assert sets_aside_sentence("cars-3", (), None) == ""
    assert set_aside_sentence("cars-3", None) == "Set aside by cars-3."
