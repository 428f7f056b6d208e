"""Profiles say what exact computation says where they claim to, and stay within the error they state elsewhere."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr  # type: ignore[import-untyped]

from penstock.core.errors import BadData
from penstock.quality.profiles import Profile, profile, reading
from penstock.quality.profiles.cardinality import Cardinality
from penstock.quality.profiles.frequent import Frequent
from penstock.quality.profiles.hashing import number_hashes, text_hashes
from penstock.quality.profiles.ranks import Ranks
from penstock.quality.profiles.texts import shapes_of

SCHEMA = {"i": pl.Int64, "f": pl.Float64, "t": pl.String, "b": pl.Boolean, "d": pl.Date, "n": pl.Null}
VALUES = {
    "i": st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(-4, 4, width=16) | st.floats(),
    "t": st.text("aB1 -é\n", max_size=6) | st.sampled_from(["a@b.de", "2026-01-31", "n/a", "true", "1.5"]),
    "b": st.booleans(),
    "d": st.dates(),
    "n": st.none(),
}
SMALL = st.none() | st.integers(-9, 9)
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), max_size=30)


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return left == right or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9) or left != left
    return bool(left == right)


@settings(max_examples=40)
@given(ROWS)
def test_what_is_exact_is_what_plain_python_says(rows: list[dict[str, Any]]) -> None:
    found = profile(frame_of(rows))
    assert found.rows == len(rows)
    for column in found.columns:
        values = [row[column.name] for row in rows if row[column.name] is not None]
        assert (column.rows, column.nulls) == (len(rows), len(rows) - len(values))
        finite = [value for value in values if not isinstance(value, float) or math.isfinite(value)]
        special = {str(value) for value in values if isinstance(value, float) and not math.isfinite(value)}
        assert column.distinct_exact
        assert column.distinct == len(set(finite)) + len(special)
        assert {each.value: each.least for each in column.top(99)} == Counter(finite)
        if column.name in ("i", "f", "d", "t") and finite:
            assert (column.minimum, column.maximum) == (min(finite), max(finite))
        if column.name == "i" and finite:
            assert column.sum == sum(finite)
            assert column.zeros == finite.count(0)
            assert column.negatives == sum(value < 0 for value in finite)
        if column.name == "t":
            assert column.empty == values.count("")
            assert column.length(1) == max(map(len, values), default=None)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=60), st.floats(0, 1))
def test_moments_and_quantiles_of_few_values(values: list[int], fraction: float) -> None:
    column = profile({"a": values})["a"]
    assert same(column.mean, sum(values) / len(values))
    assert same(column.deviation, float(np.std(values, ddof=1)) if len(values) > 1 else None)
    assert same(column.quantile(fraction), float(np.quantile(values, fraction)))
    assert sum(part.rows for part in column.histogram()) == len(values)


@settings(max_examples=25)
@given(ROWS, st.lists(st.integers(0, 30), max_size=3))
def test_merged_parts_are_the_whole(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    frame, edges = frame_of(rows), sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    parts = [frame[a:b] for a, b in zip([0, *edges], [*edges, len(rows)], strict=True)]
    merged = profile(parts[0])
    for part in parts[1:]:
        merged = merged.merge(Profile.from_json(profile(part).to_json()))
    left, right = (json.loads(each.to_json())["columns"] for each in (merged, profile(frame)))
    for one, two in zip(left, right, strict=True):
        moments = one.pop("moments"), two.pop("moments")
        assert moments[0]["count"] == moments[1]["count"]
        if one["name"] == "i":
            assert moments[0]["total"] == moments[1]["total"]
        for unordered in ("frequent", "shapes", "ranks"):
            one.pop(unordered), two.pop(unordered)
        assert one == two
    for one_column, two_column in zip(merged.columns, profile(frame).columns, strict=True):
        assert one_column.frequent.counts() == two_column.frequent.counts()
        assert one_column.shapes.counts() == two_column.shapes.counts()
        assert one_column.top() == two_column.top()
        assert one_column.histogram() == two_column.histogram()


@settings(max_examples=60)
@given(st.lists(st.tuples(SMALL, SMALL), max_size=40), st.integers(0, 40))
def test_correlations_are_those_of_numpy(pairs: list[tuple[int | None, int | None]], cut: int) -> None:
    frame = pl.DataFrame(pairs, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    varied = len({a for a, _ in both}) > 1 and len({b for _, b in both}) > 1
    for found in (profile(frame), profile(frame[:cut]).merge(profile(frame[cut:]))):
        value = found.correlations.between("a", "b")
        if varied:
            assert value == pytest.approx(np.corrcoef(np.array(both).T)[0, 1], abs=1e-9)
        else:
            assert value is None or not both or abs(value) <= 1


@settings(max_examples=60)
@given(st.lists(st.tuples(SMALL, SMALL), max_size=40), st.integers(0, 40))
def test_correlations_by_rank_are_those_of_scipy(pairs: list[tuple[int | None, int | None]], cut: int) -> None:
    frame = pl.DataFrame(pairs, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    varied = len({a for a, _ in both}) > 1 and len({b for _, b in both}) > 1
    for found in (profile(frame), profile(frame[:cut]).merge(profile(frame[cut:]))):
        told = [pair.spearman for pair in found.correlations.pairs()]
        again = [pair.spearman for pair in Profile.from_json(found.to_json()).correlations.pairs()]
        assert told == again
        if varied:
            assert told == [pytest.approx(spearmanr(*zip(*both, strict=True)).statistic, abs=1e-9)]
        else:
            assert told in ([], [None])


def test_what_grows_together_on_a_curve_is_seen_by_rank_in_a_large_table() -> None:
    values = np.random.default_rng(5).normal(size=50_000)
    found = profile({"a": values, "b": np.exp(values * 4), "c": np.random.default_rng(6).normal(size=50_000)})
    curve, *others = found.correlations.pairs()
    assert (curve.left, curve.right) == ("a", "b")
    assert curve.spearman == pytest.approx(1)
    assert abs(curve.pearson or 0) < 0.5
    assert all(abs(pair.spearman or 0) < 0.1 for pair in others)
    assert len(found.correlations.sample.drawn) == 4_096


def test_a_correlation_of_large_numbers_that_are_close_together() -> None:
    values = [1e15 + each for each in range(100)]
    found = profile({"a": values, "b": [-each for each in values]}).correlations.between("a", "b")
    assert found == pytest.approx(-1, abs=1e-9)


@given(st.lists(st.lists(st.integers(0, 10_000), max_size=80), max_size=8), st.integers(4, 16))
def test_ranks_are_off_by_no_more_than_they_say(parts: list[list[int]], kept: int) -> None:
    whole = Ranks(kept)
    for part in parts:
        one = Ranks(kept)
        one.take(*np.unique(np.array(part, dtype=np.int64), return_counts=True))
        whole = whole.merge(one) if len(part) % 2 else one.merge(whole)
    values = sorted(value for part in parts for value in part)
    assert whole.count == len(values)
    told = whole.below(values)
    for value, below in zip(values, told.tolist(), strict=True):
        assert abs(below - sum(each <= value for each in values)) <= whole.error * len(values) + 1e-9


@given(st.lists(st.lists(st.integers(0, 30), max_size=60), max_size=8), st.integers(1, 12))
def test_frequent_values_come_as_often_as_is_told(parts: list[list[int]], kept: int) -> None:
    whole = Frequent(kept)
    for part in parts:
        one, (values, counts) = Frequent(kept), np.unique(np.array(part, dtype=np.int64), return_counts=True)
        one.take(number_hashes(values), counts, lambda places, held=values: held[places].tolist())  # type: ignore[misc]
        whole = whole.merge(one)
    truth = Counter(value for part in parts for value in part)
    assert whole.error <= truth.total() / (kept + 1)
    told = {top.value: top for top in whole.top(kept)}
    assert all(top.least <= truth[value] <= top.most for value, top in told.items())
    assert all(count <= whole.error for value, count in truth.items() if value not in told)
    if len(truth) <= kept:
        assert whole.exact
        assert dict(whole.counts()) == truth


@given(st.lists(st.sets(st.integers(0, 400)), max_size=6), st.integers(3, 50))
def test_how_many_different_values_does_not_depend_on_the_parts(parts: list[set[int]], kept: int) -> None:
    merged, whole = Cardinality(kept), Cardinality(kept)
    for part in parts:
        one, hashes = Cardinality(kept), number_hashes(np.array(sorted(part), dtype=np.int64))
        one.take(hashes)
        whole.take(hashes)
        merged = one.merge(merged)
    assert merged.as_dict() == whole.as_dict()
    truth = len(set().union(*parts))
    assert merged.exact == (truth <= kept)
    if merged.exact:
        assert merged.count == truth


@pytest.mark.parametrize("many", [40_000, 300_000])
def test_many_different_values_are_estimated_within_the_error_that_is_told(many: int) -> None:
    for values in (pl.Series(range(many)), pl.Series(range(many)).cast(pl.String), pl.Series(np.linspace(0, 1, many))):
        column = profile(pl.DataFrame({"a": values}))["a"]
        assert not column.cardinality.exact
        assert abs(column.cardinality.count - many) <= 4 * column.cardinality.error * many
        rises = column.order.word is not None
        assert (column.distinct_exact, column.distinct) == (
            rises,
            many if rises else min(column.cardinality.count, many),
        )
        if column.family == "number":
            for fraction in (0.001, 0.25, 0.5, 0.9, 0.999):
                place = float(np.searchsorted(values.to_numpy(), column.quantile(fraction)))
                assert abs(place - fraction * many) <= column.ranks.error * many + 2


def test_pieces_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    days = [date(2026, 1, 1 + day) for day in range(28)]
    rows = [
        {"i": each % 7, "f": each % 97 / 3, "t": f"AB-{each % 50}", "b": each % 3 == 0, "d": days[each % 28], "n": None}
        for each in range(2_000)
    ]
    whole = profile(frame_of(rows))
    monkeypatch.setattr(reading, "_LEAST_ROWS", 1)
    monkeypatch.setattr(reading, "CELLS", 600)
    told: list[int] = []
    pieces = profile(frame_of(rows), tell=told.append)
    assert told == list(range(100, 2_100, 100))
    left, right = whole.as_dict(), pieces.as_dict()
    for one, two in zip(left["columns"], right["columns"], strict=True):
        for name in ("mean", "deviation", "sum"):
            assert same(one.pop(name, None), two.pop(name, None))
        assert one == two


def test_hashes_are_those_of_ever() -> None:
    assert number_hashes(np.array([0, 1, -1])).tolist() == number_hashes(np.array([-0.0, 1.0, -1.0])).tolist()
    assert number_hashes(np.array([2**63], dtype=np.uint64)).tolist() == number_hashes(np.array([2.0**63])).tolist()
    assert number_hashes(np.array([1])).tolist() == [10451216379200822465]
    long = "x" * 5000
    told = text_hashes(pl.Series(["", "a", "ab", "ba", "é", long, long + "y"]))
    assert len(set(told.tolist())) == 7
    assert told.tolist()[:2] == text_hashes(pl.Series(["zz", "", "a"])).tolist()[1:]


@given(st.lists(st.text(max_size=5), min_size=1, max_size=20))
def test_different_texts_have_different_hashes(texts: list[str]) -> None:
    assert len(set(text_hashes(pl.Series(texts)).tolist())) == len(set(texts))


def test_shapes_and_meanings() -> None:
    texts = pl.Series(["AB-123", "ab 1", "", "Éa1", "x" * 50])
    assert shapes_of(texts).to_list() == ["AA-999", "aa 9", "", "Aa9", "…"]
    cases = {
        "integer": ["1", "-20", "0"], "number": ["1.5", "2e3", "-.5"], "boolean": ["yes", "no", "TRUE"],
        "date": ["2026-01-31", "2025-12-01"], "datetime": ["2026-01-31 10:00", "2026-01-31T10:00:00.5Z"],
        "date, day or month first": ["31.01.2026", "1/2/2026"], "e-mail": ["a.b@c.org", "x@y.de"],
        "url": ["https://a.b/c?d", "http://x"], "ip": ["10.0.0.1", "::1", "fe80::1"],
        "uuid": ["9F1C7A52-3C1B-4A52-8B0E-0123456789AB"],
    }  # fmt: skip
    for kind, values in cases.items():
        assert profile({"a": values})["a"].meaning == kind
    assert profile({"a": ["pear", "1", "x@y", "999.1.1.1"]})["a"].meaning is None


def test_every_type() -> None:
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "moment": [moment, None, moment + timedelta(hours=1)],
            "local": [moment.replace(tzinfo=None)] * 3,
            "time": [time(1, 2, 3), time(4), None],
            "length": [timedelta(seconds=1), timedelta(days=2), None],
            "money": [Decimal("1.50"), Decimal("2.25"), None],
            "list": [[1, 2], [], None],
            "struct": [{"a": 1}, {"a": 2}, None],
            "bytes": [b"a", b"", None],
            "many": pl.Series(["x", "y", None], dtype=pl.Categorical),
            "small": pl.Series([250, 255, None], dtype=pl.UInt8),
            "tiny": pl.Series([-128, 127, None], dtype=pl.Int8),
            "huge": pl.Series([2**64 - 1, 0, None], dtype=pl.UInt64),
        }
    )
    found = profile(frame)
    assert (found["moment"].minimum, found["moment"].maximum) == (moment, moment + timedelta(hours=1))
    assert found["local"].order.word == "constant"
    assert found["time"].maximum == time(4)
    assert found["length"].quantile(0) == timedelta(seconds=1)
    assert (found["money"].sum, found["money"].mean) == (3.75, 1.875)
    assert (found["list"].length(1), found["list"].distinct) == (2, None)
    assert (found["struct"].nulls, found["bytes"].nulls, found["struct"].unique) == (1, 1, False)
    assert found["many"].distinct == 2
    assert found["small"].sum == 505
    assert (found["tiny"].minimum, found["tiny"].maximum, found["tiny"].sum) == (-128, 127, -1)
    assert (found["huge"].maximum, found["huge"].sum) == (2**64 - 1, 2**64 - 1)
    assert Profile.from_json(found.to_json()).to_json() == found.to_json()
    assert json.loads(json.dumps(found.as_dict(), default=str))["rows"] == 3


def test_keys_and_order() -> None:
    many = 40_000
    shuffled, few = [each * 7919 % many for each in range(many)], [each // 10 for each in range(many)]
    frame = pl.DataFrame({"id": range(many), "shuffled": shuffled, "one": [1] * many, "few": few})
    found = profile(frame)
    assert [(key.name, key.unique) for key in found.keys] == [("id", True), ("shuffled", None)]
    assert [column.order.word for column in found.columns] == ["strictly increasing", None, "constant", "increasing"]
    both = profile(frame[:100]).merge(profile(frame[50:]))
    assert [column.unique for column in both.columns] == [False, False, False, False]
    assert profile(frame[100:]).merge(profile(frame[:100]))["id"].order.word is None


def test_infinite_and_nan_are_counted_apart() -> None:
    column = profile({"a": [1.0, math.nan, math.inf, -math.inf, None, math.nan]})["a"]
    assert (column.nan, column.positive_infinite, column.negative_infinite, column.nulls) == (2, 1, 1, 1)
    assert (column.minimum, column.maximum, column.mean, column.unique) == (1.0, 1.0, 1.0, False)
    assert column.distinct == 4


def test_numbers_beyond_what_can_be_squared() -> None:
    column = profile({"a": [1e308, -1e308, 1.0] * 4})["a"]
    assert (column.deviation, column.maximum) == (None, 1e308)
    assert column.histogram()[0].rows == 12
    assert Profile.from_json(profile({"a": [1e308] * 4}).to_json())["a"].maximum == 1e308


@pytest.mark.parametrize(
    "data",
    [pl.DataFrame(), pl.DataFrame(schema={"a": pl.Int64, "t": pl.String}), [], {"a": [None, None]}, {"a": [""]}],
    ids=["nothing", "no-rows", "no-list", "nulls", "one-empty"],
)
def test_little_data(data: Any) -> None:
    found = profile(data)
    assert Profile.from_json(found.to_json()).to_json() == found.to_json()
    assert found.merge(found).rows == 2 * found.rows
    assert "<html" in found.to_html()
    assert isinstance(found.as_dict(), dict)


def test_files_and_readers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n\n" + "".join(f"{each},{each}\n" for each in range(11_000)) + "x,1.5\n")
    found = profile(tmp_path / "a.csv")
    assert (found.name, found.rows, found["id"].type, found["n"].type) == ("a.csv", 11_001, "text", "float64")
    assert "id holds values of several types" in found.notes[0]
    (tmp_path / "empty.csv").write_text("")
    assert profile(tmp_path / "empty.csv").rows == 0
    (tmp_path / "head.csv").write_text("a,b\n")
    assert [column.values for column in profile(tmp_path / "head.csv").columns] == [0, 0]
    table = pa.table({"a": [1, 2, 3]})
    assert profile(table.to_reader())["a"].sum == 6
    for name, data in (("b.parquet", b"PAR1 no"), ("b.csv", b"\xff\xfe\x00\n\x00,"), ("b.csv.gz", b"\x1f\x8b\x08 cut")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadData):
            profile(tmp_path / name)


def test_five_thousand_columns() -> None:
    found = profile(pl.DataFrame({f"c{each}": [each, None, 3] for each in range(5_000)}))
    assert len(found.columns) == 5_000
    assert found["c4999"].sum == 5_002
    assert len(found.correlations.names) == 64
    page = found.to_html()
    assert "c4999" in page
    assert "And 4,800 more columns" in page
    assert len(page) < 6_000_000


def test_texts_of_megabytes_are_not_saved() -> None:
    found = profile({"a": ["x" * 5_000_000, "x" * 5_000_000 + "y", "a"]})
    assert found["a"].distinct == 3
    assert found["a"].length(1) == 5_000_001
    assert (found["a"].minimum, found["a"].maximum) == ("a", "x" * 256)
    assert len(found.to_json()) < 10_000


def test_what_cannot_be_merged() -> None:
    with pytest.raises(BadData, match="different columns: b"):
        profile({"a": [1]}).merge(profile({"a": [1], "b": [2]}))
    with pytest.raises(BadData, match="a is int64 in one profile and text in the other"):
        profile({"a": [1]}).merge(profile({"a": ["x"]}))
    wide = profile({"a": [1]}).merge(profile({"a": [2.5]})).merge(profile({"a": [None]}))
    assert (wide["a"].type, wide["a"].sum, wide["a"].nulls) == ("float64", 3.5, 1)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": "penstock profile", "version": 2}', '{"format": "penstock profile", "version": 1}'],
    ids=["nothing", "cut", "list", "later", "empty"],
)
def test_what_is_no_profile(text: str) -> None:
    with pytest.raises(BadData):
        Profile.from_json(text)


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_profile_is_told(data: st.DataObject) -> None:
    saved = json.loads(profile({"a": [1, 2], "t": ["x", None]}).to_json())
    column = data.draw(st.sampled_from(saved["columns"]))
    name = data.draw(st.sampled_from(sorted(column)))
    column[name] = data.draw(st.sampled_from([None, "x", -1, [], {}, {"kept": 1}, "eJw="]))
    with contextlib.suppress(BadData):
        Profile.from_json(json.dumps(saved)).to_json()
