"""How many fields a body names is counted without reading it, and never too many."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from app.intake.names_sent import (
    NAMES_MAX,
    names_in,
    too_many_names_of_events,
    too_many_names_of_rows,
)

TEXTS = st.text(st.sampled_from('a":\\ {,\n'), max_size=5) | st.sampled_from(['":', '\\":', "\\"])
DOCUMENTS = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def names_and_texts_of(document: Any) -> int:
    if isinstance(document, dict):
        return len(document) + sum(map(names_and_texts_of, document.values()))
    if isinstance(document, list):
        return sum(map(names_and_texts_of, document))
    return int(isinstance(document, str))


@example({"a": 1, "b": {"c": [{"d": 2}]}}, None)
@example({'":': '":"'}, 1)
@given(DOCUMENTS, st.sampled_from([None, 1]))
def test_no_more_names_are_counted_than_there_are(document: Any, indent: int | None) -> None:
    for separators in ((",", ":"), (", ", " : ")):
        body = json.dumps(document, indent=indent, separators=separators).encode()
        assert 0 <= names_in(body) <= names_and_texts_of(document)


def event(names: int) -> dict[str, Any]:
    data = {f"f{number}": 1 for number in range(names)}
    return {"specversion": "1.0", "id": "1", "source": "/", "type": "t", "data": data}


def test_a_body_may_name_as_many_fields_as_its_events_may_have() -> None:
    few, many = event(NAMES_MAX - 5), event(NAMES_MAX)
    assert too_many_names_of_events(json.dumps(few, separators=(",", ":")).encode(), 1) is None
    body = json.dumps(many, separators=(",", ":")).encode()
    assert too_many_names_of_events(body, 1000) == (
        f"the body names {NAMES_MAX + 5} fields; send at most {NAMES_MAX} in an event"
    )
    both = json.dumps([many, event(2)], separators=(",", ":")).encode()
    assert too_many_names_of_events(both, 1000) is None
    assert too_many_names_of_events(both, 1) is not None
    assert too_many_names_of_events(body.replace(b"f1", b"\\u00661", 1), 1) is None, (
        "names may be escaped"
    )


def test_a_body_may_name_as_many_fields_as_its_rows_may_have() -> None:
    def body(*rows: int) -> bytes:
        named = [{f"f{number}": 1 for number in range(names)} for names in rows]
        return json.dumps({"model": "m", "rows": named}, separators=(",", ":")).encode()

    assert too_many_names_of_rows(body(NAMES_MAX - 2), 1000) is None
    said = f"the body names {NAMES_MAX + 1} fields; send at most {NAMES_MAX} in a row"
    assert too_many_names_of_rows(body(NAMES_MAX - 1), 1000) == said
    assert too_many_names_of_rows(body(NAMES_MAX, 2), 1000) is None
    assert too_many_names_of_rows(body(NAMES_MAX, 2), 1) is not None
    assert too_many_names_of_rows(body(NAMES_MAX).replace(b"f1", b"\\u00661", 1), 1) is not None
