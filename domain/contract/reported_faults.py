"""What pydantic found in a contract document, in our words: where, what is there, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from domain.errors import Fault

_REMEDIES: Final = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct its spelling; docs/contract.md lists every field",
    "literal_error": "choose one of those",
    "union_tag_invalid": "choose one of those",
    "union_tag_not_found": "add it",
    "string_pattern_mismatch": "choose a name that does",
    "value_error": "",
}


def reported_faults(error: ValidationError, document: object) -> list[Fault]:
    """What pydantic found, each with its JSON pointer into `document`, its value and a remedy.

    One fault a place: what the members of a union say of one value is joined by "or".
    """
    said: dict[str, tuple[list[str], str, object]] = {}
    for found in error.errors(include_url=False):
        path = _pointer(found["loc"], document)
        kind, value = found["type"], None if found["type"] == "missing" else found["input"]
        words = _wording(kind, found["msg"], found.get("ctx", {}))
        if kind not in ("missing", "extra_forbidden"):
            words = f"{short(value)}: {words}" if path not in said else words
        said.setdefault(path, ([], _REMEDIES.get(kind, "correct it"), value))[0].append(words)
    return [
        Fault(path, " or ".join(words) + (f"; {remedy}" if remedy else ""), value)
        for path, (words, remedy, value) in said.items()
    ]


def _wording(kind: str, message: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field"
        case "union_tag_invalid":
            return f"its {context['discriminator']} should be one of {context['expected_tags']}"
        case "union_tag_not_found":
            return f"its {context['discriminator']} is missing"
        case _:
            return message.removeprefix("Value error, ").replace("Input should", "should")


def _pointer(location: tuple[int | str, ...], document: object) -> str:
    """The JSON pointer of pydantic's location, without the names of union members in it."""
    parts: list[str] = []
    here = document
    for index, part in enumerate(location):
        if isinstance(here, list | tuple) and isinstance(part, int):
            here = here[part]
        elif not isinstance(here, Mapping):
            continue  # the name of a scalar's union member, or a transformer given by name alone
        elif part in here or index == len(location) - 1:
            here = here.get(part)
        else:
            continue  # the tag of a union: "ridge" in /estimator/ridge/alpha
        parts.append(str(part).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{part}" for part in parts)


def short(value: object) -> str:
    """`value` in at most 80 characters, for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"  # noqa: PLR2004 one line of a message
