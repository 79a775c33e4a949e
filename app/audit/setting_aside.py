"""Cycles that a later one set aside, in words: by whom, whom, why, and how many."""

from __future__ import annotations

from collections.abc import Sequence

from domain.events.verdicts import in_words


def set_aside_sentence(by: str | None, reason: str | None) -> str:
    """By whom a cycle was set aside, and why; empty when it was not.

    >>> set_aside_sentence("car-price-13", "the clock ran ahead.")
    'Set aside by car-price-13: the clock ran ahead.'
    """
    return f"Set aside by {by}{_because(reason)}." if by is not None else ""


def sets_aside_sentence(who: str, cycles: Sequence[str], reason: str | None) -> str:
    """Which cycles `who` set aside, and why; empty when it set none aside.

    >>> sets_aside_sentence("car-price-13", ["car-price-11", "car-price-12"], "the clock ran ahead")
    'car-price-13 set aside car-price-11 and car-price-12: the clock ran ahead.'
    """
    return f"{who} set aside {in_words(tuple(cycles))}{_because(reason)}." if cycles else ""


def not_counted(cycles: int) -> str:
    """How many cycles of a model were set aside; empty when none was.

    >>> not_counted(1), not_counted(2), not_counted(0)
    ('1 cycle set aside, not counted', '2 cycles set aside, not counted', '')
    """
    if not cycles:
        return ""
    return f"{cycles} {'cycle' if cycles == 1 else 'cycles'} set aside, not counted"


def _because(reason: str | None) -> str:
    return f": {reason.removesuffix('.')}" if reason else ""
