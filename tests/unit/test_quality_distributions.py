"""Rules on how values are distributed."""

from __future__ import annotations

import math
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.quality import DataValidator, RuleResult

COUNTS = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)
WEIGHTS = st.lists(st.integers(1, 9), min_size=3, max_size=3)


def result(data: Any, **rule: Any) -> RuleResult:
    (found,) = DataValidator([{"column": "x", **rule}]).validate_dataset(data, statistics=False).results
    return found


def spread(counts: list[int]) -> dict[str, list[Any]]:
    return {"x": [value for value, count in zip("abc", counts, strict=True) for _ in range(count)] + [None]}


@given(counts=COUNTS, weights=WEIGHTS)
def test_a_divergence_is_that_of_its_formula(counts: list[int], weights: list[int]) -> None:
    found = result(spread(counts), rule="kl_divergence", weights=dict(zip("abc", weights, strict=True)), max=0.1)
    wanted = math.fsum(
        count / sum(counts) * math.log(count / sum(counts) / (weight / sum(weights)))
        for count, weight in zip(counts, weights, strict=True)
        if count
    )
    assert found.observed == pytest.approx(wanted, abs=1e-12)
    assert found.good == (found.observed <= 0.1)


def test_what_has_no_weight_is_infinitely_far() -> None:
    assert result(spread([1, 1, 1]), rule="kl_divergence", weights={"a": 1, "b": 1}, max=100).observed == math.inf
    assert (
        result(spread([1, 1, 1]), rule="kl_divergence", weights={"a": 1, "b": 1, "c": 0}, max=100).observed == math.inf
    )


def test_ranges_have_their_lower_ends_and_the_last_one_both() -> None:
    values = {"x": [0.0, 0.5, 1.0, 1.5, 2.0, None]}
    assert result(values, rule="kl_divergence", bins=[0, 1, 2], weights=[2, 3], max=0).observed == pytest.approx(
        0, abs=1e-12
    )
    assert result({"x": [2.5]}, rule="kl_divergence", bins=[0, 1, 2], weights=[2, 3], max=0).observed == math.inf


@given(counts=COUNTS, weights=WEIGHTS)
def test_chi_square_is_that_of_its_formula(counts: list[int], weights: list[int]) -> None:
    pytest.importorskip("scipy")
    total = sum(counts)
    expected = [total * weight / sum(weights) for weight in weights]
    statistic = math.fsum((count - each) ** 2 / each for count, each in zip(counts, expected, strict=True))
    found = result(spread(counts), rule="chi_square", weights=dict(zip("abc", weights, strict=True)))
    assert found.observed == pytest.approx(math.exp(-statistic / 2), rel=1e-9)  # of two degrees of freedom
    assert found.good == (found.observed >= 0.05)


def test_a_value_that_should_never_come() -> None:
    pytest.importorskip("scipy")
    assert result(spread([1, 1, 1]), rule="chi_square", weights={"a": 1, "b": 1}).observed == 0.0


def test_kolmogorov_and_smirnov() -> None:
    pytest.importorskip("scipy")
    chance = random.Random(5)
    frame = pl.DataFrame({"x": [chance.gauss(3, 2) for _ in range(2000)]})
    assert result(frame, rule="ks_test", distribution="norm", params={"loc": 3, "scale": 2}).good
    assert not result(frame, rule="ks_test", distribution="norm", params=[3.5, 2]).good
    assert not result(frame, rule="ks_test", distribution="uniform", params={"loc": -3, "scale": 12}).good
    assert result(frame, rule="ks_test", distribution="norm", params={"nope": 1}).verdict == "error"
    assert result({"x": ["a"]}, rule="ks_test", distribution="norm").verdict == "error"


def test_nothing_has_no_distribution() -> None:
    pytest.importorskip("scipy")
    empty = pl.DataFrame({"x": []}, schema={"x": pl.Float64})
    rules: list[dict[str, Any]] = [
        {"rule": "ks_test", "distribution": "norm"},
        {"rule": "kl_divergence", "bins": [0, 1], "weights": [1], "max": 1},
    ]
    assert [result(empty, **rule).reason for rule in rules] == ["there are no values"] * 2
