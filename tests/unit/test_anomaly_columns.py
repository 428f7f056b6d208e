"""Outliers of whole columns: the same in memory and in pieces, and honest about columns that say nothing."""

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

from penstock.core.errors import BadData, ConfigurationError
from penstock.quality.anomalies import METHODS, columns, outliers, selection

RANDOM = np.random.default_rng(11)


def frame(rows: int = 5000) -> pl.DataFrame:
    random = np.random.default_rng(11)
    values: list[Any] = random.normal(10, 2, rows).tolist()
    values[7], values[8], values[9], values[10] = 100.0, math.nan, math.inf, None
    return pl.DataFrame({"a": values, "b": random.integers(0, 9, rows), "word": ["x"] * rows, "same": [3] * rows})


def test_methods_by_hand() -> None:
    values = np.concatenate([np.random.default_rng(1).normal(size=999), [12.0]])
    for method, score in (
        ("zscore", (12 - values.mean()) / values.std(ddof=1)),
        ("mad", (12 - np.median(values)) / (1.4826 * np.median(np.abs(values - np.median(values))))),
        ("iqr", (12 - np.quantile(values, 0.75)) / np.subtract(*np.quantile(values, [0.75, 0.25]))),
    ):
        worst = outliers({"v": values.tolist()}, method=method).outliers[0]
        assert worst.row == 999
        assert worst.score == pytest.approx(score)
        assert worst.reason.startswith("v is 12: ")


@pytest.mark.parametrize("method", ["mad", "zscore", "iqr", "forest"])
def test_in_pieces_it_is_as_in_memory(method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    frame().write_parquet(path)
    whole = outliers(path, ["a", "b"], method=method)
    monkeypatch.setattr(columns, "_MEMORY", 1000)
    monkeypatch.setattr(columns, "_BATCH", 700)
    monkeypatch.setattr(selection, "_KEPT", 20)
    pieces = outliers(path, ["a", "b"], method=method)
    assert [each.row for each in pieces.outliers] == [each.row for each in whole.outliers]
    assert [each.score for each in pieces.outliers] == pytest.approx([each.score for each in whole.outliers])
    assert pieces.count == whole.count > 1


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60),
    parts=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 0.1]), min_size=1, max_size=3),
    kept=st.integers(0, 5),
)
def test_quantiles_are_exact(values: list[float], parts: list[float], kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_KEPT", kept)
        array = np.array(values)
        found = selection.quantiles(lambda: iter([array[:7], array[7:7], array[7:]]), parts)
    ordered = sorted(value + 0.0 for value in values)
    for part, value in zip(parts, found, strict=True):
        place = part * (len(values) - 1)
        low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
        assert value == (low if low == high else low + (high - low) * (place - math.floor(place)))


def test_what_is_missing_and_infinite_is_counted() -> None:
    counts = outliers(frame(), ["a"]).columns[0]
    assert (counts.checked, counts.missing, counts.infinite) == (4998, 2, 1)
    first = outliers(frame(), ["a"]).outliers[0]
    assert (first.row, first.reason) == (9, "a is inf, which is no finite number")
    assert json.loads(outliers(frame(), ["a"]).to_json())["outliers"][0]["score"] is None


def test_columns_that_say_nothing() -> None:
    data = {"same": [3.0] * 9, "null": [None] * 9, "nan": [math.nan] * 9, "most": [1.0] * 8 + [50.0]}
    for method in ("mad", "zscore", "iqr"):
        report = outliers(pl.DataFrame(data, schema_overrides={"null": pl.Float64}), method=method, threshold=2.0)
        notes = {each.column: each.note for each in report.columns}
        assert notes["same"] == "all values are equal"
        assert notes["null"] == notes["nan"] == "there are no values"
        assert [each.row for each in report.outliers] == [8]
    assert "most values are equal" in notes["most"]


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize(
    "values", [[], [1.0], [1.7e308, -1.7e308] * 20, [2**60, 2**60 + 1] * 20], ids=["0", "1", "huge", "int"]
)
def test_strange_columns_do_no_harm(method: str, values: list[Any]) -> None:
    report = outliers(pl.DataFrame({"v": values}), ["v"] if values else None, method=method, period=4)
    assert report.rows == len(values)
    assert json.loads(report.to_json())["count"] == report.count


def test_seasons_and_forests() -> None:
    hours = np.arange(24 * 30)
    values = 10 * np.sin(hours * 2 * np.pi / 24) + np.random.default_rng(2).normal(0, 0.3, len(hours))
    values[100] = values[100 + 12]
    assert outliers({"v": values.tolist()}, method="seasonal", period=24).outliers[0].row == 100
    pairs = np.random.default_rng(3).normal(size=(2, 3000))
    data = {"x": [*pairs[0].tolist(), 6.0], "y": [*pairs[1].tolist(), -6.0]}
    worst = outliers(data, method="forest").outliers[0]
    assert (worst.row, worst.values) == (3000, {"x": 6.0, "y": -6.0})


def test_5000_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_MEMORY", 1000 * 20 * 8)
    wide = pl.DataFrame({f"c{place}": [1.0, 2.0, 3.0, 2.0] * 5 for place in range(5000)})
    report = outliers(wide)
    assert len(report.columns) == 5000
    assert report.count == 0


def test_types_that_change_far_down_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("v,w\n" + "1,2\n2,3\n" * 8000 + "1000.5,x\n", encoding="utf-8")
    report = outliers(path, ["v"])
    assert [each.values for each in report.outliers] == [{"v": 1000.5}]
    with pytest.raises(ConfigurationError, match="'w' holds no numbers"):
        outliers(path, ["w"])


def test_nan_and_infinity_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("v\n1\nnan\n3\ninf\n2\n", encoding="utf-8")
    counts = outliers(path, ["v"]).columns[0]
    assert (counts.checked, counts.missing, counts.infinite) == (4, 1, 1)


def test_mistakes_are_told(tmp_path: Path) -> None:
    for asked, told in ((["aa"], "no column 'aa'"), (["word"], "'word' holds no numbers")):
        with pytest.raises(ConfigurationError, match=told):
            outliers(frame(50), asked)
    with pytest.raises(ConfigurationError, match="no method 'madd'"):
        outliers(frame(50), method="madd")
    with pytest.raises(ConfigurationError, match="seasonal needs a period"):
        outliers(frame(50), method="seasonal")
    with pytest.raises(ConfigurationError, match="threshold"):
        outliers(frame(50), threshold=0)
    broken = tmp_path / "a.parquet"
    broken.write_bytes(b"PAR1 this is none")
    with pytest.raises(BadData):
        outliers(broken)


def test_bytes_that_are_no_text_are_no_data(tmp_path: Path) -> None:
    path = tmp_path / "junk.csv"
    path.write_bytes(b"a,b\n" + bytes(range(128, 256)) * 50 + b"\n")
    with pytest.raises(BadData, match="cannot be read"):
        outliers(str(path))
    path.write_text("a,b\nx,y\n")
    assert outliers(str(path)).columns == ()
