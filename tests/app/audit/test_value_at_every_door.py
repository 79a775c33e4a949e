"""What champions were worth is told in the same words by every door."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path

from app.audit.cycle import cycle_told
from app.audit.value import ValueTold, value_told
from app.cause import Cause
from app.cli.job_summary import summary
from app.clock import new_id
from app.ledger.new_events import NewEvent, StreamAppend
from app.ledger.store import Ledger
from app.ledger.streams import model_stream
from app.projections.cycles import list_cycles
from app.projections.reigns import reigns_of
from app.settings import Settings
from domain.events.events import ValueMeasured
from tests.app.audit.doors import Cells, written
from tests.app.http.routes.running import process_behind, running
from tests.app.web.car_story import MODEL, car_story, record
from tests.plausible import an


def test_what_champions_were_worth_is_said_alike_by_every_door(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with running(settings) as service:
        ledger = process_behind(service).ledger
        record(ledger, car_story())
        process_behind(service).champions.refresh()
        told = measured(ledger, MODEL)
        health = service.get(f"/models/{MODEL}/health").json()["value"]
        page = Cells(service.get(f"/?model={MODEL}").text).texts
        report = Cells(service.get(f"/audit/export?format=html&model={MODEL}").text).texts
        answers = [
            service.get(f"/audit/export?format={form}&model={MODEL}").text
            for form in ("jsonl", "csv")
        ]
        with ledger.connect() as connection:
            steps = list_cycles(connection, MODEL, limit=1)[0].state
    state = json.loads(written(tmp_path, "state", "--json"))["models"][0]
    shown = summary(cycle_told(steps), told.sentences)

    reigns = [reign.sentence for reign in told.reigns]
    assert f"{MODEL}/1 saved 1,000 USD" in reigns[0]
    assert "; 500 after its training at 500 USD" in reigns[0]
    assert [reign["sentence"] for reign in health["reigns"]] == reigns
    assert health["sentence"] == told.sentence
    assert health["sentences"] == [*told.sentences]
    assert {reigns[-1], told.sentence} <= set(page)
    assert {*reigns, told.sentence} <= set(report)
    assert state["value"] == [f"{MODEL}: {reigns[-1]}", f"{MODEL}: {told.sentence}"]
    lines = [json.loads(line) for line in answers[0].splitlines()]
    rows = list(csv.DictReader(io.StringIO(answers[1])))
    for found in (lines, rows):
        assert [each["sentence"] for each in found if each["kind"] == "reign"] == reigns
        assert [each["sentence"] for each in found if each["kind"] == "value"] == [told.sentence]
    for form, answer in zip(("jsonl", "csv"), answers, strict=True):
        exported = written(tmp_path, "export", "--format", form, "--model", MODEL)
        assert exported.splitlines() == answer.splitlines()
    said = html.unescape(re.sub(r"\\(.)", r"\1", shown))
    assert "".join(f"- {sentence}\n" for sentence in told.sentences) in said


def measured(ledger: Ledger, model: str) -> ValueTold:
    """What the model's reigns are worth once somebody has measured each of them."""
    with ledger.connect() as connection:
        reigns = reigns_of(connection, model)
    events = [
        an(
            ValueMeasured,
            model=model,
            model_version=reign.model_version,
            since=reign.since,
            previous=reign.previous or "nobody",
            value=1_000.0,
            unit="USD",
            retraining_cost=500.0,
        )
        for reign in reigns
    ]
    now = "1990-01-01T00:00:00.000000Z"
    new = tuple(NewEvent(event=event, id=new_id(), occurred_at=now) for event in events)
    ledger.append([StreamAppend(model_stream(model), new, None)], Cause.unauthenticated("asked"))
    with ledger.connect() as connection:
        return value_told(connection, model)
