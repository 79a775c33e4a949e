"""The guide's table of rooms is the contract's, and no file grows beyond what a reader can hold."""

import re
from pathlib import Path

import pytest

from tests.architecture.rooms import BEGINS, ENDS, GUIDE, ROOT, written_again

LINES_MAX = 400
# The bundle's verifier is handed out alone and read by people who trust nobody: it is one file.
MAY_BE_LONG = {Path("app/proof/verify_bundle.py")}
FOLDERS = ("app", "domain", "rules", "migrations", "benchmarks", "tests")
FILES = [path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]


def lines(file: Path) -> int:
    return len((ROOT / file).read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {str(file): lines(file) for file in FILES if lines(file) > LINES_MAX}

    assert set(long) <= set(map(str, MAY_BE_LONG)), long


def test_a_file_that_may_be_long_is() -> None:
    assert all(lines(file) > LINES_MAX for file in MAY_BE_LONG)


def test_the_guides_table_is_what_the_contract_and_the_code_say() -> None:
    page = GUIDE.read_text(encoding="utf-8")

    assert written_again(page) == page, "run: python tests/architecture/rooms.py"


def table(page: str) -> dict[str, list[str]]:
    rows = page.partition(BEGINS)[2].partition(ENDS)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return {cell[0].strip("`"): cell[1:] for cell in cells}


def test_every_room_says_what_is_there_and_no_two_say_the_same() -> None:
    said = [row[0] for row in table(GUIDE.read_text(encoding="utf-8")).values()]

    assert all(said)
    assert len(set(said)) == len(said)


def test_a_figure_that_is_far_from_the_truth_is_written_again() -> None:
    page = GUIDE.read_text(encoding="utf-8")
    ledger = page.partition(BEGINS)[2].partition("| `app/ledger/` |")[2].partition("\n")[0]
    few, many = (
        page.replace(ledger, re.sub(r"[\d,]+ \|$", f"{lines} |", ledger))
        for lines in (17, "99,000")
    )

    assert few != written_again(few) == written_again(many) != many


@pytest.mark.parametrize(
    ("question", "room"),
    [
        ("where is a prediction answered?", "app/serving/"),
        ("where is a policy judged?", "rules/"),
        ("where is a promotion decided?", "domain/decisions/"),
        ("where is a report made?", "app/reports/"),
    ],
)
def test_the_names_of_folders_alone_answer_where(question: str, room: str) -> None:
    answered = GUIDE.read_text(encoding="utf-8").split("\n## Where is it?\n")[1].split("\n## ")[0]
    row = next(line for line in answered.splitlines() if question.removesuffix("?") in line)

    assert f"`{room}`" in row
    assert (ROOT / room).is_dir()
