from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contract.contract import DriftWindow, parse_contract
from domain.contract.window import check_window, halt_reason, window_start
from domain.errors import ContractInvalid
from domain.events.events import Row
from domain.events.findings import WindowCheck
from domain.packed import Value
from domain.times import format_time
from tests.domain.kettles import GUARD, KETTLES, ROW, kettle_document

reason_of = partial(halt_reason, refused_rows=0, received_rows=1)  # nothing was refused


def window(*changes: dict[str, Any]) -> list[Row]:
    return GUARD.check_rows([{**ROW, "idle": None, **change} for change in changes], labelled=False)


def columns(rows: list[Row]) -> dict[str, list[Value]]:
    """The same rows by columns."""
    return {name: [row[name] for row in rows] for name in KETTLES.feature_names}


def check(rows: list[Row], subject: str, statistic: str, **counts: int) -> WindowCheck:
    checks = check_window(
        KETTLES,
        columns(rows),
        refused_rows=counts.get("refused_rows", 0),
        received_rows=counts.get("received_rows", len(rows)),
    )
    (found,) = [c for c in checks if (c.subject, c.statistic) == (subject, statistic)]
    return found


@pytest.mark.parametrize(
    ("end", "window", "start"),
    [
        ("1977-01-01T00:00:00Z", {"years": 1}, "1976-01-01T00:00:00.000000Z"),
        ("2024-02-29T06:00:00Z", {"years": 1}, "2023-02-28T06:00:00.000000Z"),
        ("2024-03-31T00:00:00.5Z", {"months": 1}, "2024-02-29T00:00:00.500000Z"),
        ("2024-01-15T00:00:00Z", {"months": 13}, "2022-12-15T00:00:00.000000Z"),
        ("2024-03-01T00:00:00Z", {"days": 1}, "2024-02-29T00:00:00.000000Z"),
        ("0050-03-01T00:00:00Z", {"years": 100}, "0001-01-01T00:00:00.000000Z"),
        ("0001-01-02T00:00:00Z", {"days": 2}, "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_a_window_reaches_back_by_the_calendar(
    end: str, window: dict[str, int], start: str
) -> None:
    assert window_start(end, DriftWindow(**window)) == start


@given(st.datetimes(timezones=st.just(UTC)), st.integers(1, 1200))
def test_a_window_never_starts_after_its_end(end: datetime, months: int) -> None:
    text = format_time(end)
    assert window_start(text, DriftWindow(months=months)) <= text


def test_a_window_within_all_bounds_may_be_judged() -> None:
    checks = check_window(KETTLES, columns(window({}, {})), refused_rows=0, received_rows=2)
    assert all(c.passed for c in checks)
    assert reason_of(checks) == ""
    assert {(c.subject, c.statistic) for c in checks} == {
        ("rows", "refused_share"),
        ("power", "missing_share"),
        ("power", "mean"),
        ("tilt", "missing_share"),
        ("shape", "missing_share"),
        ("plug", "missing_share"),
        ("plug", "unlisted_share"),
    }


def test_a_mean_outside_its_bounds_halts_with_the_value_and_the_bounds() -> None:
    rows = window({"power": 4000}, {"power": 5000})
    found = check(rows, "power", "mean")
    assert (found.observed, found.low, found.high, found.passed) == (4500.0, 500, 3500, False)
    checks = check_window(KETTLES, columns(rows), refused_rows=0, received_rows=2)
    assert reason_of(checks) == "the mean of power is 4500, outside the plausible 500 to 3500"


@pytest.mark.parametrize(
    ("power", "passed"), [(499.9, False), (500, True), (3500, True), (3500.1, False)]
)
def test_the_bounds_themselves_are_plausible(power: float, passed: bool) -> None:
    assert check(window({"power": power}), "power", "mean").passed is passed


def test_a_mean_is_over_the_rows_that_have_a_value() -> None:
    found = check(window({"power": 1000}, {"power": None}), "power", "mean")
    assert found.observed == 1000


def test_too_many_missing_values_halt() -> None:
    rows = window({}, {}, {"power": None}, {"power": None})
    found = check(rows, "power", "missing_share")
    assert (found.observed, found.high, found.passed) == (0.5, 0.25, False)
    reason = reason_of(check_window(KETTLES, columns(rows), refused_rows=0, received_rows=4))
    assert reason == "the missing share of power is 0.5, above the plausible 0.25"


@pytest.mark.parametrize("missing", [7, 29, 57, 90])
def test_a_missing_share_is_the_number_that_a_contract_would_write(missing: int) -> None:
    """Given so many of 100 values missing, then the share is not the last bit above its bound."""
    rows = window(*[{"power": None}] * missing, *[{}] * (100 - missing))
    assert check(rows, "power", "missing_share").observed == float(f"0.{missing:02}")


def test_a_column_that_vanished_halts_though_it_has_no_mean() -> None:
    rows = window({"power": None})
    assert check(rows, "power", "mean").observed is None
    assert check(rows, "power", "mean").passed
    assert not check(rows, "power", "missing_share").passed


def test_too_many_refused_rows_halt_even_with_no_row_left() -> None:
    found = check([], "rows", "refused_share", refused_rows=3, received_rows=3)
    assert (found.observed, found.high, found.passed) == (1.0, 0.1, False)
    checks = check_window(KETTLES, columns([]), refused_rows=3, received_rows=3)
    assert halt_reason(checks, refused_rows=3, received_rows=3) == (
        "the refused share of received rows is 1 (3 of 3), above the plausible 0.1"
    )


def test_an_empty_window_has_nothing_to_halt_on() -> None:
    checks = check_window(KETTLES, columns([]), refused_rows=0, received_rows=0)
    assert all(c.observed is None and c.passed for c in checks)


def test_every_broken_bound_is_in_the_reason() -> None:
    rows = window({"power": 5000}, {"power": None})
    checks = check_window(KETTLES, columns(rows), refused_rows=1, received_rows=3)
    reason = halt_reason(checks, refused_rows=1, received_rows=3)
    assert reason.count("; ") == 2
    assert "refused share" in reason
    assert "missing share of power" in reason
    assert "mean of power" in reason


@pytest.mark.parametrize(("strange", "passed"), [(1, True), (2, False)])
def test_categories_that_are_not_listed_are_counted_and_have_a_bound(
    strange: int, passed: bool
) -> None:
    document = kettle_document()
    document["features"][3]["plausible"] = {"unlisted_share_max": 0.25}
    contract = parse_contract(document)
    rows = window(*[{"plug": 7}] * strange, *[{"plug": 1}] * (4 - strange))
    checks = check_window(contract, columns(rows), refused_rows=0, received_rows=4)
    (found,) = (each for each in checks if each.statistic == "unlisted_share")
    assert (found.subject, found.observed, found.passed) == ("plug", strange / 4, passed)
    said = "the share of plug that the contract does not list is 0.5, above the plausible 0.25"
    reason = halt_reason(checks, refused_rows=0, received_rows=4)
    assert reason == ("" if passed else said)
    earlier = check_window(contract, columns(rows), refused_rows=0, received_rows=4, unlisted=False)
    assert {each.statistic for each in earlier} == {"refused_share", "missing_share", "mean"}


def test_only_a_category_that_accepts_unknown_ones_bounds_them() -> None:
    document = kettle_document()
    document["features"][2]["plausible"] = {"unlisted_share_max": 0.25}
    with pytest.raises(ContractInvalid, match="only a category that accepts unknown ones has"):
        parse_contract(document)


@pytest.mark.parametrize(("labels", "passed"), [([50.0, 70.0], True), ([150.0], False), ([], True)])
def test_labels_have_plausible_bounds_as_features_have(labels: list[float], passed: bool) -> None:
    document = kettle_document()
    document["target"]["plausible"] = {"mean": {"min": 20, "max": 100}}
    *_, found = check_window(
        parse_contract(document),
        columns(window({})),
        labels=labels,
        refused_rows=0,
        received_rows=1,
    )
    assert (found.subject, found.statistic, found.passed) == ("noise", "mean", passed)
    assert (found.low, found.high) == (20, 100)
    assert found.observed == (sum(labels) / len(labels) if labels else None)


def test_what_broke_a_bound_is_never_rounded_onto_it() -> None:
    check = WindowCheck(
        subject="rows",
        statistic="refused_share",
        observed=0.100004,
        low=None,
        high=0.1,
        passed=False,
    )
    assert halt_reason([check], refused_rows=25_001, received_rows=250_000) == (
        "the refused share of received rows is 0.100004 (25,001 of 250,000), above the plausible "
        "0.1"
    )
    mean = WindowCheck(
        subject="hpwt", statistic="mean", observed=0.2499996, low=0.25, high=0.8, passed=False
    )
    assert halt_reason([mean], refused_rows=0, received_rows=1) == (
        "the mean of hpwt is 0.2499996, outside the plausible 0.25 to 0.8"
    )
