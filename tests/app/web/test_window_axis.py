"""Windows stand in the order of their cycles, each told apart; where they run back is marked."""

from __future__ import annotations

import re
from datetime import timedelta

from app.web.drift_chart import drift_panels
from app.web.error_chart import NARROW, error_chart
from app.web.window_labels import labelled, runs_back
from app.web.windows import Window
from domain.decisions.cycle import fold_state
from domain.events.cycle_events import CycleStarted, DriftMeasured, WindowGuarded
from domain.events.envelope import event_data
from domain.times import format_time, parse_time
from tests.app.web.car_story import MODEL, car_story
from tests.plausible import an

MONTH = 31
YEAR = 365


def window(number: int, as_of: str, days: float) -> Window:
    """A window of so many days that ends at `as_of`, with what was measured in the cars' second."""
    end = parse_time(as_of)
    cycle = f"{MODEL}-{number}"
    (measured,) = [each for each in car_story(1976).cycle(2) if isinstance(each, DriftMeasured)]
    steps = (
        an(CycleStarted, cycle=cycle, number=number, as_of=format_time(end)),
        an(
            WindowGuarded,
            window_start=format_time(end - timedelta(days=days)),
            window_end=format_time(end),
        ),
        measured,
    )
    state = {each.type: event_data(each) for each in steps}
    return Window(id=cycle, as_of=format_time(end), label="", cycle=fold_state(state))


def windows(days: float, *times: str) -> list[Window]:
    return [window(number, as_of, days) for number, as_of in enumerate(times, start=1)]


def labels(days: float, *times: str) -> list[str]:
    return [each.label for each in labelled(windows(days, *times))]


def test_windows_of_a_year_are_called_by_their_year() -> None:
    assert labels(YEAR, "1976-01-01T00:00:00Z", "1977-01-01T00:00:00Z") == ["1975", "1976"]


def test_windows_of_a_month_are_called_by_the_month_of_their_as_of() -> None:
    assert labels(MONTH, "2026-09-30T00:00:00Z", "2026-10-31T00:00:00Z") == ["Sep 2026", "Oct 2026"]


def test_labels_that_would_be_alike_say_the_day_and_then_the_time() -> None:
    assert labels(MONTH, "2026-10-01T00:00:00Z", "2026-10-31T00:00:00Z") == ["1 Oct", "31 Oct"]
    assert labels(YEAR, "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z") == ["Dec 2026", "Jan 2027"]
    assert labels(1, "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z") == [
        "31 Dec 2026",
        "1 Jan 2027",
    ]
    assert labels(1, "2026-10-01T04:00:00Z", "2026-10-01T16:30:00Z") == [
        "1 Oct 04:00",
        "1 Oct 16:30",
    ]


def test_windows_of_one_as_of_are_told_apart_by_their_cycles() -> None:
    same = "2026-10-01T00:00:00Z"
    assert labels(1, "2026-09-30T00:00:00Z", same, same) == ["30 Sep", "1 Oct #2", "1 Oct #3"]


def test_a_cycle_that_looked_at_no_window_has_no_place_on_the_axis() -> None:
    begun = an(CycleStarted)
    cycle = fold_state({begun.type: event_data(begun)})
    assert labelled([Window(id="car-price-1", as_of=begun.as_of, label="", cycle=cycle)]) == []
    assert labels(MONTH) == []


def test_both_charts_mark_where_the_axis_runs_back() -> None:
    """Given a third cycle that looks from before the second, then both charts say so."""
    times = ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-09-15T00:00:00Z")
    back = labelled(windows(MONTH, *times))

    assert runs_back(back) == [2]
    assert runs_back(back[:2]) == []
    said = f"{MODEL}-3 looked from earlier than {MODEL}-2"
    for chart in (drift_panels(back)[0].picture, error_chart(back, NARROW)):
        assert chart is not None
        assert chart.count(said) == chart.count('class="runs-back"') == 1
    assert "runs-back" not in drift_panels(back[:2])[0].picture


def test_no_label_is_cut_off_by_the_edge_of_its_chart() -> None:
    """Given labels of every length, then each begins and ends within its picture."""
    for count in range(1, 13):
        many = labelled(windows(1, *[f"2026-10-{day:02}T04:00:00Z" for day in range(1, count + 1)]))
        named = [*many[:-1], window(count + 1, "2027-01-01T00:00:00Z", 1)]
        for shown in (many, labelled(named)):
            for chart in (drift_panels(shown)[0].picture, error_chart(shown, NARROW)):
                assert chart is not None
                found = re.search(r'viewBox="0 0 (\d+)', chart)
                assert found is not None
                for x, anchor, text in re.findall(
                    r'<text x="([\d.]+)"[^>]*class="tick" text-anchor="(\w+)">([^<]*)<', chart
                ):
                    wide = len(text) * 6
                    start = float(x) - {"start": 0, "middle": wide / 2, "end": wide}[anchor]
                    assert 0 <= start
                    assert start + wide <= int(found[1])
