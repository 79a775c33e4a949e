from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import RequestInvalid
from domain.times import (
    are_normal_times,
    days_between,
    format_time,
    hours_between,
    mid_year,
    normalise_time,
    parse_time,
)

times = st.datetimes(timezones=st.just(UTC))


@given(times)
def test_a_time_written_and_read_is_the_same_time(time: datetime) -> None:
    text = format_time(time)
    assert parse_time(text) == time
    assert len(text) == len("1976-07-01T00:00:00.000000Z")


@given(times, times)
def test_the_order_of_the_texts_is_the_order_of_the_times(a: datetime, b: datetime) -> None:
    assert (format_time(a) < format_time(b)) == (a < b)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1976-07-01T00:00:00Z", "1976-07-01T00:00:00.000000Z"),
        ("1976-07-01T23:59:59.000001Z", "1976-07-01T23:59:59.000001Z"),
        ("1976-07-01t00:00:00.5z", "1976-07-01T00:00:00.500000Z"),
        ("1976-07-01 02:00:00.123456+02:00", "1976-07-01T00:00:00.123456Z"),
        ("1976-07-01T00:00:00.1234567Z", "1976-07-01T00:00:00.123456Z"),
        ("1976-07-01T00:00:00.999999999Z", "1976-07-01T00:00:00.999999Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ("2017-01-01T00:59:60.5+01:00", "2017-01-01T00:00:00.500000Z"),
        ("1975-12-31T23:30:00-01:00", "1976-01-01T00:30:00.000000Z"),
    ],
)
def test_times_are_brought_to_utc_with_six_decimals(text: str, normal: str) -> None:
    assert normalise_time(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1976",
        "1976-07-01",
        "1976-07-01T00:00:00",
        "1976-02-30T00:00:00Z",
        "1976-07-01T25:00:00Z",
        "1976-07-01T00:00:60Z",
        "2016-12-30T23:59:60Z",
        "9999-12-31T23:59:60Z",
        "1976-07-01T00:00:00.1234567890Z",
        "1976-07-01T00:00:00.Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:00:00-02:00",
        "19760701T000000Z",
        "yesterday",
        "x" * 1000,
    ],
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RequestInvalid, match="is not a time; write it like 1976-07-01T00:00:00Z"):
        parse_time(text)
    with pytest.raises(RequestInvalid):
        normalise_time(text)


def test_other_zones_are_written_in_utc_and_no_zone_is_refused() -> None:
    assert format_time(datetime(1976, 7, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == mid_year(
        1976
    )
    with pytest.raises(ValueError, match="has no time zone"):
        format_time(datetime(1976, 7, 1))  # noqa: DTZ001 what is refused here


def test_a_day_is_exactly_24_hours() -> None:
    assert hours_between("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z") == 24.0
    assert days_between("2024-01-01T00:00:00Z", "2024-01-02T12:00:00Z") == 1.5
    assert hours_between("2024-01-02T00:00:00.000001Z", "2024-01-02T00:00:00Z") < 0


AT = "1976-07-01T00:00:00.000000Z"
NEARLY = st.sampled_from(
    [
        "1976-02-30T00:00:00.000000Z",
        "0000-07-01T00:00:00.000000Z",
        "1976-07-01T24:00:00.000000Z",
        "1976-07-01T23:60:00.000000Z",
        "1976-07-01T23:59:60.000000Z",
        "1976-07-01T00:00:00.000000z",
        "1976-07-01T00:00:00Z",
        f"{AT}\n",
        f"{AT}\n{AT}",
        "",
    ]
)


def is_normal(text: str) -> bool:
    try:
        return normalise_time(text) == text
    except RequestInvalid:
        return False


@given(st.lists(times.map(format_time), max_size=3), st.lists(NEARLY, max_size=1))
def test_times_are_looked_at_together_as_each_is_by_itself(
    normal: list[str], nearly: list[str]
) -> None:
    for texts in (normal, nearly, normal + nearly, nearly + normal):
        assert are_normal_times(texts) == all(map(is_normal, texts))
