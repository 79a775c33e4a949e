"""`make bench ARGS=floors`, on a ledger so small that nothing it says means anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.floors.__main__ import main

PLACE = "before\n<!-- bench: floors -->\nold\n<!-- end -->\nafter\n"


def test_the_whole_program_runs_and_writes_its_tables_into_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHYLEDGER_ROWS_FOLDED_BESIDE", "true")  # as it is by default
    page = tmp_path / "page.md"
    page.write_text(PLACE, encoding="utf-8")

    assert main(["--short", "--into", str(page)]) == 0

    said = capsys.readouterr().out
    documents = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    rebuild, batches, uploads = ({each["design"]: each for each in d["figures"]} for d in documents)
    assert {"as it is", "nothing kept"} <= batches.keys() & uploads.keys()
    assert all(each["µs an entry"] > 0 for each in rebuild.values())
    assert all(each["µs a row"] > 0 for each in (*batches.values(), *uploads.values()))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- bench: floors -->\n")
    assert text.endswith("|\n<!-- end -->\nafter\n")
    assert text.count("| design |") == len(documents)
