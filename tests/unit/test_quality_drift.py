"""Drift: none between samples of the same, and found where something was changed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from penstock.core.errors import BadData
from penstock.quality.profiles import Limits, drift, profile


def sample(seed: int, rows: int = 2_000) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "amount": chance.lognormal(3, 1, rows),
            "pieces": chance.integers(1, 6, rows),
            "status": chance.choice(["paid", "open", "lost"], rows, p=[0.7, 0.2, 0.1]),
            "name": [f"customer {each}" for each in chance.integers(0, 10**6, rows)],
            "day": pl.Series(chance.integers(20_000, 20_100, rows)).cast(pl.Int32).cast(pl.Date),
        }
    ).with_columns(note=pl.when(pl.col("pieces") > 1).then(pl.col("status")))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rows", [30, 2_000])
def test_samples_of_the_same_do_not_drift(seed: int, rows: int) -> None:
    report = drift(sample(seed), sample(seed + 100, rows))
    assert [each.reasons for each in report.columns] == [()] * 6
    assert report.summary() == f"0 of 6 columns drifted, from 2,000 rows to {rows:,}"


CHANGES: dict[str, tuple[Any, str, str]] = {
    "moved": (pl.col("amount") * 2, "amount", "its distribution moved: KS"),
    "wider": (pl.col("amount") * pl.int_range(pl.len()).mod(20).eq(0).replace_strict({True: 50, False: 1}), "amount",
              "of the values are outside of the range there was"),
    "integers": (pl.col("pieces") + 1, "pieces", "its distribution moved"),
    "shares": (pl.when(pl.col("amount") > 20).then(pl.lit("lost")).otherwise("status").alias("status"), "status",
               "its categories come otherwise"),
    "new": (pl.when(pl.col("amount") > 60).then(pl.lit("sent")).otherwise("status").alias("status"), "status",
            "new categories, "),
    "lost": (pl.col("status").replace("lost", "open"), "status", "lost categories, "),
    "nulls": (pl.when(pl.col("amount") > 20).then("name").alias("name"), "name", "of the rows were without a value"),
    "longer": (pl.col("name") + " and son", "name", "its distribution moved"),
    "later": (pl.col("day").dt.offset_by("60d"), "day", "its distribution moved"),
    "type": (pl.col("pieces").cast(pl.String), "pieces", "it was int64, and is text"),
    "only nulls": (pl.lit(None, dtype=pl.Int64).alias("pieces"), "pieces", "of the rows were without a value"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_in_its_column_only(change: str) -> None:
    made, column, reason = CHANGES[change]
    report = drift(sample(1), sample(2).with_columns(made))
    assert [each.name for each in report.columns if each.drifted] == [column]
    assert any(reason in each for each in next(each for each in report.columns if each.name == column).reasons)


def test_columns_come_and_go() -> None:
    report = drift({"a": [1], "b": [1]}, {"b": [1], "c": [1]})
    assert {each.name: each.reasons for each in report.columns} == {
        "a": ("it is not there any longer",), "b": (), "c": ("it is new",),
    }  # fmt: skip
    assert report.drifted


def test_nothing_at_all() -> None:
    empty = pl.DataFrame(schema={"a": pl.Int64})
    assert not drift(empty, empty).drifted
    assert drift({"a": [1]}, empty).columns[0].reasons == ("there are no rows",)
    assert drift(empty, {"a": [1]}).columns[0].reasons == ("there were no rows",)
    assert not drift({"a": [None]}, {"a": [None]}).drifted
    assert not drift({"a": [math.nan] * 50}, {"a": [math.nan] * 50}).drifted
    assert not drift(pl.DataFrame(), pl.DataFrame()).drifted


@settings(max_examples=40)
@given(st.lists(st.integers(0, 20), min_size=2, max_size=60), st.lists(st.integers(0, 20), min_size=2, max_size=60))
def test_figures_are_those_of_scipy(old: list[int], new: list[int]) -> None:
    numbers = drift({"a": old}, {"a": new}).columns[0]
    assert numbers.ks == pytest.approx(stats.ks_2samp(old, new, method="asymp").statistic)
    assert numbers.ks_error == 0
    assert numbers.p_value == pytest.approx(
        stats.kstwobign.sf(numbers.ks * math.sqrt(len(old) * len(new) / (len(old) + len(new)))), abs=1e-4
    )
    texts = drift({"a": [f"v{each}" for each in old]}, {"a": [f"v{each}" for each in new]}).columns[0]
    values = sorted({*old, *new})
    counts = [[each.count(value) for value in values] for each in (old, new)]
    assert texts.js == pytest.approx(jensenshannon(*counts, base=2), abs=1e-6)
    if len(values) > 1:
        assert texts.p_value == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)
    assert set(texts.new) <= {f"v{each}" for each in set(new) - set(old)}


def test_of_sketches_the_distance_is_within_the_error_that_is_told() -> None:
    chance = np.random.default_rng(7)
    old, new = chance.normal(0, 1, 60_000), chance.normal(0.3, 1, 60_000)
    found = drift({"a": old}, {"a": new}).columns[0]
    assert 0 < found.ks_error < 0.01
    assert found.ks == pytest.approx(stats.ks_2samp(old, new, method="asymp").statistic, abs=found.ks_error)


def test_limits_can_be_set() -> None:
    old, new = sample(1), sample(2).with_columns(pl.col("amount") * 1.3)
    assert drift(old, new).drifted
    assert not drift(old, new, limits=Limits(ks=0.5, psi=1, outside=0.5)).drifted


def test_saved_profiles(tmp_path: Path) -> None:
    saved = tmp_path / "before.json"
    saved.write_text(profile(sample(1), name="monday").to_json())
    report = drift(saved, sample(2))
    assert (report.before, report.drifted) == ("monday", False)
    assert json.loads(report.to_json())["columns"][0]["name"] == "amount"
    with pytest.raises(BadData, match=r"no\.json cannot be read"):
        drift(tmp_path / "no.json", sample(2))
