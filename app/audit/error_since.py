"""The error since promotion: what the newest health report says of the champion that serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.audit.cycle import NOBODY_SERVES
from domain.events.cycle_events import HealthReported
from domain.events.verdicts import significant_digits

Report = tuple[str, HealthReported | None]  # of a cycle: 'car-price-12'; None: it left none


def error_since(champion: str | None, reports: Sequence[Report], *, scale: str) -> tuple[str, str]:
    """RMSE on the target's `scale` with four significant digits, and what it stands on.

    'unknown' when no report speaks of `champion` since it serves. `reports` oldest first.
    """
    if champion is None:
        return "unknown", NOBODY_SERVES
    for cycle, report in _since_it_serves(champion, reports):
        if report.rmse_since_promotion is not None:
            return (
                significant_digits(report.rmse_since_promotion),
                f"RMSE on the {scale} scale, n = {report.labelled_since_promotion} rows "
                f"labelled since promotion, as the health report of {cycle} says"
                f"{_latest(report)}",
            )
    return "unknown", f"not measured since {champion} serves"


def _latest(report: HealthReported) -> str:
    """What the latest window alone says, when it holds enough rows."""
    if report.window_error is None:
        return ""
    said = f"; in the latest window {significant_digits(report.window_error)}"
    if report.window_interval is not None:
        low, high = report.window_interval.low, report.window_interval.high
        said += f" (95 % {significant_digits(low)} to {significant_digits(high)})"
    return f"{said}, n = {report.window_labelled}"


def _since_it_serves(
    champion: str, reports: Sequence[Report]
) -> Iterator[tuple[str, HealthReported]]:
    """Newest first, back to the last cycle that reported on another champion.

    A failed cycle leaves no report and ends nothing; after a rollback the newest report is
    another champion's, so nothing older speaks of this one's time either.
    """
    for cycle, report in reversed(reports):
        if report is None:
            continue
        if report.champion != champion:
            return
        yield cycle, report
