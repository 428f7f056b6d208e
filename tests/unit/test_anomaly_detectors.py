"""Detectors: online is batch, to the last bit; the state resumes; strange series do no harm."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadData, ConfigurationError
from penstock.quality.anomalies import DETECTORS, Detector, anomalies, decompose, detector, resume
from penstock.quality.anomalies.forest import IsolationForest

SMALL: dict[str, dict[str, Any]] = {
    "tails": {"window": 200, "period": 12, "cycles": 2, "short": 4},
    "zscore": {"window": 40, "fewest": 5},
    "mad": {"window": 41, "fewest": 5},
    "iqr": {"window": 40, "fewest": 5},
    "ewma": {"fewest": 5},
    "seasonal": {"period": 6, "cycles": 3, "fewest": 5},
    "cusum": {"learned": 20},
    "forest": {"window": 60, "every": 30},
}
NAMES = sorted(DETECTORS)
VALUES = st.one_of(
    st.floats(-100, 100),
    st.sampled_from([0.0, 1.0, 1.0, 1.0, math.nan, math.inf, -math.inf, 1e300, -1e300, 5e-324, 2.0**53 + 2]),
)


def small(name: str) -> Detector:
    return detector(name, **SMALL[name])


def normal(count: int, seed: int = 7) -> Any:
    return np.random.default_rng(seed).normal(10, 2, count)


def test_every_detector_is_tried() -> None:
    assert sorted(SMALL) == NAMES


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_however_a_series_is_cut_the_answers_are_the_same(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 1000))
    values = np.concatenate([normal(150, seed), data.draw(st.lists(VALUES, min_size=1, max_size=60)), normal(40, seed)])
    whole = small(name).score(values)
    one, place = small(name), 0
    scores, expected, strange = [], [], []
    while place < len(values):
        size = data.draw(st.sampled_from([1, 1, 2, 17, 31, 64, 130]))
        some = one.score(values[place : place + size])
        scores.append(some.scores)
        expected.append(some.expected)
        strange.append(some.anomalies)
        place += size
        if data.draw(st.booleans()):
            one = resume(one.state())
    assert np.array_equal(np.concatenate(scores), whole.scores)
    assert np.array_equal(np.concatenate(expected), whole.expected, equal_nan=True)
    assert np.array_equal(np.concatenate(strange), whole.anomalies)
    assert not np.isnan(whole.scores).any()


@pytest.mark.parametrize("name", NAMES)
def test_one_by_one_is_all_at_once(name: str) -> None:
    values = [*normal(170).tolist(), 60.0, None, *normal(30, 8).tolist()]
    one = small(name)
    assert [one.update(value).score for value in values] == small(name).score(values).scores.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_what_follows_changes_nothing(name: str) -> None:
    values = normal(300)
    before = small(name).score(values[:200]).scores
    assert np.array_equal(small(name).score(np.concatenate([values[:200], values[200:] * 1000])).scores[:200], before)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("cusum", "forest")])
def test_a_strange_value_is_found_and_told(name: str) -> None:
    values = normal(400)
    values[350] = 90.0
    found = small(name).score(values)
    assert found.anomalies[350]
    assert "90" in found[350].reason
    assert found[349].reason == ""


def test_a_forest_finds_what_is_alone_together_with_those_before_it() -> None:
    values = np.tile([0.0, 10.0], 500) + np.random.default_rng(6).normal(0, 0.3, 1000)
    values[900:] = values[899:-1]
    scores = detector("forest", every=256).score(values).scores
    assert scores[:256].max() == 0
    assert scores[900:902].max() > np.quantile(scores[256:900], 0.95)


def test_a_change_of_the_level_is_found_once_and_a_single_value_is_none() -> None:
    values = normal(400)
    values[100] = 90.0
    values[250:] += 6
    places = np.flatnonzero(detector("cusum").score(values).anomalies)
    assert len(places) == 1
    assert 250 < places[0] < 265


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["constant", "missing", "endless", "short", "none", "huge"])
def test_series_with_nothing_in_them(name: str, kind: str) -> None:
    series = {
        "constant": [3.0] * 300,
        "missing": [math.nan] * 300,
        "endless": [math.inf, -math.inf] * 50,
        "short": [1.0, 2.0],
        "none": [],
        "huge": [1.7e308, -1.7e308] * 100,
    }[kind]
    found = small(name).score(series)
    assert len(found) == len(series)
    assert not np.isnan(found.scores).any()
    assert found.anomalies.all() == (kind in ("endless", "none"))
    if kind in ("constant", "missing", "short"):
        assert not found.anomalies.any()


@pytest.mark.parametrize("name", ["zscore", "mad", "iqr", "ewma", "seasonal", "tails"])
def test_the_first_other_value_of_a_constant_series_is_an_anomaly(name: str) -> None:
    found = small(name).score([3.0] * 200 + [3.5])
    assert np.flatnonzero(found.anomalies).tolist() == [200]
    assert found.scores[200] <= 1e9


@pytest.mark.parametrize("values", [[2**60, None, 5] * 20, pl.Series([1, None, 3] * 20), np.arange(60)])
def test_numbers_of_any_kind(values: Any) -> None:
    assert len(detector("mad").score(values)) == 60


@pytest.mark.parametrize("values", [["a", "b"], [[1, 2], [3, 4]], "abc", [{}]])
def test_what_is_no_number_is_told(values: Any) -> None:
    with pytest.raises(BadData):
        detector("mad").score(values)


def test_the_z_score_is_that_of_the_window_before() -> None:
    values = normal(300)
    found = detector("zscore", window=50).score(values)
    for place in (49, 50, 51, 99, 100, 101, 299):
        before = values[max(place - 50, 0) : place]
        assert found.scores[place] == pytest.approx(abs(values[place] - before.mean()) / before.std(ddof=1))
        assert found.expected[place] == pytest.approx(before.mean())


def test_what_left_the_window_leaves_no_rounding() -> None:
    values = normal(300)
    values[50] = 1e30
    assert detector("zscore", window=50).score(values).scores[200:] == pytest.approx(
        detector("zscore", window=50).score(np.concatenate([normal(60), values[60:]])).scores[200:]
    )


def test_the_robust_score_and_the_fences_are_those_of_the_window_before() -> None:
    values = normal(300)
    robust, fences = detector("mad", window=41).score(values), detector("iqr", window=40).score(values)
    medians = np.array([np.median(values[max(place - 41, 0) : place]) if place else np.nan for place in range(300)])
    for place in (100, 200, 299):
        spread = 1.4826 * np.median(np.abs(values - medians)[place - 41 : place])
        assert robust.scores[place] == pytest.approx(abs(values[place] - medians[place]) / spread)
        low, high = np.quantile(values[place - 40 : place], [0.25, 0.75])
        outside = max(values[place] - high, low - values[place], 0)
        assert fences.scores[place] == pytest.approx(outside / (high - low))


def test_the_moving_mean_forgets() -> None:
    values = normal(200)
    found = detector("ewma", share=0.1, fewest=1).score(values)
    mean, variance = values[0], 0.0
    for place, value in enumerate(values):
        if place:
            assert found.expected[place] == pytest.approx(mean)
        if place > 1:
            assert found.scores[place] == pytest.approx(abs(value - mean) / math.sqrt(variance))
        variance = 0.9 * (variance + 0.1 * (value - mean) ** 2)
        mean += 0.1 * (value - mean)


def test_a_season_is_no_anomaly_and_a_missing_bump_is_one() -> None:
    hours = np.arange(24 * 20)
    values = np.where(hours % 24 == 9, 50.0, 10.0) + np.random.default_rng(3).normal(0, 0.5, len(hours))
    values[24 * 15 + 9] = 10.0
    assert np.flatnonzero(detector("seasonal", period=24).score(values).anomalies).tolist() == [24 * 15 + 9]
    assert 24 * 15 + 9 not in np.flatnonzero(detector("mad").score(values).anomalies)


def test_a_gap_keeps_the_season_in_step() -> None:
    values = np.tile([1.0, 5.0, 9.0, 5.0], 60) + np.random.default_rng(4).normal(0, 0.1, 240)
    values[101:110] = np.nan
    found = detector("seasonal", period=4).score(values)
    assert not found.anomalies.any()
    assert found.expected[200] == pytest.approx(1.0, abs=0.3)


def test_parts_add_up_and_strange_values_are_in_the_rest() -> None:
    hours = np.arange(24 * 10)
    values = 0.1 * hours + 5 * np.sin(hours * 2 * np.pi / 24)
    values[100] += 40
    parts = decompose(values, 24)
    assert parts.trend + parts.season + parts.rest == pytest.approx(values)
    assert parts.rest[100] == pytest.approx(40, abs=1)
    assert np.abs(np.delete(parts.rest, 100))[24:-24].max() < 1.5
    assert len(decompose([], 5).rest) == 0


def test_a_forest_leaves_alone_what_is_alone() -> None:
    rows = np.random.default_rng(5).normal(size=(2000, 2))
    forest = IsolationForest(rows, seed=1)
    far, near = forest.scores(np.array([[6.0, -6.0], [0.0, 0.0]]))
    assert far > 0.7 > 0.5 > near
    assert np.array_equal(IsolationForest(rows, seed=1).scores(rows), forest.scores(rows))
    assert not np.array_equal(IsolationForest(rows, seed=2).scores(rows), forest.scores(rows))
    assert IsolationForest(np.ones((300, 2))).scores(np.ones((2, 2))).tolist() == pytest.approx([0.5, 0.5])


def test_states_of_others_are_refused() -> None:
    state = msgspec.msgpack.decode(detector("mad").state())
    newer = msgspec.msgpack.encode({**state, "version": 2})
    with pytest.raises(BadData, match="mad 2, which this Penstock does not know"):
        resume(newer)
    for wrong in (b"", b"abc", msgspec.msgpack.encode({**state, "memory": {}}), msgspec.msgpack.encode([1])):
        with pytest.raises(BadData, match="no state"):
            resume(wrong)


def test_wrong_names_and_settings_are_told() -> None:
    with pytest.raises(ConfigurationError, match="no method 'zscor'") as told:
        detector("zscor")
    assert "did you mean zscore?" in str(told.value.hint)
    with pytest.raises(ConfigurationError, match="zscore has no setting windw"):
        detector("zscore", windw=3)
    for name, wrong in (("window", 0), ("window", 2.5), ("threshold", -1), ("threshold", math.nan), ("window", True)):
        with pytest.raises(ConfigurationError, match=name):
            detector("zscore", **{name: wrong})
    with pytest.raises(ConfigurationError, match="period"):
        detector("seasonal", period=1)


def test_reports_of_every_method_are_json() -> None:
    values = [*normal(200).tolist(), math.inf, math.nan]
    for name in NAMES:
        report = anomalies(values, method=name, **SMALL[name])
        assert report.rows == 202
        assert report.missing == 1
        assert '"expected"' in report.to_json()
        assert report.anomalies[-1].value == math.inf
