"""`make simulate`: what it prints, writes and ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.simulations import __main__ as command
from benchmarks.simulations.__main__ import PAGE, PROGRAMS, main, marks, simulated, table, written
from benchmarks.simulations.bounds import Bound
from benchmarks.simulations.program import Line, Program, Task


def made_up(hits: int) -> Mapping[str, Program]:
    """One simulation of one cell, in which `hits` of a hundred windows were wrong."""
    bound = Bound("false evidence", hits, 100, "at most", 0.05)
    task = Task("the only cell", 1.0, Lines([Line(("the only cell", f"{hits} %"), (bound,))]))
    return {"made_up": Program("Made up", ("cell", "wrong"), 100, 10, lambda _: [task])}


class Lines:
    """What a cell comes to, told beforehand."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines

    def __call__(self) -> list[Line]:
        return self._lines


def test_every_bound_kept_ends_with_0_and_prints_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "PROGRAMS", made_up(hits=13))
    assert main(["--processes", "1"]) == 0
    said = capsys.readouterr()
    assert "| the only cell | 13 % | false evidence ≤ 5 % (13 %) |" in said.out
    assert "made_up 1/1: the only cell; about 0.0 min left" in said.err


def test_a_broken_bound_is_named_with_its_cell_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "PROGRAMS", made_up(hits=14))
    assert main(["--processes", "1"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "a bound is broken: made_up: the only cell: false evidence 14 %, and it must be at most "
        "5 %, or up to 13 % by chance in 100 runs"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["short_tails"], "no simulation short_tails; there are evidence, policies, long_tails"),
        (["--runs", "0"], "--runs 0: at least 1 of each cell"),
    ],
)
def test_what_nobody_knows_is_refused_with_what_there_is(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_table_takes_the_place_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin, end = marks("made_up")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(command, "PAGE", page)
    monkeypatch.setattr(command, "PROGRAMS", made_up(hits=0))
    for _ in range(2):
        assert main(["--processes", "1", "--write"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{begin}\n\n| cell | wrong |")
    assert text.endswith(f"|\n\n{end}\nafter\n")
    assert "old" not in text


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_page_holds_a_whole_table_of_each_simulation_and_no_broken_bound(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    begin, end = marks(name)
    assert page.count(begin) == page.count(end) == 1
    shown = page.partition(begin)[2].partition(end)[0].strip().splitlines()
    program = PROGRAMS[name]
    assert shown[0].startswith(f"| {' | '.join(program.head)} |")
    assert len(shown) - 2 >= len(program.tasks(program.runs))
    assert "broken" not in "".join(shown)
    assert written(page, name, "\n".join(shown) + "\n") == page


def test_other_processes_come_to_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = PROGRAMS["long_tails"].tasks(2)[:2]
    apart = dict(simulated("long_tails", tasks, processes=2))
    assert apart == {task.name: task.lines() for task in tasks}
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_table_without_bounds_has_no_column_for_them() -> None:
    program = PROGRAMS["policies"]
    assert table(program, [Line(("strict-and",))]).splitlines()[0].count("|") == 1 + len(
        program.head
    )
