"""What a cycle tells GitHub Actions: outputs of the step, and a summary people read.

Words that came from outside (a reason, a model's name) cannot end an output early or draw in the
summary: multi-line form with an unguessable end, and escaped Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from app.audit.cycle import CycleTold


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


def summary(told: CycleTold, value: Sequence[str] = ()) -> str:
    """The summary of one cycle: headline, verdict sentence, clauses and gates.

    `value`: what the model's champions were worth, a sentence each, and together.
    """
    return "".join(
        (
            f"## {_safe(told.headline)}\n\n",
            f"{_safe(told.sentence)}\n\n",
            f"Cycle `{told.cycle}` of `{told.model}`, as of {told.as_of}: ",
            f"{_safe(told.aftermath)}\n\n",
            *_table(
                ("clause", "verdict", "observed", "needs", "distance"),
                [
                    (c.label, f"{c.symbol} {c.verdict}", c.shown, c.needs, c.distance)
                    for c in told.clauses
                ],
            ),
            *_table(
                ("node", "verdict", "joins"),
                [(n.node, f"{n.symbol} {n.verdict}", n.joins) for n in told.nodes],
            ),
            *_table(
                ("gate", "verdict", "RMSE", "reason", "note"),
                [
                    (g.name, f"{g.symbol} {g.verdict}", g.errors, g.reason, g.note)
                    for g in told.gates
                ],
            ),
            f"{_safe(told.error)}\n\n" if told.error else "",
            *(f"- {_safe(sentence)}\n" for sentence in value),
            "\n" if value else "",
        )
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown; nothing without rows."""
    if not rows:
        return []
    lines = [heads, ["---"] * len(heads), *([_safe(cell) for cell in row] for row in rows)]
    return [*(f"| {' | '.join(line)} |\n" for line in lines), "\n"]


def _safe(text: str) -> str:
    """`text` on one line, meaning nothing to Markdown or HTML."""
    escaped = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|#!":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped
