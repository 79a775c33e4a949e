"""JSON as somebody may make it of what was written: values, names and signs exchanged."""

from __future__ import annotations

import re
from typing import Final

from hypothesis import strategies as st

_TOKEN: Final = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[-0-9.eE+]+|true|false|null|[][{},:\n]')
_OTHERS: Final = (
    *(b"5", b"5.0", b"5.5", b"-0", b"1e2", b"1e400", b"01", b"NaN", b"true", b"null", b"2"),
    *(b"9007199254740992", b"-9007199254740993", b"18446744073709551615", b"18446744073709551617"),
    *(b"-9223372036854775809", b"123456789012345678901234567890", b"1" * 5000, b"1E-400"),
    *(b'""', b'"x"', b'"1"', b'"\\u0000"', b'"\\\\u0000"', b'"\\ud800"', b'"\xff"', b'"\x01"'),
    *(b"[]", b'["a"]', b"{}", b'{"a":1,"a":"b"}', b"[" * 2000, b'{"a":' * 70 + b"1" + b"}" * 70),
    *(b'"data"', b'"data_commit"', b'"row"', b'"extensions"', b'"type"', b'"v"', b" ", b",", b"}"),
    *(b"[", b"]", b'"', b"],[", b"\n", b"],\n[", b'"]\n["', b"1970.0", b'"1970-01-01"'),
)


@st.composite
def tampered(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes with some of their values, names or signs taken away, repeated or exchanged."""
    tokens = _TOKEN.findall(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(tokens) - 1))
        until = draw(st.sampled_from([at, at, at, at + 1, at + 1, at + 4]))
        put = draw(st.sampled_from(_OTHERS) | st.sampled_from(tokens))
        again = tokens[at : at + 4] if draw(st.booleans()) else []
        tokens[at:until] = [put, *again] if draw(st.booleans()) else again or [put]
    return b"".join(tokens)
