"""Drift of a window: the report as a whole, and the mistakes it exists to avoid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from scipy import stats

from domain.canonical import canonical_bytes
from domain.drift.measurement import measure_drift, training_drift
from domain.drift.reference import Reference, freeze_reference
from domain.drift.statistics import Floats
from domain.errors import NotMeasurable
from domain.events.findings import DriftReport, FeatureDrift
from domain.packed import Value

DRAW = np.random.default_rng(1971)
START = DRAW.bit_generator.state


@pytest.fixture(autouse=True)
def _same_draws_in_every_order_of_tests() -> None:
    DRAW.bit_generator.state = START


def frozen(columns: Mapping[str, Sequence[Value]], window: int = 100) -> Reference:
    """A reference of these columns; a column with text is a category."""
    rows = len(next(iter(columns.values())))
    target = np.random.default_rng(0).normal(size=rows)
    kinds = [
        (name, "category" if any(isinstance(v, str) for v in column) else "number")
        for name, column in columns.items()
    ]
    return freeze_reference(kinds, columns, target, target * 0.8, window)  # type: ignore[arg-type]


def drift(trained: Sequence[Value], current: Sequence[Value], window: int = 100) -> FeatureDrift:
    """The drift of one feature between two columns."""
    report = measure_drift(frozen({"f": trained}, window), {"f": current}, normal(len(current)))
    return report.features[0]


def normal(rows: int, mean: float = 0.0, sd: float = 1.0) -> Floats:
    return DRAW.normal(mean, sd, rows)


def equal_width_psi(a: Floats, b: Floats) -> float:
    """What not to do: ten bins of equal width over both samples, empty ones floored."""
    edges = np.linspace(min(a.min(), b.min()), max(a.max(), b.max()), 11)
    p, q = (np.maximum(np.histogram(x, edges)[0] / len(x), 1e-4) for x in (a, b))
    return float(((q - p) * np.log(q / p)).sum())


def test_one_outlier_does_not_hide_drift() -> None:
    trained, current = normal(1_000), normal(1_000, mean=1.0)
    spoilt = np.append(current[1:], 1_000.0)
    assert equal_width_psi(trained, current) > 0.8
    assert equal_width_psi(trained, spoilt) < 0.05  # the naive figure sees nothing any more
    without, with_it = (drift(trained.tolist(), x.tolist()) for x in (current, spoilt))
    assert with_it.psi == pytest.approx(without.psi, rel=0.05)
    assert with_it.significant


def test_a_column_that_turned_null_is_the_largest_drift_there_is() -> None:
    found = drift(normal(500).tolist(), [None] * 200)
    assert found.missing == 200
    assert found.current_counts[-1] == 200
    assert found.significant
    assert found.ks_statistic is None  # nothing to rank, and still not "no drift"
    assert found.mean_shift is None


def test_a_new_category_counts_without_becoming_infinite() -> None:
    trained = ["US"] * 300 + ["JP"] * 200
    found = drift(trained, ["US"] * 60 + ["JP"] * 40 + ["KR"] * 50)
    assert found.unknown_categories == 50
    assert found.current_counts[found.bins.index("(new)")] == 50
    assert np.isfinite(found.psi)
    assert found.significant


def test_a_doubled_variance_is_seen_though_its_psi_stays_below_the_customary_bound() -> None:
    edges = stats.norm.ppf(np.linspace(0, 1, 11))
    shares = np.diff(stats.norm.cdf(edges / np.sqrt(2)))
    assert float(((shares - 0.1) * np.log(shares / 0.1)).sum()) == pytest.approx(0.1454, abs=5e-5)
    found = drift(normal(5_000).tolist(), normal(5_000, sd=np.sqrt(2)).tolist())
    assert found.psi < 0.2
    assert found.band == "minor"
    assert not found.significant
    assert found.evidence
    assert found.p_value < 1e-50
    assert found.spread_ratio == pytest.approx(np.sqrt(2), rel=0.05)
    assert found.spread_p_value is not None
    assert found.spread_p_value < 1e-50


def test_small_windows_raise_far_fewer_false_alarms_than_psi_and_p_alone() -> None:
    """Twenty clean features, windows of 50 rows: naive figures cry wolf in most windows."""
    draw = np.random.default_rng(5)
    trained = draw.normal(size=(1_000, 20))
    names = [f"f{i}" for i in range(20)]
    reference = frozen({name: trained[:, i].tolist() for i, name in enumerate(names)})
    naive = alarms = 0
    windows = 60
    for _ in range(windows):
        rows = draw.normal(size=(50, 20))
        columns = {name: rows[:, i].tolist() for i, name in enumerate(names)}
        report = measure_drift(reference, columns, rows[:, 0])
        naive += any(f.psi > 0.2 and (f.ks_p_value or 0) < 0.05 for f in report.features)
        alarms += report.feature_drift_score > 0.2
        assert report.low_power
    assert naive / windows > 0.3
    assert alarms / windows <= 0.1


def test_a_shift_of_one_standard_deviation_is_always_found() -> None:
    trained = normal(1_000).tolist()
    for _ in range(30):
        assert drift(trained, normal(50, mean=1.0).tolist()).significant


def test_features_without_drift_do_not_hide_one_with_it_and_only_it_scores() -> None:
    trained = {f"f{i}": normal(1_000).tolist() for i in range(10)}
    current = {name: normal(300).tolist() for name in trained} | {"f3": normal(300, 2).tolist()}
    report = measure_drift(frozen(trained), current, normal(300))
    assert [f.feature for f in report.features if f.significant] == ["f3"]
    assert report.drifted_features == 1
    assert report.features_measured == 10
    assert report.feature_drift_score == report.psi_max == report.features[3].psi


def test_without_evidence_the_score_is_zero_though_the_largest_psi_is_not() -> None:
    trained = normal(400).tolist()
    report = measure_drift(frozen({"f": trained}), {"f": trained[::8]}, normal(50))
    assert report.feature_drift_score == 0
    assert report.psi_max > 0


def test_power_is_low_below_a_hundred_rows() -> None:
    trained = normal(1_000).tolist()
    assert drift(trained, trained[:99]).low_power
    assert not drift(trained, trained[:100]).low_power


def test_power_is_low_where_a_rare_level_leaves_one_bin_to_tell_apart() -> None:
    trained = ["a"] * 960 + ["b"] * 40
    assert drift(trained, ["a"] * 142, window=1_000).low_power  # b: 40 x 142 / 1142 = 4.97
    assert not drift(trained, ["a"] * 143, window=1_000).low_power


def test_one_rare_row_does_not_lower_the_power_of_a_feature_full_of_zeros() -> None:
    """Six features of mostly zeros were low power in every window, for one row below 0."""
    draw = np.random.default_rng(6)

    def column(rows: int, share: float) -> list[Value]:
        zeros = draw.random(rows) < share
        return np.where(zeros, 0.0, draw.exponential(size=rows)).tolist()  # type: ignore[no-any-return]

    shares = {f"f{n}": share for n, share in enumerate((0.3, 0.5, 0.6, 0.7, 0.8, 0.9))}
    trained = {name: [-0.5, *column(999, share)] for name, share in shares.items()}
    reference = frozen(trained)
    for rows in (100, 1_000):
        current = {name: column(rows, share) for name, share in shares.items()}
        report = measure_drift(reference, current, normal(rows))
        assert not report.low_power
        assert measure_drift(reference, current, normal(rows), first=True).low_power


def test_what_psi_would_be_without_drift_is_not_said_below_fifty_rows() -> None:
    trained = normal(1_000).tolist()
    told, untold = drift(trained, trained[:50]), drift(trained, trained[:49])
    assert None not in {told.psi_expected, told.psi_critical, told.psi_adjusted}
    assert {untold.psi_expected, untold.psi_critical, untold.psi_adjusted} == {None}


def test_a_long_tail_of_levels_was_significant_by_the_first_form_and_is_no_drift() -> None:
    draw = np.random.default_rng(300)
    weights = 1 / np.arange(1, 301)
    columns = [
        [f"level {n}" for n in draw.choice(300, 1_000, p=weights / weights.sum()).tolist()]
        for _ in range(2)
    ]
    kinds, target = [("f", "category")], normal(1_000)
    old, new = (
        freeze_reference(kinds, {"f": columns[0]}, target, target, 1_000, transform)  # type: ignore[arg-type]
        for transform in (None, "none")
    )
    before = measure_drift(old, {"f": columns[1]}, target).features[0]
    now = measure_drift(new, {"f": columns[1]}, target).features[0]
    assert before.significant
    assert before.p_value < 1e-20
    assert not now.evidence
    assert now.psi < 0.2


def test_the_psi_of_the_published_vector_gives_new_levels_the_rows_of_those_seen_once() -> None:
    rows = {"a": 50, "b": 30, "c": 10, "d": 5, "e": 2, "f": 1, "g": 1, "h": 1}
    window = {"a": 30, "b": 12, "c": 4, "x": 3, "y": 1}
    trained, current = (
        [name for name, often in side.items() for _ in range(often)] for side in (rows, window)
    )
    found = drift(trained, current)
    assert found.psi == pytest.approx(0.167341, abs=5e-7)
    assert found.p_value == pytest.approx(0.117401, abs=5e-7)


def test_bins_the_reference_has_no_values_in_do_not_lower_the_power() -> None:
    trained: list[Value] = [*(["a"] * 500), *(["b"] * 499), None]
    current: list[Value] = [*(["a"] * 60), *(["b"] * 59), "c"]
    assert not drift(trained, current).low_power
    assert not drift([4.0] * 50, [4.0] * 100).low_power  # nothing below, nothing above


def test_categories_all_too_rare_for_a_bin_cannot_say_no_drift() -> None:
    trained = [f"dealer {i % 50}" for i in range(1_000)]
    found = drift(trained, trained[:200], window=100)
    assert found.bins == ("(other)", "(new)", "(missing)")
    assert found.low_power


def test_numbers_always_come_together_and_in_agreement() -> None:
    found = drift(normal(900).tolist(), [None] * 5 + normal(195).tolist())
    assert found.psi_expected == pytest.approx((len(found.bins) - 1) * (1 / 900 + 1 / 200))
    assert found.psi_expected is not None
    assert found.psi_critical is not None
    assert found.psi_adjusted == max(0.0, found.psi - found.psi_expected)
    assert found.psi_critical > found.psi_expected
    assert (found.psi > found.psi_critical) == (found.p_value < 0.05)
    assert (found.rows, found.missing) == (200, 5)
    assert sum(found.reference_counts) == 900
    assert sum(found.current_counts) == 200


def test_predictions_are_measured_against_target_and_out_of_fold_separately() -> None:
    target = normal(800)
    reference = freeze_reference([], {}, target, target * 0.3, 100)
    report = measure_drift(reference, {}, normal(400) * 0.3)
    by_name = {drift.against: drift for drift in report.predictions}
    assert by_name["training-target"].ks_p_value < 1e-9  # narrower by nature, not drifted
    assert by_name["out-of-fold"].ks_p_value > 0.01
    ratio = by_name["training-target"].spread_ratio
    assert ratio is not None
    assert ratio == pytest.approx(0.3, rel=0.15)
    assert by_name["out-of-fold"].rows == 400
    assert by_name["out-of-fold"].reference_rows == 800
    assert report.features_measured == 0
    assert report.feature_drift_score == 0


def test_a_model_that_looks_drifted_on_its_own_training_data_says_so() -> None:
    target = normal(800)
    assert training_drift(freeze_reference([], {}, target, target * 0.3, 100)).p_value < 0.05
    assert training_drift(freeze_reference([], {}, target, target, 100)) == (0.0, 1.0)


def test_ks_of_a_feature_is_scipys() -> None:
    trained, current = normal(700), normal(150, 0.2)
    found = drift(trained.tolist(), [*current.tolist(), None])
    theirs = stats.ks_2samp(trained, current)
    assert (found.ks_statistic, found.ks_p_value) == (theirs.statistic, theirs.pvalue)


def test_an_empty_window_is_refused_and_never_called_stable() -> None:
    with pytest.raises(NotMeasurable, match="0 rows; drift needs at least 1"):
        measure_drift(frozen({"f": [1.0, 2.0]}), {"f": []}, np.array([]))


def test_a_window_without_a_features_column_is_refused_by_name() -> None:
    with pytest.raises(NotMeasurable, match="feature 'f' has no column"):
        measure_drift(frozen({"f": [1.0, 2.0]}), {"g": [1.0]}, np.array([1.0]))
    with pytest.raises(NotMeasurable, match="feature 'f' has 2 rows, not 1"):
        measure_drift(frozen({"f": [1.0, 2.0]}), {"f": [1.0, 2.0]}, np.array([1.0]))


def test_a_single_row_is_measured_as_far_as_it_goes() -> None:
    found = drift(normal(100).tolist(), [0.0])
    assert found.mean_shift is None
    assert found.ks_p_value is not None
    assert found.low_power


VALUES = st.none() | st.floats(-1e12, 1e12, allow_subnormal=False) | st.integers(-2, 2)
NAMES = st.sampled_from(["US", "EU", "JP", "KR", None])


@given(st.data(), st.integers(1, 60), st.integers(1, 60))
def test_any_window_gives_a_report_the_ledger_can_hold(
    data: st.DataObject, trained: int, rows: int
) -> None:
    def columns(size: int) -> dict[str, list[Value]]:
        return {
            "n": data.draw(st.lists(VALUES, min_size=size, max_size=size)),
            "c": data.draw(st.lists(NAMES, min_size=size, max_size=size)),
        }

    target = np.linspace(0, 1, trained)
    kinds = [("n", "number"), ("c", "category")]
    reference = freeze_reference(kinds, columns(trained), target, target, 40)  # type: ignore[arg-type]
    report = measure_drift(reference, columns(rows), np.linspace(0, 2, rows))
    assert canonical_bytes(to_builtins(report))
    assert_consistent(report)


@given(st.lists(VALUES, min_size=1, max_size=60))
def test_a_window_equal_to_its_reference_has_no_drift(column: list[Value]) -> None:
    target = np.arange(len(column), dtype=float)
    reference = freeze_reference([("n", "number")], {"n": column}, target, target, 40)
    report = measure_drift(reference, {"n": column}, target)
    assert report.psi_max == 0
    assert report.feature_drift_score == 0
    assert all(p.ks_statistic == 0 for p in report.predictions)


def assert_consistent(report: DriftReport) -> None:
    for found in report.features:
        assert found.psi >= 0
        assert 0 <= found.p_value <= 1
        assert found.significant == (found.band == "significant" and found.evidence)
        assert len(found.bins) == len(found.reference_counts) == len(found.current_counts)
    assert report.psi_max == max(f.psi for f in report.features)
    assert report.feature_drift_score <= report.psi_max
    assert report.drifted_features <= report.features_measured == 2


@pytest.mark.parametrize(
    ("trained", "rows", "weak"),
    [
        (["a", "b"] * 500, 99, True),  # fewer than 100
        (["a", "b"] * 500, 100, False),
        ([f"l{n}" for n in range(1_000)], 100, True),  # every level was pooled
    ],
)
def test_by_its_first_form_power_is_that_of_the_emptiest_bin(
    trained: list[Value], rows: int, weak: bool
) -> None:
    report = measure_drift(frozen({"f": trained}), {"f": trained[:rows]}, normal(rows), first=True)
    assert report.features[0].low_power is weak
