"""The one rule for text, whichever door it comes in by: JSON, CSV or a contract.

Text is kept in Unicode's NFC, so that an `é` typed in two ways is one category, and every sign of
it is printable, so that no two values look alike on a page or in a terminal.
"""

from __future__ import annotations

from typing import Final
from unicodedata import is_normalized, name, normalize

TEXT_LENGTH_MAX: Final = 200  # characters of a text value or a category, after NFC
_SHORTENED_MAX: Final = 4  # characters that NFC makes one
BIN_LABELS: Final = frozenset({"(missing)", "(new)", "(other)"})  # of the drift bins themselves


def composed(text: str) -> str:
    """`text` in Unicode's NFC; as it is where it is too long in any form.

    Putting a long run of marks in order takes time with the square of its length.

    >>> composed("Cafe\\u0301")
    'Café'
    """
    if text.isascii() or len(text) > TEXT_LENGTH_MAX * _SHORTENED_MAX:
        return text
    return text if is_normalized("NFC", text) else normalize("NFC", text)


def text_refused(text: str) -> str | None:
    """Why `text` (in NFC) is no value we keep, with the remedy; None when it is one.

    >>> text_refused("A\\u200bB")
    'holds U+200B (ZERO WIDTH SPACE), which is not printable; remove it'
    """
    if 1 <= len(text) <= TEXT_LENGTH_MAX and text.isprintable():
        return None
    if not text:
        return f"is empty; send 1 to {TEXT_LENGTH_MAX} characters, or null"
    if len(text) > TEXT_LENGTH_MAX:
        return f"has {len(text)} characters; send at most {TEXT_LENGTH_MAX}"
    return f"holds {unprintable(text)}, which is not printable; remove it"


def unprintable(text: str) -> str | None:
    """The first sign of `text` that is not printable, by its code point; None without one.

    >>> unprintable("a\\tb"), unprintable("ab")
    ('U+0009', None)
    """
    sign = next((sign for sign in text if not sign.isprintable()), None)
    return None if sign is None else code_point(sign)


def code_point(sign: str) -> str:
    """`sign` as people look it up: its code point, and its name where it has one."""
    named = name(sign, "")
    return f"U+{ord(sign):04X}" + (f" ({named})" if named else "")
