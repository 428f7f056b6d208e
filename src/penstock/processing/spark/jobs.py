"""Jobs of Spark: requests and bytes by minute and status, by path, and where every line has gone.

Executors count chunks of lines, and Spark adds the counts up. That is so of a stream, too: each of its batches lands
its counts, exactly once, and whoever reads them adds them up. So nothing is ever late, and what is told is what a
batch job tells of the same files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from penstock.core.extras import LateExtra
from penstock.processing.spark.counting import COLUMNS, counted

functions: Any = LateExtra("pyspark.sql.functions", "spark")

_SUMS = ("n", "refused", "failed", "bytes")


class SparkCounts:
    """What was counted; nothing is read before it is asked for.

    Args:
        counts: rows of `penstock.processing.spark.counting.COLUMNS`, to be added up.

    Attributes:
        counts: the same.
    """

    def __init__(self, counts: Any) -> None:
        self.counts = counts

    @property
    def minutes(self) -> Any:
        """A Spark frame: `time`, `status`, `n`, `bytes`, in the order of time."""
        found = self._of("minute").groupBy("minute", "status").agg(*self._added("n", "bytes"))
        time = functions.timestamp_seconds(functions.col("minute") * 60).alias("time")
        return found.orderBy("minute", "status").select(time, "status", "n", "bytes")

    @property
    def paths(self) -> Any:
        """A Spark frame: `path`, `n`, `refused` (4xx), `failed` (5xx), `bytes`, the most frequent first."""
        found = self._of("path").groupBy("path").agg(*self._added(*_SUMS))
        text = functions.col("path").cast("string").alias("path")
        return found.select(text, *_SUMS).orderBy(functions.desc("n"), "path")

    def summary(self) -> dict[str, Any]:
        """`lines`, `parsed`, `malformed`, `skipped`, `requests`, `bytes`, `statuses` and `error_rate` (5xx)."""
        told = {row.what: row.n for row in self.counts.groupBy("what").agg(*self._added("n")).collect()}
        statuses = self._of("minute").groupBy("status").agg(*self._added("n", "bytes")).orderBy("status").collect()
        requests = sum(row.n for row in statuses)
        lines = {name: told.get(name, 0) for name in ("lines", "malformed", "skipped")}
        return {
            **lines,
            "parsed": lines["lines"] - lines["malformed"] - lines["skipped"],
            "requests": requests,
            "bytes": sum(row.bytes for row in statuses),
            "statuses": {row.status: row.n for row in statuses},
            "error_rate": sum(row.n for row in statuses if row.status >= 500) / requests if requests else 0.0,
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Put `minutes` and `paths` into folders of Parquet files, in the place of what is there."""
        for name, frame in (("minutes", self.minutes), ("paths", self.paths)):
            frame.coalesce(1).write.mode("overwrite").parquet(f"{os.fspath(folder)}/{name}")

    def persist(self) -> SparkCounts:
        """Keep the counts, so that the logs are read once however much is asked."""
        self.counts.persist()
        return self

    def _of(self, what: str) -> Any:
        return self.counts.filter(functions.col("what") == what)

    def _added(self, *names: str) -> list[Any]:
        return [functions.sum(name).alias(name) for name in names]


def count_logs(spark: Any, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> SparkCounts:
    """Count access logs, as a batch job.

    Args:
        spark: a session.
        paths: files, folders or patterns that Spark can read, such as `s3a://logs/2026/*.gz`.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    return SparkCounts(_counting(spark.read, [os.fspath(path) for path in given]))


def follow_logs(
    spark: Any,
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str],
    *,
    every: str | None = None,
    files_at_once: int | None = None,
) -> Any:
    """Count the access logs that come into a folder, as a stream; `read_counts` tells what was counted.

    Each file is counted once, also when the stream is killed and started again with the same checkpoint. A file has to
    be complete when it gets its name.

    Args:
        spark: a session.
        folder: where they come.
        out: a folder for the counts, as Parquet files.
        checkpoint: a folder where Spark keeps how far it is.
        every: how often it looks, such as `10 seconds`; by default it ends when everything that is there is counted.
        files_at_once: so many at most in a batch.

    Returns:
        The running query; `awaitTermination()` waits for its end.
    """
    reader = spark.readStream
    if files_at_once is not None:
        reader = reader.option("maxFilesPerTrigger", files_at_once)
    sink = _counting(reader, os.fspath(folder)).writeStream.format("parquet").outputMode("append")
    sink = sink.option("checkpointLocation", os.fspath(checkpoint))
    sink = sink.trigger(availableNow=True) if every is None else sink.trigger(processingTime=every)
    return sink.start(os.fspath(out))


def read_counts(spark: Any, out: str | os.PathLike[str]) -> SparkCounts:
    """What a stream has counted so far."""
    return SparkCounts(spark.read.parquet(os.fspath(out)))


def _counting(reader: Any, paths: Any) -> Any:
    lines = reader.option("lineSep", "\n").text(paths).select(functions.col("value").cast("binary"))
    schema = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    return lines.mapInArrow(counted, schema)
