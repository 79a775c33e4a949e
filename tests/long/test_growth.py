"""`make bench ARGS=growth`, on ledgers so small that nothing it says means anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.growth.__main__ import main
from benchmarks.growth.extent import SHORT, size_words

PLACE = "before\n<!-- bench: growth -->\nold\n<!-- end -->\nafter\n"


def test_the_whole_program_runs_and_writes_its_tables_into_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHYLEDGER_ROWS_FOLDED_BESIDE", "true")  # as it is by default
    page = tmp_path / "page.md"
    page.write_text(PLACE, encoding="utf-8")

    assert main(["--short", "--into", str(page)]) == 0

    said = capsys.readouterr()
    documents = [json.loads(line) for line in said.out.splitlines() if line.startswith("{")]
    against, at_sizes = (document["figures"] for document in documents)
    assert all(
        figure["measured"] in ("not asked", "–") or figure["measured"] > 0 for figure in against
    )
    small, large = (f"{size_words(size)} rows" for size in SHORT.sizes)
    grown = {figure["what"]: (figure[small], figure[large]) for figure in at_sizes}
    assert all(value > 0 for pair in grown.values() for value in pair)
    assert grown["entries"][0] < grown["entries"][1]
    assert grown["decisions"][0] < grown["decisions"][1]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- bench: growth -->\n")
    assert text.endswith("|\n<!-- end -->\nafter\n")
    assert f"| what | {small} | {large} |" in text
    assert "min left" in said.err
