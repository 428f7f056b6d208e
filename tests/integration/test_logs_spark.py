"""Logs counted by a real Spark, as a batch and as a stream that is killed; the embedded engine says the same."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.integration.spark_here import QUIET, needs_spark, settings_in, spark_in
from tests.patience import until
from tests.unit.log_lines import HOSTILE

from penstock import flow, task
from penstock.processing.logs import LogAnalyzer, LogReport, Traffic, access, generate
from penstock.processing.spark import SparkCounts, count_logs, follow_logs, read_counts, session

pytestmark = [pytest.mark.integration, QUIET]


MAY = datetime.datetime(2015, 5, 17, tzinfo=datetime.UTC)
SEVERAL_YEARS = 5 * 366 * 86400
ODD = [
    line for line in HOSTILE if (entry := access.read(line)) is None or abs(entry.at - MAY.timestamp()) < SEVERAL_YEARS
]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from spark_in(tmp_path_factory.mktemp("spark"))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    for number in range(4):
        generate(folder / f"{number}.log", Traffic(lines=3000, seed=number, malformed=5, start=MAY))
        (folder / f"{number}.log.planted.json").unlink()
    (folder / "odd.log").write_bytes(b"\n".join([*ODD, b"", b"  ", ODD[0]]))
    (folder / "packed.log.gz").write_bytes(gzip.compress((folder / "0.log").read_bytes()))
    (folder / "empty.log").write_bytes(b"")
    return folder


def same(counts: SparkCounts, report: LogReport) -> None:
    told = counts.persist().summary()
    here = [report.lines, report.parsed, report.malformed, report.skipped, report.bytes_sent]
    assert [told[name] for name in ("lines", "parsed", "malformed", "skipped", "bytes")] == here
    assert (told["statuses"], told["error_rate"]) == (report.statuses, report.error_rate)
    status = pl.col("status")
    minutes = pl.DataFrame(counts.minutes.toArrow()).group_by("time", maintain_order=True)
    by_minute = minutes.agg(
        pl.col("n").sum().alias("requests"),
        pl.col("n").filter(status >= 500).sum().alias("failed"),
        pl.col("bytes").sum(),
    )
    busy = report.minutes.filter(pl.col("requests") > 0).select("time", "requests", "failed", "bytes")
    assert by_minute.with_columns(pl.col("time").dt.cast_time_unit("ms")).rows() == busy.rows()
    paths = [{name: row[name] for name in ("path", "n", "refused", "failed", "bytes")} for row in report.paths.rows]
    assert [row.asDict() for row in counts.paths.limit(len(paths)).collect()] == paths
    counts.counts.unpersist()


def test_a_batch_says_what_the_embedded_engine_says(spark: Any, logs: Path) -> None:
    report = LogAnalyzer().analyze(logs)
    assert report.malformed > 30
    same(count_logs(spark, logs), report)


def test_what_is_written(spark: Any, logs: Path, tmp_path: Path) -> None:
    counts = count_logs(spark, [logs / "0.log", logs / "1.log"])
    counts.write(tmp_path)
    counts.write(tmp_path)
    report = LogAnalyzer().analyze([logs / "0.log", logs / "1.log"])
    minutes = pl.read_parquet(tmp_path / "minutes" / "*.parquet")
    assert int(minutes["n"].sum()) == report.requests
    assert pl.read_parquet(tmp_path / "paths" / "*.parquet").height == report.paths.distinct


def test_a_task_of_a_flow(spark: Any, logs: Path, tmp_path: Path) -> None:
    @task
    def count(path: str) -> dict[str, Any]:
        counts = count_logs(session("local[2]"), path).persist()
        counts.write(tmp_path / "counts")
        return counts.summary()

    @flow
    def counting(path: str) -> float:
        return float(count(path)["error_rate"])

    report = LogAnalyzer().analyze(logs / "0.log")
    assert counting(str(logs / "0.log")) == report.error_rate > 0


def test_nothing_at_all(spark: Any, logs: Path) -> None:
    told = count_logs(spark, logs / "empty.log").summary()
    assert (told["lines"], told["requests"], told["error_rate"], told["statuses"]) == (0, 0, 0.0, {})


def test_a_stream_goes_on_with_new_files(spark: Any, logs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for names in (["0.log"], ["1.log", "odd.log"], []):
        for name in names:
            os.link(logs / name, folder / name)
        follow_logs(spark, folder, tmp_path / "out", tmp_path / "checkpoint").awaitTermination()
        same(read_counts(spark, tmp_path / "out"), LogAnalyzer().analyze(folder))


STREAM = """
import json, sys
from penstock.processing.spark import follow_logs, session
settings, folder, out, checkpoint = json.loads(sys.argv[1]), *sys.argv[2:]
follow_logs(session("local[2]", settings), folder, out, checkpoint, files_at_once=1).awaitTermination()
"""


@pytest.mark.timeout(300)
def test_a_stream_that_is_killed(spark: Any, logs: Path, tmp_path: Path) -> None:
    needs_spark()
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(8):
        os.link(logs / f"{number % 4}.log", folder / f"{number}.log")
    places = [str(folder), str(tmp_path / "out"), str(tmp_path / "checkpoint")]
    command = [sys.executable, "-c", STREAM, json.dumps(settings_in(tmp_path)), *places]
    with (tmp_path / "spark.log").open("wb") as said:
        process = subprocess.Popen(command, start_new_session=True, stderr=said)

    def committed() -> bool:
        assert process.poll() is None, (tmp_path / "spark.log").read_text()[-2000:]
        return (tmp_path / "checkpoint" / "commits" / "1").exists()

    try:
        until(committed, "the second batch is committed", seconds=150)  # a JVM starts on a busy machine
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(list((tmp_path / "checkpoint" / "commits").glob("[0-9]*"))) < 8
    follow_logs(spark, *places, files_at_once=5).awaitTermination()
    same(read_counts(spark, tmp_path / "out"), LogAnalyzer().analyze(folder))
