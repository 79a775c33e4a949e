"""A message says what is wrong and then what to do, behind a stop or a semicolon."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from domain import errors
from tests.repository import REPOSITORY

SOURCES = [
    path for package in ("app", "rules", "domain") for path in (REPOSITORY / package).rglob("*.py")
]
# Findings about what others made, and commands that pass on what was said to them.
EXEMPT = {"ProofInvalid", "CommandRefused", "ArgumentInvalid"}
# What ends with another's words ends with their remedy.
PASSED_ON = re.compile(r"(: |^\w* ?)(\{\}\W*)+$")
REMEDY = re.compile(r"[.;] +\S")


def errors_of(trees: list[ast.Module]) -> set[str]:
    """The names of our error classes, wherever they stand."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = {errors.WhyledgerError.__name__}
    while True:
        more = {
            c.name for c in classes if {b.id for b in c.bases if isinstance(b, ast.Name)} & found
        }
        if more <= found:
            return found
        found |= more


def messages(tree: ast.Module, kinds: set[str]) -> Iterator[tuple[int, str]]:
    """Line and text of every message that is made of one of `kinds`; `{}` for what is filled in."""
    for outer in ast.walk(tree):
        own = isinstance(outer, ast.ClassDef) and outer.name in kinds
        for node in ast.walk(outer) if own else [outer]:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            if node.func.id in kinds or (own and node.func.id == "cls"):
                text = text_of(node.args[0])
                if text is not None:
                    yield node.lineno, text


def text_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
        )
    return None


def lacking(text: str) -> bool:
    """Whether it neither says what to do nor passes on who does."""
    return not REMEDY.search(text) and not PASSED_ON.search(text)


def test_every_refusal_says_what_to_do() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
    kinds = errors_of(list(trees.values())) - EXEMPT

    said = {
        (path.relative_to(REPOSITORY).as_posix(), line, text)
        for path, tree in trees.items()
        for line, text in messages(tree, kinds)
    }

    assert len(said) > 100
    assert not [each for each in sorted(said) if lacking(each[2])]


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("model {} has a cycle and no read model.", True),
        ("{} is not JSON: {} at line {}, column {}.", True),
        ("the head of the tree is missing", True),
        ("the ledger has no entry {}. Its size is {}; ask for a position below it.", False),
        ("a reference has {} rows; give one value a row", False),
        ("{}.", False),
        ("the document has {} faults: {}.", False),
    ],
)
def test_a_message_without_a_remedy_is_found(text: str, lacks: bool) -> None:
    assert lacking(text) is lacks
