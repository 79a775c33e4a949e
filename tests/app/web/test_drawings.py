"""Clause bars, drift panels, error chart and gate bars, from windows made of plain events."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from app.audit.clauses import clauses_of
from app.audit.gates import gates_of
from app.web.clause_bar import clause_bar, share_of_bar
from app.web.drift_chart import drift_panels, drift_table
from app.web.error_chart import NARROW, error_chart
from app.web.gate_bars import gate_bars
from app.web.svg import tag
from app.web.windows import Window
from domain.decisions.cycle import Cycle, fold
from domain.events.verdicts import significant_digits
from tests.app.web.car_figures import FEATURES, clause
from tests.app.web.car_story import MODEL, REJECTED_YEAR, car_story, time


def windows() -> list[Window]:
    story = car_story()
    found = []
    number = 1
    while events := story.cycle(number):
        year = 1974 + number
        found.append(
            Window(
                id=f"{MODEL}-{number}", as_of=time(year + 1), label=str(year), cycle=fold(events)
            )
        )
        number += 1
    return found


@given(st.floats(0, 1e12), st.floats(1e-9, 1e9))
def test_a_value_stays_on_its_bar_and_on_its_side_of_the_threshold(
    observed: float, threshold: float
) -> None:
    share = share_of_bar(observed, threshold)

    assert 0 <= share <= 1
    if observed > threshold:
        assert share >= 0.5
    else:
        assert share <= 0.5


def test_an_unknown_clause_has_no_knob() -> None:
    one, other = clauses_of(
        [
            clause("a", "feature_drift_score", "feature drift", ">", 0.2, None),
            clause("a", "feature_drift_score", "feature drift", ">", 0.2, 0.3),
        ]
    )

    assert "circle" not in clause_bar(one)
    assert "circle" in clause_bar(other)


def test_a_gate_without_figures_has_no_bars() -> None:
    rejected = windows()[REJECTED_YEAR - 1975]

    assert [gate_bars(gate) is not None for gate in gates_of(rejected.cycle)] == [
        False,
        True,
        True,
        False,
    ]


def test_there_is_a_panel_a_feature_with_both_lines_inside_the_plot() -> None:
    panels = drift_panels(windows())

    assert [panel.feature for panel in panels] == list(FEATURES)
    for panel in panels:
        heights = [float(y) for y in re.findall(r'y1="([\d.]+)"[^>]*class="bound', panel.picture)]
        assert len(heights) == 2
        assert all(0 < height < 172 for height in heights)


def test_low_power_is_said_by_its_rows_or_by_blocks_that_are_too_few() -> None:
    window = windows()[1]
    drift = window.cycle.drift
    assert drift is not None
    measured = drift.report
    assert measured is not None
    runs = "3 runs of this length: too few to tell"

    def said(too_few: str, low_power: bool) -> str:
        features = tuple(structs.replace(f, low_power=low_power) for f in measured.features)
        report = structs.replace(measured, features=features, too_few=too_few)
        cycle = replace(window.cycle, drift=structs.replace(drift, report=report))
        [(_, [cell, *_])] = drift_table([replace(window, cycle=cycle)])
        assert cell is not None
        return cell.low_power

    assert said("", False) == ""
    assert said("", True) == "too few rows to say no drift"
    assert said(runs, True) == runs


def test_low_power_points_are_hollow() -> None:
    low = sum(
        drift.low_power
        for window in windows()
        for name in FEATURES
        if (drift := window.drift_of(name))
    )

    assert low > 0
    assert sum(panel.picture.count("hollow") for panel in drift_panels(windows())) == low


def test_the_table_holds_a_cell_for_every_feature_and_window() -> None:
    rows = drift_table(windows())

    assert len(rows) == len(windows())
    assert {len(cells) for _, cells in rows} == {len(FEATURES)}


def test_promotions_and_rejections_are_marked_in_the_error_chart() -> None:
    chart = error_chart(windows(), NARROW)

    assert chart is not None
    assert chart.count("candidate promoted") == sum(window.promoted for window in windows())
    assert chart.count("candidate rejected") == 1


def test_without_errors_there_is_no_chart() -> None:
    assert error_chart([]) is None


def test_text_in_a_picture_is_escaped() -> None:
    assert str(tag("text", '<b> "&amp')) == "<text>&lt;b&gt; &#34;&amp;amp</text>"


def test_a_heading_names_the_last_window_that_measured_the_feature() -> None:
    measured = windows()
    interrupted = replace(measured[-1], label="later", cycle=Cycle())

    for panel in drift_panels([*measured, interrupted]):
        last = next(w for w in reversed(measured) if w.drift_of(panel.feature) is not None)
        drift = last.drift_of(panel.feature)
        assert drift is not None
        assert (panel.when, panel.latest) == (last.label, significant_digits(drift.psi, 3))
