"""What pydantic found in a document, in our words: where, what stands there, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from domain.faults import Fault, is_scalar, pointer, shown

_REMEDIES: Final[Mapping[str, str]] = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct its spelling",
    "literal_error": "choose one of those",
    "union_tag_invalid": "choose one of those",
    "union_tag_not_found": "add it",
    "value_error": "",  # our own validators say it themselves
}
_UNIONS: Final = ("features", "transformers", "steps", "estimator")  # fields that hold a union,
_TAGS: Final = ("type", "kind")  # whose members one of these tells apart
_UNSHOWN: Final = ("missing", "extra_forbidden")


def reported_faults(
    found: Iterable[Mapping[str, Any]],
    document: object,
    *,
    below: str = "",
    remedies: Mapping[str, str] = _REMEDIES,
) -> list[Fault]:
    """What pydantic found in `document`, each with its JSON pointer, its value and a remedy.

    One fault a place: what the members of a union say of one value is joined by "or".

    Args:
        found: what `errors()` of its error gives; with `include_input=False` no value is shown.
        document: what was validated, as it was sent.
        below: the JSON pointer of `document` itself.
        remedies: words for some of pydantic's types of error, in place of ours.
    """
    said: dict[str, tuple[list[str], str, object]] = {}
    for each in found:
        kind, value = each["type"], None if each["type"] == "missing" else each.get("input")
        path = pointer(*_steps(each["loc"], document, kind == "missing"), below=below)
        words = _wording(kind, each["msg"], each.get("ctx", {}))
        if path not in said and kind not in _UNSHOWN and "input" in each and is_scalar(value):
            words = f"{shown(value)}{'' if kind == 'value_error' else ':'} {words}"
        remedy = remedies.get(kind, _REMEDIES.get(kind, "correct it"))
        said.setdefault(path, ([], remedy, value))[0].append(words)
    return [
        Fault(path, " or ".join(words) + (f"; {remedy}" if remedy else ""), value)
        for path, (words, remedy, value) in said.items()
    ]


def _wording(kind: str, message: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a known field"
        case "union_tag_invalid":
            return f"its {context['discriminator']} should be one of {context['expected_tags']}"
        case "union_tag_not_found":
            return f"its {context['discriminator']} is missing"
        case _:
            return message.removeprefix("Value error, ").replace("Input should", "should")


def _steps(location: tuple[int | str, ...], document: Any, missing: bool) -> list[int | str]:
    """pydantic's location as steps into `document`: it names members of unions too, we do not."""
    steps: list[int | str] = []
    here, field = document, ""
    for index, step in enumerate(location):
        tag = field in _UNIONS and isinstance(here, Mapping) and step in map(here.get, _TAGS)
        field = step if isinstance(step, str) else field
        if _holds(here, step) and not tag:
            here = here[step]
        elif missing and index == len(location) - 1 and isinstance(here, Mapping):
            here = None
        else:
            continue  # the name of a union's member: "ridge" in /estimator/ridge/alpha
        steps.append(step)
    return steps


def _holds(value: Any, step: int | str) -> bool:
    if isinstance(value, list | tuple):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, Mapping) and step in value
