"""Pages lead where they say, name what exists, and their examples run."""

import doctest
import json
import pkgutil
import re
from pathlib import Path
from typing import cast

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

import app
from app.cli.main import app as program
from tests.docs.markdown import PAGES, anchors, blocks, links, name_of, read, spans
from tests.repository import REPOSITORY

COMMANDS = cast("TyperGroup", get_command(program)).commands
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users|tmp)/")


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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_option_a_page_names_exists(page: Path) -> None:
    for command, line in called([*lines_to_type(page), *spans(read(page))]):
        options = {name for option in COMMANDS[command].params for name in option.opts}
        options |= {name for option in COMMANDS[command].params for name in option.secondary_opts}

        assert set(re.findall(r"--[a-z-]+", line)) <= options, line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_line_to_type_has_the_options_its_command_asks_for(page: Path) -> None:
    for command, line in called(lines_to_type(page)):
        for option in COMMANDS[command].params:
            if option.required and option.param_type_name == "option":
                assert set(option.opts) & set(line.split()), f"{line} lacks {option.opts}"


def lines_to_type(page: Path) -> list[str]:
    """The lines of the page's shell blocks, those that go on on the next one joined."""
    return [
        line
        for block in blocks(read(page), "sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]


def called(lines: list[str]) -> list[tuple[str, str]]:
    """Those that call `whyledger`, each behind the command it names."""
    return [(found[1], line) for line in lines if (found := re.match(r"whyledger ([a-z]+)", line))]


def test_every_module_and_folder_that_prose_names_exists() -> None:
    """`app/x.py`, `domain/y.py`, `tests/z/`: wherever a page says so in a code span.

    A decision superseded in part keeps its text, and may name what is gone.
    """
    folders = "app|domain|rules|tests|data|migrations|benchmarks|docs"
    pattern = re.compile(rf"(?:{folders})/[\w./-]*(?:\.(?:py|md|yaml)|/)")
    lost = [
        f"{name_of(page)}: {span}"
        for page in PAGES
        for span in spans(read(page))
        if "Superseded in part by" not in read(page)
        and pattern.fullmatch(span)
        and not (REPOSITORY / span).exists()
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
