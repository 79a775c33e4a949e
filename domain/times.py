"""Times as text: UTC, exactly six decimals and `Z`, so the texts sort as the times do."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Final

from domain.errors import RequestInvalid

_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:([0-9]{2})(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_NEARLY_OURS: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(\.[0-9]{6})?Z"
)
_ONE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
_OURS: Final = re.compile(rf"{_ONE}(?:\n{_ONE})*+")
_BREAK: Final = "\n"
_LENGTH: Final = len("1976-07-01T00:00:00.000000Z")
_DAY: Final = len("1976-07-01")
_LEAP: Final = "60"  # the second that is put in at the end of some months


def parse_time(text: str) -> datetime:
    """The aware UTC time an RFC 3339 text names.

    Of one to nine decimals those beyond the sixth are cut off. A leap second, which clocks here do
    not know, is the second after it.

    Raises:
        RequestInvalid: no such time, no offset, or more than nine decimals.

    >>> parse_time("1976-07-01T02:00:00.123456789+02:00").isoformat()
    '1976-07-01T00:00:00.123456+00:00'
    >>> parse_time("2016-12-31T23:59:60Z").isoformat()
    '2017-01-01T00:00:00+00:00'
    """
    found = _RFC_3339.fullmatch(text)
    if found:
        try:
            if found[1] != _LEAP:
                return datetime.fromisoformat(text.upper()).astimezone(UTC)
            second = text[: found.start(1)] + "59" + text[found.end(1) :]
            after = datetime.fromisoformat(second.upper()).astimezone(UTC) + timedelta(seconds=1)
            if (after.day, after.hour, after.minute) == (1, 0, 0):
                return after
        except (ValueError, OverflowError):
            pass  # 30 February, hour 25, an offset that leaves year 1 or 9999
    raise RequestInvalid(
        f"{text[:100]!r} is not a time; write it like 1976-07-01T00:00:00Z, with an offset and at "
        "most nine decimals."
    )


def format_time(time: datetime) -> str:
    """`time` (aware) as UTC text with exactly six decimals and `Z`.

    >>> format_time(datetime(1976, 7, 1, tzinfo=UTC))
    '1976-07-01T00:00:00.000000Z'
    """
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} has no time zone; give it one")
    text = time.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def normalise_time(text: str) -> str:
    """`text` (RFC 3339) in our one form. Raises RequestInvalid as `parse_time` does."""
    found = _NEARLY_OURS.fullmatch(text)
    if found is not None:  # as most times come, by the thousand
        try:
            datetime.fromisoformat(found[1])
        except ValueError:
            pass  # 30 February
        else:
            return text if found[2] else f"{found[1]}.000000Z"
    return format_time(parse_time(text))


def are_normal_times(texts: Collection[str]) -> bool:
    """Whether each is a time in our one form: `normalise_time` gives it back.

    Of many most share their days, so that only days are held to a calendar.
    """
    together = _BREAK.join(texts)
    if not _OURS.fullmatch(together) or together.count(_BREAK) >= len(texts):
        return not texts
    starts = range(0, len(together), _LENGTH + len(_BREAK))
    try:
        for day in {together[at : at + _DAY] for at in starts}:
            date.fromisoformat(day)
    except ValueError:
        return False  # 30 February
    return True


def mid_year(year: int) -> str:
    """1 July of `year` (1 to 9999), 00:00 UTC: the event time of a row that knows only its year.

    >>> mid_year(1976)
    '1976-07-01T00:00:00.000000Z'
    """
    return f"{year:04d}-07-01T00:00:00.000000Z"


def just_after(time: str) -> str:
    """The next time there is, a microsecond later: the exclusive end of what ends with `time`.

    >>> just_after("1975-07-01T00:00:00.000000Z")
    '1975-07-01T00:00:00.000001Z'
    """
    return format_time(parse_time(time) + timedelta(microseconds=1))


def hours_between(earlier: str, later: str) -> float:
    """Hours from `earlier` to `later`, negative when they are swapped; a day is exactly 24.0."""
    return (parse_time(later) - parse_time(earlier)) / timedelta(hours=1)


def days_between(earlier: str, later: str) -> float:
    """Days of 24 hours from `earlier` to `later`, negative when they are swapped."""
    return (parse_time(later) - parse_time(earlier)) / timedelta(days=1)
