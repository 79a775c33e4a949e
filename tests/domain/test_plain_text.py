"""The one rule for text."""

from __future__ import annotations

from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from domain.plain_text import composed, text_refused


@given(st.text(max_size=250))
def test_text_that_is_kept_is_short_printable_and_composed_and_the_rest_says_why(text: str) -> None:
    kept = composed(text)
    refused = text_refused(kept)
    assert kept == composed(kept) == normalize("NFC", text)
    assert (refused is None) == (1 <= len(kept) <= 200 and kept.isprintable())
    assert refused is None or ";" in refused
