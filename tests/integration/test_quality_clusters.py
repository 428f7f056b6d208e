"""Frames of a real Spark and of Dask get the verdicts that every other frame gets."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from tests.conftest import missing
from tests.integration.spark_here import QUIET, needs_spark, spark_in
from tests.unit.test_quality_frames import OVER_TABLES, ROWS, RULES, TABLE

from penstock.core.errors import BadData
from penstock.quality import DataValidator, RuleResult
from penstock.quality.gx import run_with_gx

pytestmark = [pytest.mark.integration, QUIET]
KINDS = "id long, name string, amount double, day date"


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from spark_in(tmp_path_factory.mktemp("spark"))


def in_dask(frame: pd.DataFrame, parts: int) -> Any:
    if importlib.util.find_spec("dask") is None:
        missing("Dask is not installed: pip install 'penstock[dask]'")
    import dask.dataframe as dd

    return dd.from_pandas(frame, npartitions=parts, sort=False)


def said(results: tuple[RuleResult, ...]) -> list[Any]:
    return [(each.verdict, each.checked, each.failed, each.nulls, each.observed, each.samples) for each in results]


@pytest.fixture(params=["dask-1", "dask-3", "spark-1", "spark-3"])
def frame(request: pytest.FixtureRequest) -> Any:
    kind, parts = request.param.split("-")
    if kind == "dask":
        return in_dask(TABLE.to_pandas(types_mapper=pd.ArrowDtype), int(parts))
    spark = request.getfixturevalue("spark")
    rows = [tuple(row.values()) for row in ROWS]
    return spark.createDataFrame(spark.sparkContext.parallelize(rows, int(parts)), KINDS)


def test_the_verdicts_are_those_of_every_frame(frame: Any) -> None:
    validator = DataValidator({"keys": "id", "rules": [*RULES, *OVER_TABLES[:1]]})
    tables = {"customers": {"name": ["Ada", "Eve"]}}
    wanted = validator.validate_dataset(TABLE, tables=tables)
    found = validator.validate_dataset(frame, tables=tables)
    assert (found.rows, found.columns, found.notes) == (3, 4, ())
    assert said(found.results) == said(wanted.results)
    turned = validator.validate_dataset(TABLE, tables={"customers": frame})
    assert turned.results[-1].good


def test_partitions_whose_types_differ() -> None:
    frame = pd.DataFrame({"x": [None, None, 1.5, 2.0], "y": ["a", None, None, "b"]})
    found = DataValidator(
        [{"rule": "not_null", "columns": ["x", "y"]}, {"rule": "sum", "column": "x", "min": 3.5, "max": 3.5}]
    ).validate_dataset(in_dask(frame, 2))
    assert [(each.verdict, each.failed) for each in found.results] == [("failed", 2), ("failed", 2), ("passed", None)]


def test_frames_without_rows(spark: Any) -> None:
    empty = spark.createDataFrame([], KINDS)
    report = DataValidator([{"rule": "type", "column": "day", "types": "date"}, RULES[5]]).validate_dataset(empty)
    assert (report.rows, [each.verdict for each in report.results]) == (0, ["passed", "failed"])
    frame = in_dask(pd.DataFrame({"x": [1, 2]}), 2)
    report = DataValidator([{"rule": "row_count", "equals": 0}]).validate_dataset(frame[frame.x > 5])
    assert report.passed


def test_frames_that_cannot_be_computed(spark: Any) -> None:
    def fails(part: Any) -> Any:
        raise ZeroDivisionError("nothing to divide")

    dask = in_dask(pd.DataFrame({"x": [1, 2]}), 2).map_partitions(fails, meta={"x": "i8"})
    with pytest.raises(BadData, match=r"Partition 0 of the Dask frame cannot be computed: nothing to divide"):
        DataValidator(RULES).validate_dataset(dask)
    frame = spark.range(3).mapInArrow(fails, "x long")
    with pytest.raises(BadData, match=r"The Spark frame cannot be computed: ZeroDivisionError: nothing to divide"):
        DataValidator(RULES).validate_dataset(frame)
    endless = spark.readStream.format("rate").load()
    with pytest.raises(BadData, match=r"has no end"):
        DataValidator(RULES).validate_dataset(endless)


def test_great_expectations_on_a_frame_of_spark(spark: Any) -> None:
    if importlib.util.find_spec("great_expectations") is None:
        missing("Great Expectations is not installed: pip install 'penstock[gx]'")
    needs_spark()
    frame = spark.createDataFrame([tuple(row.values()) for row in ROWS], KINDS)
    report = run_with_gx(DataValidator(RULES[:3]).validation_rules, frame)
    assert [(each.verdict, each.failed) for each in report.results] == [("failed", 2), ("failed", 1), ("failed", 1)]
    assert report.rows == 3
