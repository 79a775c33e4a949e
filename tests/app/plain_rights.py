"""Root may pass over modes and owners: what lays that right down for a while."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_VERSION: Final = 0x20080522  # of the call: two words of 32 rights each
_PASS_OVER: Final = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_SET_SECUREBITS: Final = 28
_ROOT_GAINS_NOTHING: Final = 1  # when it executes a program


@contextmanager
def plain_rights() -> Iterator[None]:
    """Modes count for this thread, and for the threads and processes that it starts meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; of low rights, then high
    _call("capget", header, words)
    words[0] &= ~_PASS_OVER
    _call("capset", header, words)
    _call("prctl", _SET_SECUREBITS, _ROOT_GAINS_NOTHING)
    try:
        yield
    finally:
        _call("prctl", _SET_SECUREBITS, 0)
        words[0] |= words[1] & _PASS_OVER
        _call("capset", header, words)


def _call(name: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), name)
