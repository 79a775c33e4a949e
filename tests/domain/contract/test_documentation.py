"""docs/contract.md names every field of a contract, with bounds and meaning, and no other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from domain.contract.contract import Contract
from tests.repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "contract.md"
SCHEMA = Contract.model_json_schema(by_alias=True)
MODELS: dict[str, dict[str, Any]] = {"Contract": SCHEMA, **SCHEMA["$defs"]}


def number(value: float) -> str:
    names = {2**53 - 1: "2^53 − 1", 1 - 2**53: "−(2^53 − 1)", 2**32 - 1: "2^32 − 1"}
    return names.get(int(value), f"{value:,.10g}")


def bounds(schema: dict[str, Any], what: str) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "maximum": "≤"}
    said = [f"{sign} {number(schema[key])}" for key, sign in signs.items() if key in schema]
    return f"{what} {' and '.join(said)}".strip()


def values(schema: dict[str, Any]) -> str:  # noqa: PLR0911 one a kind
    """What a field may hold, in words."""
    match schema:
        case {"const": constant}:
            return f"`{constant}`"
        case {"enum": choices}:
            return ", ".join(f"`{choice}`" for choice in choices)
        case {"$ref": reference}:
            name = reference.rsplit("/", 1)[1]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": members} | {"oneOf": members}:
            return " or ".join(values(member) for member in members)
        case {"type": "array", "items": items, **rest}:
            fewest, most = rest.get("minItems", 0), rest.get("maxItems")
            return f"{fewest} to {most} of: {values(items)}"
        case {"type": "string", "pattern": pattern}:
            return f"text like `{pattern}`"
        case {"type": "string", **rest}:
            most = rest.get("maxLength")
            return f"text, {rest['minLength']} to {most} characters" if most else "text"
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"type": "null"}:
            return "null"
        case {"type": "integer" | "number" as kind}:
            return bounds(schema, kind)
        case _:
            raise AssertionError(f"say how to write {schema}")


def default(name: str, model: dict[str, Any]) -> str:
    if name in model.get("required", ()):
        return "required"
    value = model["properties"][name].get("default")
    if value in ([], {}) or isinstance(value, dict):
        return "none"
    return "null" if value is None else f"`{str(value).lower()}`"


def row(name: str, model: dict[str, Any]) -> str:
    schema = model["properties"][name]
    held = values(schema).replace("|", "\\|")
    return f"| `{name}` | {held} | {default(name, model)} | {schema['description']} |"


def section(name: str) -> str:
    model = MODELS[name]
    rows = "\n".join(row(field, model) for field in model["properties"])
    return (
        f"### {name}\n\n{model['description']}\n\n"
        f"| Field | Values | Default | Meaning |\n| --- | --- | --- | --- |\n{rows}\n"
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_page_says_every_field_with_its_bounds_default_and_meaning(name: str) -> None:
    assert section(name) in PAGE.read_text(encoding="utf-8")


def test_the_page_says_no_field_that_is_gone() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == list(MODELS)
