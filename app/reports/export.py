"""Every change for a reviewer: JSON lines, CSV or a printable page, streamed page by page.

Decisions stand whole, with what came of them; beside them, in the order of the ledger, whatever
else changed what serves or how it is judged. Asked for one outcome, it is decisions alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Final, Protocol, Unpack

import orjson
from markupsafe import Markup
from msgspec import to_builtins

from app.audit.change import Change, changes_and_decisions
from app.audit.cycle import NOT_FINISHED
from app.audit.decision import Bounds, Decision
from app.audit.templates import templates
from app.audit.value import ValueTold, value_told
from app.ledger.store import Connection
from app.projections.models import list_models

_TEMPLATES: Final = templates(Path(__file__).parent / "templates")
_BUFFERED_PIECES: Final = 64  # of a page that is streamed
_PAGE_CHANGES: Final = 200
_COLUMNS: Final = (
    "position", "id", "model", "cycle", "outcome", "as_of", "occurred_at", "recorded_at",
    "policy", "policy_version", "policy_digest", "sentence",
)  # fmt: skip
_ENDING_COLUMNS: Final = (
    "conclusion", "conclusion_reason", "candidate", "champion_compared", "holdout_rows",
    "rmse_candidate", "rmse_champion", "rmse_mean", "rmse_median",
    "parity", "parity_reason", "evaluation", "evaluation_reason",
    "deployment", "deployment_reason", "promotion", "promotion_reason",
)  # fmt: skip
_GATES: Final = ("Parity", "Evaluation", "Deployment", "Promotion")
_CLAUSE_COLUMNS: Final = ("clause", "verdict", "observed", "operator", "threshold", "unit", "note")
_WORDS_COLUMNS: Final = (
    "label", "shown", "needs", "distance", "parity_note", "deployment_note", "aftermath",
    "evaluation_note", "promotion_note", "error",
)  # fmt: skip
_CHANGE_COLUMNS: Final = (
    "kind", "actor", "model_version", "digest", "reason", "headline", "set_aside_by", "set_aside",
)  # fmt: skip
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class Exported(Protocol):
    """What an export is made of: a ledger, or one that is only looked at."""

    def connect(self) -> AbstractContextManager[Connection]:
        """A connection to its read models, at one moment."""

    def ledger_id(self) -> str:
        """As `Ledger.ledger_id`."""

    def size(self) -> int:
        """How many entries it has."""


def export_jsonl(ledger: Exported, **bounds: Unpack[Bounds]) -> Iterator[str]:
    """One JSON object a line, oldest first: its `kind`, and the decision or other change, whole.

    A decision's `conclusion` is how its cycle ended; null before the end. After them what the
    champions of each model were worth as last measured: a line of kind `reign` each, and `value`.
    """
    for change, decision in recorded(ledger, **bounds):
        whole = to_builtins(change if decision is None else decision)
        yield _json({"kind": change.kind, "actor": change.actor} | whole)
    for model, value in _values(ledger, bounds):
        for reign in value.reigns:
            yield _json({"kind": "reign", "model": model} | asdict(reign))
        together = {name: said for name, said in asdict(value).items() if name != "reigns"}
        yield _json({"kind": "value", "model": model} | together)


def export_csv(ledger: Exported, **bounds: Unpack[Bounds]) -> Iterator[str]:
    """One line a clause of every decision, oldest first; without clauses, one line.

    Any other change is one line, and so, after them all, is what each reign was worth (kind
    `reign`) and what all of a model were (`value`), as last measured. Every line of a decision
    repeats how its cycle ended; RMSE is on the contract's transformed scale. Text that a
    spreadsheet would run as a formula gets a leading apostrophe; numbers stay numbers.
    """
    first = (*_COLUMNS, *_ENDING_COLUMNS, *_CLAUSE_COLUMNS, *_WORDS_COLUMNS)
    yield _line((*first, *_CHANGE_COLUMNS))
    for change, decision in recorded(ledger, **bounds):
        last = tuple(getattr(change, name) for name in _CHANGE_COLUMNS)
        if decision is None:
            known = tuple(getattr(change, name, change.body.get(name)) for name in _COLUMNS)
            yield _line((*known, *[None] * (len(first) - len(known)), *last))
        else:
            for line in _decision_lines(decision):
                yield _line((*line, *last))
    columns = (*first, *_CHANGE_COLUMNS)
    for model, value in _values(ledger, bounds):
        for reign in value.reigns:
            version, sentence = reign.model_version, reign.sentence
            cells = {"kind": "reign", "model_version": version, "sentence": sentence}
            yield _line(tuple(({"model": model} | cells).get(name) for name in columns))
        cells = {"kind": "value", "sentence": value.sentence}
        yield _line(tuple(({"model": model} | cells).get(name) for name in columns))


def export_html(ledger: Exported, *, stylesheet: str, **bounds: Unpack[Bounds]) -> Iterator[str]:
    """A page to print, in one file: decisions with their clauses, and other changes, oldest first.

    `stylesheet` (CSS, ours) stands in it, so that a saved copy looks the same.
    """
    names = {"model": "model", "outcome": "outcome", "since": "from", "until": "to"}
    pieces = _TEMPLATES.get_template("decisions.html").stream(
        changes=recorded(ledger, **bounds),
        bounds={names[name]: value for name, value in bounds.items()},
        values=_values(ledger, bounds),
        ledger_id=ledger.ledger_id(),
        ledger_size=ledger.size(),
        stylesheet=Markup(stylesheet),  # noqa: S704 - ours
    )
    pieces.enable_buffering(_BUFFERED_PIECES)
    return iter(pieces)


def _values(ledger: Exported, bounds: Bounds) -> list[tuple[str, ValueTold]]:
    """What the champions of each model were worth, of those that had one.

    Of one model, when only that is asked for; nothing when only the decisions with one outcome are.
    """
    only = bounds.get("model")
    if bounds.get("outcome") is not None:
        return []
    with ledger.connect() as connection:
        names = [view.model for view in list_models(connection) if only in (None, view.model)]
        found = [(name, value_told(connection, name)) for name in names]
    return [(name, value) for name, value in found if value.reigns]


def recorded(
    ledger: Exported, **bounds: Unpack[Bounds]
) -> Iterator[tuple[Change, Decision | None]]:
    """The changes within the bounds, oldest first; decisions whole beside theirs. Page by page."""
    after = -1
    while True:
        with ledger.connect() as connection:
            page = changes_and_decisions(connection, after=after, limit=_PAGE_CHANGES, **bounds)
        yield from page
        if len(page) < _PAGE_CHANGES:
            return
        after = page[-1][0].position


def guarded(cell: object) -> object:
    """`cell` as CSV may hold it: text that begins like a formula is marked as text.

    >>> guarded("=1+1"), guarded("-0.5"), guarded(-0.5), guarded(None)
    ("'=1+1", "'-0.5", -0.5, '')
    """
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return "" if cell is None else cell


def _decision_lines(decision: Decision) -> Iterator[tuple[object, ...]]:
    verdict = decision.decision.get("verdict") or decision.decision
    first = (
        decision.position, decision.id, decision.model, decision.cycle, decision.outcome,
        decision.as_of, decision.occurred_at, decision.recorded_at, verdict.get("policy"),
        verdict.get("policy_version"), verdict.get("policy_digest"), decision.sentence,
        *_ending(decision),
    )  # fmt: skip
    notes = {gate.name: gate.note for gate in decision.gates}
    last = (
        notes.get("Parity"), notes.get("Deployment"), decision.aftermath,
        notes.get("Evaluation"), notes.get("Promotion"), decision.error,
    )  # fmt: skip
    for clause in decision.clauses or (None,):
        exact = (getattr(clause, name, None) for name in _CLAUSE_COLUMNS)
        words = (getattr(clause, name, None) for name in _WORDS_COLUMNS[: -len(last)])
        yield (*first, *exact, *words, *last)


def _ending(decision: Decision) -> tuple[object, ...]:
    gates = {gate.name: gate for gate in decision.gates}
    figures = {name: gate.figures for name, gate in gates.items()}
    evaluated, compared = figures.get("Evaluation", {}), figures.get("Deployment", {})
    said = [
        cell
        for gate in (gates.get(name) for name in _GATES)
        for cell in ((gate.verdict, gate.reason) if gate else (None, None))
    ]
    return (
        decision.conclusion or NOT_FINISHED,
        decision.conclusion_reason,
        decision.candidate,
        decision.champion_compared,
        gates["Evaluation"].rows if gates else None,
        evaluated.get("candidate"),
        compared.get("champion"),
        evaluated.get("mean"),
        evaluated.get("median"),
        *said,
    )


def _json(line: dict[str, object]) -> str:
    return orjson.dumps(line).decode() + "\n"


def _line(cells: tuple[object, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([guarded(cell) for cell in cells])
    return out.getvalue()
