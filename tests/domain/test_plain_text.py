"""The one rule for text."""

from __future__ import annotations

from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from domain.plain_text import TEXT_LENGTH_MAX, composed, text_refused


@given(st.text(max_size=250))
def test_text_that_is_kept_is_short_printable_and_composed_and_the_rest_says_why(text: str) -> None:
    kept = composed(text)
    refused = text_refused(kept)
    assert kept == composed(kept) == normalize("NFC", text)
    assert (refused is None) == (1 <= len(kept) <= 200 and kept.isprintable())
    assert refused is None or ";" in refused


def test_text_that_is_too_long_in_any_form_is_not_put_in_order() -> None:
    marks = "a" + "\u0301\u0316" * TEXT_LENGTH_MAX * 2
    assert composed(marks) == marks, "it takes time with the square of the marks"
    assert composed("e\u0301" * TEXT_LENGTH_MAX) == "é" * TEXT_LENGTH_MAX
    longest = "\u03b1\u0313\u0301\u0345" * TEXT_LENGTH_MAX  # no sign of NFC has more parts
    assert len(composed(longest)) == TEXT_LENGTH_MAX
