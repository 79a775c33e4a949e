"""Every decision for a reviewer: JSON lines, CSV or a printable page, streamed page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

import orjson

from app.audit.aftermath import NOT_FINISHED, Aftermath, aftermath_of
from app.ledger.store import Ledger
from app.projections.decisions import DecisionView, list_decisions
from app.web.pages import stream, stylesheet

_PAGE_DECISIONS: Final = 200
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
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def export_jsonl(
    ledger: Ledger,
    *,
    model: str | None = None,
    outcome: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[str]:
    """One JSON object a line, oldest first: the decision, whole. Bounds are on `as_of`.

    `conclusion` is how its cycle ended; null before the end.
    """
    for view, after in decided(ledger, model=model, outcome=outcome, since=since, until=until):
        yield (
            orjson.dumps(
                {
                    "position": view.position,
                    "id": view.id,
                    "model": view.model,
                    "cycle": view.cycle,
                    "outcome": view.outcome,
                    "as_of": view.as_of,
                    "occurred_at": view.occurred_at,
                    "recorded_at": view.recorded_at,
                    "sentence": view.sentence,
                    "decision": view.body,
                    "conclusion": None if after.conclusion == NOT_FINISHED else after.conclusion,
                    "candidate": after.candidate or None,
                }
            ).decode()
            + "\n"
        )


def export_csv(
    ledger: Ledger,
    *,
    model: str | None = None,
    outcome: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[str]:
    """One line a clause of every decision, oldest first; a decision without clauses has one line.

    Every line repeats how the cycle ended; RMSE is on the contract's transformed scale.
    Text that a spreadsheet would run as a formula gets a leading apostrophe; numbers stay numbers.
    """
    yield _line((*_COLUMNS, *_ENDING_COLUMNS, *_CLAUSE_COLUMNS))
    for view, after in decided(ledger, model=model, outcome=outcome, since=since, until=until):
        verdict = view.body.get("verdict") or view.body
        first = (
            view.position, view.id, view.model, view.cycle, view.outcome, view.as_of,
            view.occurred_at, view.recorded_at, verdict.get("policy"),
            verdict.get("policy_version"), verdict.get("policy_digest"), view.sentence,
            *_ending(after),
        )  # fmt: skip
        for clause in verdict.get("clauses") or [{}]:
            yield _line((*first, *(clause.get(name) for name in _CLAUSE_COLUMNS)))


def export_html(
    ledger: Ledger,
    *,
    model: str | None = None,
    outcome: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[str]:
    """A page to print, in one file: every decision, its clauses and what came of it, oldest first.

    The stylesheet stands in it, so that a saved copy looks the same.
    """
    found = decided(ledger, model=model, outcome=outcome, since=since, until=until)
    return stream(
        "decisions.html",
        decisions=found,
        bounds={"model": model, "outcome": outcome, "from": since, "to": until},
        ledger_id=ledger.ledger_id(),
        ledger_size=ledger.size(),
        stylesheet=stylesheet(),
    )


def decided(
    ledger: Ledger,
    *,
    model: str | None = None,
    outcome: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[tuple[DecisionView, Aftermath]]:
    """The decisions within the bounds and what came of each, oldest first, a page at a time."""
    after = -1
    while True:
        with ledger.connect() as connection:
            page = list_decisions(
                connection,
                model=model,
                outcome=outcome,
                since=since,
                until=until,
                after=after,
                limit=_PAGE_DECISIONS,
            )
            told = [(view, aftermath_of(connection, view)) for view in page]
        yield from told
        if len(page) < _PAGE_DECISIONS:
            return
        after = page[-1].position


def guarded(cell: object) -> object:
    """`cell` as CSV may hold it: text that begins like a formula is marked as text.

    >>> guarded("=1+1"), guarded("-0.5"), guarded(-0.5), guarded(None)
    ("'=1+1", "'-0.5", -0.5, '')
    """
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return "" if cell is None else cell


def _ending(after: Aftermath) -> tuple[object, ...]:
    rows = {gate.name: gate for gate in after.gates}
    evaluation = rows.get("Evaluation")
    said = [
        cell
        for gate in (rows.get(name) for name in _GATES)
        for cell in ((gate.verdict, gate.reason) if gate else (None, None))
    ]
    return (
        after.conclusion,
        after.reason,
        after.candidate,
        after.champion,
        evaluation.rows if evaluation else None,
        after.figure("Evaluation", "candidate"),
        after.figure("Deployment", "champion"),
        after.figure("Evaluation", "mean"),
        after.figure("Evaluation", "median"),
        *said,
    )


def _line(cells: tuple[object, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([guarded(cell) for cell in cells])
    return out.getvalue()
