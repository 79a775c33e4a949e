"""What code raises over a row that cannot be: text for a number, no JSON, a key that is taken."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from app.clock import monotonic_seconds

# A wrong row is met wherever it is used, and by then it is one of these. That they may also be a
# mistake of ours, who compares read models with the ledger finds out.
OVER_WRONG_ROWS: Final = (
    ArithmeticError,
    AttributeError,
    DataError,
    IntegrityError,
    LookupError,
    ProgrammingError,
    TypeError,
    ValueError,
)
AGAIN_SECONDS: Final = 300.0


class FoldingAnew:
    """Whether to fold read models anew, which costs as much as there are entries.

    Where it did not help, it is an entry that does not fit, and the next try would end as the last.
    Whoever sends such an entry again and again may not have all of the ledger folded each time.
    """

    def __init__(self) -> None:
        self._not_before = 0.0

    def may_help(self) -> bool:
        """Whether the last try helped, or is `AGAIN_SECONDS` ago."""
        return monotonic_seconds() >= self._not_before

    def did_not_help(self) -> None:
        """What was folded anew does not fit either."""
        self._not_before = monotonic_seconds() + AGAIN_SECONDS
