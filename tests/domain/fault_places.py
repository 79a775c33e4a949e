"""Documents with a strange key or value anywhere in them, and where a JSON pointer leads."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from domain.faults import Fault

KEYS = st.text('a/~01" é', max_size=4) | st.sampled_from(["/", "~", "~1", "a/b", "~0/~1", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text("a/~", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def broken(draw: st.DrawFn, document: Any, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """`document` with one to three things put in, put in place of another, or taken out."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        here = draw(st.sampled_from(_containers(changed)))
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        what = draw(st.sampled_from(["put in", "replace", "take out"]))
        if what == "put in" and isinstance(here, dict):
            here[draw(KEYS)] = draw(values)
        elif keys and what == "take out":
            del here[draw(st.sampled_from(keys))]
        elif keys:
            here[draw(st.sampled_from(keys))] = draw(values)
    return changed


def leads_nowhere(fault: Fault, document: Any) -> bool:
    """Whether the fault's JSON pointer (RFC 6901) leads to nothing in `document`.

    To where a missing member of an object belongs is somewhere, when the fault has no value.
    """
    if fault.path and not fault.path.startswith("/"):
        return True
    here = document
    steps = [s.replace("~1", "/").replace("~0", "~") for s in fault.path.split("/")[1:]]
    for number, step in enumerate(steps, start=1):
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and step.isdecimal() and int(step) < len(here):
            here = here[int(step)]
        else:
            absent = isinstance(here, dict) and number == len(steps) and fault.value is None
            return not absent
    return False


def _containers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in _containers(item))]
    if isinstance(value, list):
        return [value, *(found for item in value for found in _containers(item))]
    return []
