"""What `make bench ARGS=growth` is told, and says; `tests/long` runs the whole of it."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from app.projections.opening import open_ledger
from app.settings import Settings
from benchmarks.growth.__main__ import main
from benchmarks.growth.extent import SHORT, size_words, sizes_of
from benchmarks.growth.intake import bytes_at_rest
from benchmarks.growth.processes import command
from benchmarks.growth.told import Told
from benchmarks.tables import into
from tests.app.many_rows import predictions, put_many
from tests.repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "performance.md"


def test_a_page_without_a_place_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# What\n", encoding="utf-8")
    with pytest.raises(ValueError, match="0 places for the table 'growth', and needs one"):
        main(["--short", "--into", str(page)])


def test_the_page_of_performance_has_the_place() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "it stands here" in into(page, "bench", "growth", "it stands here")


def test_sizes_are_taken_as_they_are_written() -> None:
    assert sizes_of("1M,10k,10k,400") == (400, 10_000, 1_000_000)
    assert [size_words(size) for size in sizes_of("400,1500,10k,10M")] == [
        "400",
        "1500",
        "10k",
        "10M",
    ]


@pytest.mark.parametrize("words", ["", "k", "ten", "399", "11M", "10k,,1M", "-5", "1.5k"])
def test_what_is_no_size_is_refused_with_the_bounds(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--sizes={words}"])
    assert ended.value.code == 2
    assert "is no size between 400 and 10,000,000 rows; write 10k" in capsys.readouterr().err


def test_a_command_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"app.cli.main verify ended with \d+: error: "):
        command(Settings(state_dir=tmp_path / "nothing"), "verify", "--json")


def test_a_part_of_a_part_is_told_no_more_than_every_few_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = Told(SHORT, doors=4)
    told("first decision")
    told("fill", 400)
    for share in (0.1, 0.2, 0.3):
        told("fill", 400, share)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "growth: first decision; just begun"
    assert [line.partition("; about ")[0] for line in others] == ["growth: fill at 400 rows"]


def test_bytes_at_rest_hold_nothing_that_a_log_does(tmp_path: Path) -> None:
    """Given the files of a service that was killed, what its logs held is in them when they are
    weighed, and weighing them again gives as much."""
    running, killed = (Settings(state_dir=tmp_path / name) for name in ("running", "killed"))
    with closing(open_ledger(running)) as ledger:
        put_many(ledger, predictions(*range(500)))
        ledger.rows.catch_up()
        shutil.copytree(running.state_dir, killed.state_dir)

    def logged() -> int:
        return sum(log.stat().st_size for log in killed.state_dir.glob("*-wal"))

    assert logged() > 0
    weighed = bytes_at_rest(killed)
    assert logged() == 0
    assert bytes_at_rest(killed) == weighed
