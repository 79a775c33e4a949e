"""What clients send, in general: declared fields and no others, times and names in one form."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from domain.times import normalise_time

_DIGITS: Final = re.compile(r"-?[0-9]+")


class Sent(BaseModel):
    """A body or a query. A field it does not declare is refused: a misspelt filter is no filter."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Sent):
    """The query of a route that takes none."""


def _plain(text: str) -> str:
    """`text` for a database, none of which may be asked for NUL."""
    return text.replace("\0", "�")


def _in_digits(value: object) -> object:
    """A number in a URL has one spelling: pydantic would take `1_0`, `+1` and `1.0` as well."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("should be a whole number in digits")
    return value


Whole = Annotated[int, BeforeValidator(_in_digits)]  # in a query or a path
Time = Annotated[str, Field(max_length=64), AfterValidator(normalise_time)]  # RFC 3339, made UTC
Name = Annotated[str, Field(max_length=100), AfterValidator(_plain)]
# What a person says: blanks alone are no reason.
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
