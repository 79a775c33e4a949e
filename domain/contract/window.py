"""The drift window: where it starts, and whether it looks like data before anything is concluded.

Every row may be possible and the window still wrong: a sensor that reports one value, a column in
another unit, a source that half fails. Outside its plausible bounds a cycle halts with the reason;
that is never "no drift".
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, cast

from domain.contract.contract import (
    CategoryFeature,
    Contract,
    DriftWindow,
    FeatureSpec,
    Last,
    NumberFeature,
)
from domain.events.findings import WindowCheck
from domain.events.verdicts import told_apart
from domain.packed import Packed, Value, pack
from domain.times import format_time, parse_time

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def window_start(end: str, window: DriftWindow) -> str:
    """The inclusive start of the window that ends (exclusive) at `end`.

    Years and months are calendar ones: a day that the earlier month lacks becomes its last day.
    Never before year 1.
    """
    moment = parse_time(end)
    if window.days is not None:
        reach = timedelta(days=window.days)
        return format_time(moment - reach if moment - _FIRST >= reach else _FIRST)
    months = window.months if window.months is not None else 12 * (window.years or 0)
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    if year < 1:
        return format_time(_FIRST)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return format_time(moment.replace(year=year, month=month + 1, day=day))


def stretch_start(as_of: str, stretch: Literal["all"] | Last) -> str:
    """The inclusive start of what lies in `stretch` before `as_of`; year 1 for all of it.

    >>> stretch_start("1977-01-01T00:00:00.000000Z", Last(last=DriftWindow(years=5)))
    '1972-01-01T00:00:00.000000Z'
    """
    return format_time(_FIRST) if stretch == "all" else window_start(as_of, stretch.last)


def check_window(
    contract: Contract,
    columns: Mapping[str, Iterable[Value]],
    *,
    labels: Iterable[float] = (),
    refused_rows: int,
    received_rows: int,
    unlisted: bool = True,
) -> tuple[WindowCheck, ...]:
    """Every plausible bound of the contract against the window's accepted rows, and its labels.

    `columns` has the values of each feature, None where missing; one is asked for at a time, once,
    and forgotten before the next. The refused share is `refused_rows / received_rows`, counted
    since the model's last cycle; a mean is over the rows that have a value. With nothing to judge
    `observed` is null and the check passes: an empty window is told apart by its row count, not
    here. `unlisted` is false in the first form of the rule `encoding`, which did not count
    categories that are not listed.
    """
    checks = [
        _within(
            "rows",
            "refused_share",
            refused_rows / received_rows if received_rows else None,
            high=contract.refused_share_max,
        )
    ]
    for feature in contract.features:
        values = pack(columns[feature.name])
        checks.extend(_feature_checks(feature, values))
        if unlisted and isinstance(feature, CategoryFeature) and feature.unknown == "accept":
            checks.append(_unlisted(feature, values))
        del values  # or it were held while the next is read
    bounds = contract.target.plausible
    if bounds is not None:
        known = pack(labels)
        mean = known.total() / len(known) if known else None
        low, high = bounds.mean.min, bounds.mean.max
        checks.append(_within(contract.target.name, "mean", mean, low=low, high=high))
    return tuple(checks)


def halt_reason(checks: Sequence[WindowCheck], *, refused_rows: int, received_rows: int) -> str:
    """Which bounds were broken, by what value; empty when all of them hold.

    The refused share is told with the rows it is of: of two rows, one refused is half of them.
    """
    of_rows = f" ({refused_rows:,} of {received_rows:,})"
    return "; ".join(
        _broken(check, of_rows if check.statistic == "refused_share" else "")
        for check in checks
        if not check.passed
    )


def _feature_checks(feature: FeatureSpec, values: Packed) -> list[WindowCheck]:
    present = len(values) - values.missing
    # One quotient, rounded as the contract's decimal was: 29 of 100 are not more than 0.29.
    missing = values.missing / len(values) if values else None
    checks = [
        _within(feature.name, "missing_share", missing, high=feature.plausible.missing_share_max)
    ]
    bounds = feature.plausible.mean
    if isinstance(feature, NumberFeature) and bounds is not None:
        mean = values.total() / present if present else None
        checks.append(_within(feature.name, "mean", mean, low=bounds.min, high=bounds.max))
    return checks


def _unlisted(feature: CategoryFeature, values: Packed) -> WindowCheck:
    listed = {None, *feature.categories}
    present = len(values) - values.missing
    strange = sum(rows for value, rows in values.counts().items() if value not in listed)
    return _within(
        feature.name,
        "unlisted_share",
        strange / present if present else None,
        high=feature.plausible.unlisted_share_max,
    )


def _within(
    subject: str,
    statistic: Literal["mean", "missing_share", "refused_share", "unlisted_share"],
    observed: float | None,
    *,
    low: float | None = None,
    high: float,
) -> WindowCheck:
    passed = observed is None or (observed <= high and (low is None or observed >= low))
    return WindowCheck(
        subject=subject,
        statistic=statistic,
        observed=observed,
        low=low,
        high=high,
        passed=passed,
    )


def _broken(check: WindowCheck, of_rows: str) -> str:
    """`the mean of hpwt is 3.94, outside 0.25 to 0.8`."""
    observed, high = cast("float", check.observed), cast("float", check.high)  # they are compared
    low = -math.inf if check.low is None else check.low
    said = told_apart(observed, low if observed < low else high)[0]
    if check.statistic == "mean":
        bounds = f"{low:.15g} to {high:.15g}"
        return f"the mean of {check.subject} is {said}, outside the plausible {bounds}"
    what = {
        "missing_share": f"the missing share of {check.subject}",
        "unlisted_share": f"the share of {check.subject} that the contract does not list",
        "refused_share": "the refused share of received rows",
    }[check.statistic]
    return f"{what} is {said}{of_rows}, above the plausible {high:.15g}"
