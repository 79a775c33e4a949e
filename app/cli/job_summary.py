"""What a cycle tells GitHub Actions: outputs of the step, and a summary people read.

Words that came from outside (a reason, a model's name) cannot end an output early or draw in the
summary: multi-line form with an unguessable end, and escaped Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from app.web.gates import gates
from app.web.lights import SYMBOL, lights
from domain.decisions.cycle import Cycle
from domain.events.verdicts import ClauseVerdict, significant_digits


def write_outputs(path: Path, outputs: Mapping[str, str], *, ending: str) -> None:
    """Append `outputs` to the file `$GITHUB_OUTPUT` names; `ending` must stand in no value."""
    lines = []
    for name, value in outputs.items():
        if ending in value:
            raise ValueError(f"output {name!r} holds its own ending {ending!r}")
        lines.append(f"{name}<<{ending}\n{value}\n{ending}\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(lines))


def write_summary(path: Path, text: str) -> None:
    """Append Markdown to the file `$GITHUB_STEP_SUMMARY` names."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def summary(model: str, cycle_id: str, sentence: str, ending: str, cycle: Cycle) -> str:
    """The summary of one cycle: verdict sentence, clause table, gates."""
    clauses: Sequence[ClauseVerdict] = cycle.decided.verdict.clauses if cycle.decided else ()
    parts = [
        f"## {_safe(sentence)}\n\n",
        f"Cycle `{cycle_id}` of `{model}`, as of {cycle.begun.as_of}: **{_safe(ending)}**.\n\n",
    ]
    if clauses:
        parts.append("| clause | verdict | observed | needs | distance |\n|---|---|---|---|---|\n")
        for clause, light in zip(clauses, lights(clauses), strict=True):
            cells = (
                light.name,
                f"{SYMBOL[clause.verdict]} {clause.verdict}",
                light.observed,
                light.needs,
                light.distance,
            )
            parts.append(f"| {' | '.join(_safe(cell) for cell in cells)} |\n")
        parts.append("\n")
    reached = gates(cycle)
    if reached:
        parts.append("| gate | verdict | RMSE | reason |\n|---|---|---|---|\n")
        for gate in reached:
            figures = ", ".join(f"{side} {significant_digits(v)}" for side, v in gate.figures)
            row = (gate.name, f"{gate.symbol} {gate.verdict}", figures, gate.reason)
            parts.append(f"| {' | '.join(_safe(cell) for cell in row)} |\n")
        parts.append("\n")
    return "".join(parts)


def _safe(text: str) -> str:
    """`text` on one line, meaning nothing to Markdown or HTML."""
    escaped = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|#!":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped
