"""The error since promotion is the serving champion's, or it is not known."""

from msgspec.structs import replace

from app.audit.error_since import error_since
from domain.events.cycle_events import HealthReported
from domain.events.findings import GroupInterval
from tests.plausible import an

REPORT = an(
    HealthReported,
    conclusion="kept",
    state="healthy",
    reasons=(),
    champion="car-price/2",
    cycles=1,
    decisions=1,
    trainings=1,
    promotions=1,
    success_rate=1.0,
    promotion_rate=1.0,
    mean_shift=None,
    spread_ratio=None,
    rmse_since_promotion=None,
    labelled_since_promotion=0,
    value=None,
)


def _reported(number: int, champion: str, rmse: float | None) -> tuple[str, HealthReported]:
    report = replace(
        REPORT, champion=champion, rmse_since_promotion=rmse, labelled_since_promotion=40 + number
    )
    return f"car-price-{number}", report


def _failed(number: int) -> tuple[str, None]:
    return f"car-price-{number}", None


def test_the_newest_report_of_the_serving_champion_is_told() -> None:
    reports = [_reported(3, "car-price/2", 0.3), _reported(4, "car-price/2", 0.23456)]

    error, note = error_since("car-price/2", reports, scale="log")

    assert error == "0.2346"
    assert "n = 44 rows" in note
    assert "car-price-4" in note


def test_after_a_rollback_no_other_champions_figure_is_shown() -> None:
    reports = [_reported(1, "car-price/1", 0.2), _reported(2, "car-price/2", 0.3)]

    assert error_since("car-price/1", reports, scale="log") == (
        "unknown",
        "not measured since car-price/1 serves",
    )


def test_a_failed_cycle_leaves_the_figure_of_the_report_before_it() -> None:
    reports = [_reported(3, "car-price/2", 0.25), _failed(4)]

    assert error_since("car-price/2", reports, scale="log")[0] == "0.25"


def test_a_report_that_measured_nothing_leaves_the_figure_before_it() -> None:
    reports = [_reported(3, "car-price/2", 0.25), _reported(4, "car-price/2", None)]

    assert error_since("car-price/2", reports, scale="log")[0] == "0.25"


def test_without_a_report_nothing_is_claimed_of_the_labels() -> None:
    for reports in ([], [_failed(1)], [_reported(1, "car-price/2", None)]):
        assert error_since("car-price/2", reports, scale="log") == (
            "unknown",
            "not measured since car-price/2 serves",
        )


def test_without_a_champion_nobody_serves() -> None:
    assert error_since(None, [], scale="log") == ("unknown", "nobody serves yet")


def test_the_latest_window_stands_beside_the_whole_reign() -> None:
    noise = GroupInterval(estimate=0.5, low=0.41, high=0.63, confidence=1.0, groups=12)
    cycle, report = _reported(1, "car-price/2", 0.25)
    shown = replace(report, window_error=0.5, window_interval=noise, window_labelled=80)
    _, note = error_since("car-price/2", [(cycle, shown)], scale="log")
    assert note.endswith("says; in the latest window 0.5 (95 % 0.41 to 0.63), n = 80")
