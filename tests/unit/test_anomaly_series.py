"""Series with times: out of order, repeated, with gaps, on clocks that are put back; and the history of a dataset."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from penstock.core.datasets import DatasetWritten
from penstock.core.errors import BadData, ConfigurationError, DatasetNotFound
from penstock.core.ports.data import Counts, Place
from penstock.engine import datasets
from penstock.journal.memory import MemoryJournal
from penstock.quality.anomalies import (
    Observation,
    anomalies,
    anomalies_of,
    history_of,
    metric_anomalies,
    profiled,
    writings,
)
from penstock.quality.anomalies.times import gridded, period_of, timed

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC)


def hours(count: int) -> list[datetime.datetime]:
    return [START + datetime.timedelta(hours=place) for place in range(count)]


def daily(count: int) -> Any:
    times = np.arange(count)
    return 20 + 8 * np.sin(times * 2 * np.pi / 24) + np.random.default_rng(1).normal(0, 0.5, count)


def test_a_period_is_told_from_the_times() -> None:
    values = daily(24 * 20)
    values[24 * 17 + 3] = 20.0
    report = anomalies(values, hours(len(values)), method="seasonal")
    assert report.settings["period"] == 24
    assert [each.start for each in report.anomalies] == [START + 17 * DAY + datetime.timedelta(hours=3)]
    assert "a period of 24 values was told from the times" in report.notes


def test_rows_out_of_order_are_put_in_order() -> None:
    values, times = daily(24 * 20), hours(24 * 20)
    values[100] = 90.0
    order = np.random.default_rng(2).permutation(len(values))
    report = anomalies(values[order], [times[place] for place in order], method="seasonal")
    straight = anomalies(values, times, method="seasonal")
    assert [each.start for each in report.anomalies] == [each.start for each in straight.anomalies]
    assert order[report.anomalies[0].row] == straight.anomalies[0].row == 100
    assert "the rows were put in order" in report.notes[0]


def test_times_that_repeat_and_values_without_one_are_told() -> None:
    times = [*hours(50), *hours(50), None]
    report = anomalies(np.ones(101), times, method="mad")
    assert report.rows == 100
    assert report.notes[0] == "without a time, and left out: 1 value"
    assert report.notes[-1] == "with a time that another one has, too: 50 values"


def test_a_gap_is_left_open() -> None:
    values, times = daily(24 * 20), hours(24 * 20)
    kept = [place for place in range(len(values)) if not 200 <= place < 211]
    values[300] = 60.0
    report = anomalies(values[kept], [times[place] for place in kept], method="seasonal")
    assert "missing in between: 11 values" in report.notes
    assert [(each.start, each.row) for each in report.anomalies] == [(times[300], 289)]


@pytest.mark.parametrize(
    "times",
    [
        ["2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z", "2026-03-02T02:00:00Z"],
        ["2026-03-02 00:00", "2026-03-02 01:00", "2026-03-02 02:00"],
        [1772409600, 1772413200, 1772416800],
        np.array([1772409600.0, 1772413200.0, 1772416800.0]),
        pl.Series(hours(3)),
        np.array(["2026-03-02T00", "2026-03-02T01", "2026-03-02T02"], dtype="datetime64[s]"),
    ],
    ids=["utc", "short", "seconds", "floats", "polars", "numpy"],
)
def test_times_of_any_kind(times: Any) -> None:
    assert timed(times, np.ones(3)).times.to_list() == hours(3)


@pytest.mark.parametrize(
    "times", [["a", "b"], [True, False], [object(), object()], [[1], [2]], [START]], ids=str.__class__
)
def test_what_is_no_time_is_told(times: Any) -> None:
    with pytest.raises(BadData):
        timed(times, np.ones(2))


def test_the_hour_that_comes_twice() -> None:
    clocks = [datetime.datetime(2026, 10, 25, hour, minute) for hour in (1, 2) for minute in (0, 30)]
    clocks += [datetime.datetime(2026, 10, 25, hour, minute) for hour in (2, 3) for minute in (0, 30)]
    series = timed(clocks, np.arange(8.0), "Europe/Berlin")
    assert series.interval == 1800
    assert np.diff(series.seconds).tolist() == [1800] * 7
    assert series.notes == []


def test_the_hour_that_never_comes_has_no_time() -> None:
    clocks = [datetime.datetime(2026, 3, 29, hour, 30) for hour in (1, 2, 3)]
    series = timed(clocks, np.arange(3.0), "Europe/Berlin")
    assert series.rows.tolist() == [0, 2]
    with pytest.raises(ConfigurationError, match="no time zone"):
        timed(clocks, np.arange(3.0), "Europe/Atlantis")


def test_periods_and_grids() -> None:
    assert period_of(timed(hours(100), np.ones(100))) == 24
    assert period_of(timed(hours(40), np.ones(40))) == 0
    assert period_of(timed([START + place * DAY for place in range(30)], np.ones(30))) == 7
    assert period_of(timed([START] * 5, np.ones(5))) == 0
    assert gridded(timed([START] * 5, np.ones(5))) is None
    assert gridded(timed([], np.ones(0))) is None
    uneven = [START + datetime.timedelta(seconds=place**2) for place in range(30)]
    assert gridded(timed(uneven, np.ones(30))) is None


def test_series_of_nothing() -> None:
    for values, times in (([], []), ([], None), ([None] * 5, hours(5)), ([1.0], hours(1))):
        assert anomalies(values, times).anomalies == ()


def test_a_file(tmp_path: Path) -> None:
    values = daily(24 * 20)
    values[300] = 60.0
    path = tmp_path / "load.csv"
    pl.DataFrame({"at": hours(480), "load": values, "where": "a"}).write_csv(path)
    report = anomalies_of(path, "load", "at", method="seasonal")
    assert report.name == "load"
    assert [each.start for each in report.anomalies] == [hours(480)[300]]
    with pytest.raises(ConfigurationError, match="no column 'lod'"):
        anomalies_of(path, "lod", "at")
    with pytest.raises(ConfigurationError, match="holds no numbers"):
        anomalies_of(path, "where", "at")
    with pytest.raises(ConfigurationError, match="no column 'when'"):
        anomalies_of(path, "load", "when")
    with pytest.raises(BadData):
        anomalies_of(tmp_path / "none.csv", "load")


def test_strange_values_close_together_are_one_anomaly() -> None:
    values = np.random.default_rng(3).normal(size=400)
    values[[300, 301, 303]] = 50.0, 60.0, 40.0
    values[350] = 50.0
    found = anomalies(values, method="mad").anomalies
    assert [(each.row, each.points, each.value) for each in found] == [(300, 3, 60.0), (350, 1, 50.0)]


def written(day: int, landed: int, *, rejected: int = 0, hour: int = 6) -> DatasetWritten:
    at = START + day * DAY + datetime.timedelta(hours=hour)
    micros = int(at.timestamp() * 1_000_000)
    place: dict[str, Any] = {"place": "file/a", "namespace": "file", "path": "a"}
    return DatasetWritten(at=micros, **place, read=landed + rejected, landed=landed, rejected=rejected)


def test_volume_and_rejected_records() -> None:
    history = [written(day, 1000 + 7 * (day % 3)) for day in range(12)]
    history += [written(12, 90), written(13, 1000, rejected=400)]
    found = metric_anomalies(writings(history))
    assert [(each.metric, each.at.day) for each in found] == [("volume", 14), ("rejected", 15)]
    assert found[0].reason == "90 rows were written where 1,007 are usual"
    assert found[1].reason == "28.6% of the records were rejected where 0.0% is usual"


def test_the_history_of_a_dataset_on_record() -> None:
    journal = MemoryJournal()
    place = Place("file", "a")
    for rows in (100, 101, 102, 100, 101, 5):
        datasets.wrote(journal, place, datasets.Written(Counts(read=rows, landed=rows)))
    found = history_of(str(place), journal)
    assert [each.value for each in found if each.metric == "volume"] == [100, 101, 102, 100, 101, 5]
    strange = [each for each in metric_anomalies(found) if each.metric == "volume"]
    assert [each.value for each in strange] == [5]
    with pytest.raises(DatasetNotFound):
        history_of("nothing", journal)


def test_nulls_of_what_was_written() -> None:
    journal, place = MemoryJournal(), Place("file", "a")
    for nulls in ({}, {"b": 1}, {}, {"b": 1}, {}, {"a": 40, "b": 2}):
        what = datasets.Written(Counts(read=100, landed=100), looked_at=100, nulls=nulls)
        datasets.wrote(journal, place, what)
    datasets.wrote(journal, place, datasets.Written(Counts(read=100, landed=100)))  # nobody has counted
    found = history_of(str(place), journal)
    rates = [(each.column, each.value) for each in found if each.metric == "null_rate"]
    assert [value for column, value in rates if column == "a"] == [0, 0, 0, 0, 0, 0.4]
    assert [value for column, value in rates if column == "b"] == [0, 0.01, 0, 0.01, 0, 0.02]
    strange = [each for each in metric_anomalies(found) if each.metric == "null_rate"]
    assert [each.reason for each in strange] == ["40.0% of a is null where 0.0% is usual"]


def test_freshness() -> None:
    history = [written(day, 1000) for day in range(12)]
    late = metric_anomalies(writings([*history, written(15, 1000)]))
    assert [(each.metric, each.reason) for each in late] == [
        ("freshness", "4.0 days went by without a writing where 1.0 days is usual")
    ]
    soon = START + 11 * DAY + datetime.timedelta(hours=9)
    assert metric_anomalies(writings(history), now=soon) == []
    overdue = metric_anomalies(writings(history), now=START + 14 * DAY)
    assert [each.metric for each in overdue] == ["freshness"]


def test_what_is_usual_on_its_day_of_the_week_is_none() -> None:
    sizes = [200 if day % 7 in (5, 6) else 5000 for day in range(70)]
    early = metric_anomalies(writings(written(day, size) for day, size in enumerate(sizes)))
    assert max(each.at for each in early) < START + 5 * 7 * DAY  # five of a day have to be known
    sizes[65] = 200
    late = metric_anomalies(writings(written(day, size) for day, size in enumerate(sizes)))
    assert (START + 65 * DAY).date() in [each.at.date() for each in late]


def test_metrics_of_profiles() -> None:
    history = [
        (
            START + day * DAY,
            {"amount": {"null_rate": 0.02 if day < 9 else 0.4, "mean": 31.0 + day % 2, "distinct": None}},
        )
        for day in range(10)
    ]
    found = metric_anomalies(profiled(history))
    assert [each.reason for each in found] == ["40.0% of amount is null where 2.0% is usual"]


def test_short_histories_say_nothing() -> None:
    assert metric_anomalies([]) == []
    assert metric_anomalies([Observation(START + day * DAY, "volume", 10.0**day) for day in range(5)]) == []
    assert metric_anomalies([Observation(START, "volume", float("nan"))], now=START) == []
