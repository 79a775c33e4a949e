"""Pages lead where they say, name what exists, and their examples run."""

import doctest
import json
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

import app
from tests.app.cli.command_line import whyledger
from tests.docs.markdown import PAGES, anchors, blocks, links, name_of, read, spans
from tests.repository import REPOSITORY

MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users|tmp)/")
DOCUMENTED_COMMANDS = ("README.md", "docs/operations.md", "docs/semantics.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    lost = []
    for link in links(read(page)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(read(target))):
            lost.append(link)

    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_examples_on_a_page_print_what_the_page_says(page: Path) -> None:
    ran = doctest.testfile(str(page), module_relative=False, encoding="utf-8")

    assert ran.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_documents_on_a_page_can_be_read(page: Path) -> None:
    for block in blocks(read(page), "json"):
        json.loads(block)
    for block in blocks(read(page), "yaml"):
        yaml.safe_load(block)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_promises_no_more_than_evidence_and_names_no_folder_of_one_machine(
    page: Path,
) -> None:
    text = read(page)

    assert "tamper-proof" not in text.lower()
    assert not MACHINE_PATH.search(text)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.MULTILINE))
    text = read(page)
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    named = {
        found[1] for line in [*lines, *spans(text)] if (found := re.match(r"make ([a-z]+)", line))
    }

    assert named <= targets


@pytest.mark.parametrize("page", DOCUMENTED_COMMANDS)
def test_every_command_and_option_a_page_names_exists(page: str) -> None:
    text = read(page)
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    called = [
        found for line in [*lines, *spans(text)] if (found := re.match(r"whyledger ([a-z]+)", line))
    ]

    commands = set(re.findall(r"^\W*([a-z]+) {2,}\S", shown_help(), flags=re.MULTILINE))
    assert {found[1] for found in called} <= commands
    for found in called:
        for option in re.findall(r"--[a-z-]+", found.string):
            assert option in shown_help(found[1])


@cache
def shown_help(*command: str) -> str:
    """What the program says of itself, or of one of its commands."""
    plain = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    return whyledger(REPOSITORY, *command, "--help", **plain).stdout


def test_every_module_and_folder_that_prose_names_exists() -> None:
    """`app/x.py`, `domain/y.py`, `tests/z/`: wherever a page says so in a code span."""
    folders = "app|domain|rules|tests|data|migrations|benchmarks|docs"
    pattern = re.compile(rf"(?:{folders})/[\w./-]*(?:\.(?:py|md|yaml)|/)")
    lost = [
        f"{name_of(page)}: {span}"
        for page in PAGES
        for span in spans(read(page))
        if pattern.fullmatch(span) and not (REPOSITORY / span).exists()
    ]

    assert lost == []


def test_the_readme_maps_every_folder_of_the_code() -> None:
    """A package of the service that the map forgets is one a newcomer does not find."""
    table = read("README.md").split("## The code")[1].split("##")[0]
    packages = {f"app/{found.name}/" for found in pkgutil.iter_modules(app.__path__) if found.ispkg}
    spoken_of = set(spans(table))

    assert {"domain/", "rules/", "app/", "data/", "migrations/", "tests/"} <= spoken_of
    assert packages - {"app/cli/commands/"} <= spoken_of  # the command line is part of `app/`


def test_the_readme_keeps_a_place_for_the_demos_real_output() -> None:
    text = read("README.md")

    for place in ("demo output", "page"):
        begins, ends = (text.index(f"<!-- {place} {end} -->") for end in ("begins", "ends"))
        assert begins < ends
