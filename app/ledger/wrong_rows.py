"""What code raises over a row that cannot be: text for a number, no JSON, a key that is taken."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

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
