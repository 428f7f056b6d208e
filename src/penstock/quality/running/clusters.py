"""Frames of Dask and Spark, piece by piece: no more of them is here at a time than a partition."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from penstock.core.errors import BadData
from penstock.core.extras import require
from penstock.quality.running.words import first_line

_CAUSE = re.compile(r"^((?!org\.|java\.|py4j\.|Caused by)[\w.]*(?:Error|Exception): .+)$", re.MULTILINE)


def dask_parts(frame: Any) -> Iterator[Any]:
    """The partitions of a Dask frame as pandas frames; each is computed when it is asked for.

    Raises:
        BadData: one of them cannot be computed.
    """
    if type(frame).__name__ == "Series":
        frame = frame.to_frame()
    for place in range(frame.npartitions):
        try:
            yield frame.partitions[place].compute()
        except Exception as error:  # whatever the graph of the frame raises
            raise BadData(f"Partition {place} of the Dask frame cannot be computed: {first_line(error)}") from error


def spark_reader(frame: Any) -> Any:
    """The rows of a Spark frame as an Arrow reader, partition by partition; the executors need PyArrow, no more.

    Raises:
        BadData: it never ends, or cannot be computed.
    """
    arrow = require("pyarrow", "quality")
    if frame.isStreaming:
        raise BadData("A streaming frame of Spark has no end.", hint="validate each batch of it: foreachBatch")
    batches = _unpacked(frame)
    first = next(batches, None)
    if first is None:
        types = require("pyspark.sql.pandas.types", "spark")
        return arrow.RecordBatchReader.from_batches(types.to_arrow_schema(frame.schema), [])
    return arrow.RecordBatchReader.from_batches(first.schema, itertools.chain([first], batches))


def _unpacked(frame: Any) -> Iterator[Any]:
    arrow = require("pyarrow", "quality")

    def packed(batches: Iterable[Any]) -> Iterator[Any]:  # sent by value: executors do not know Penstock
        import pyarrow as pa

        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield pa.RecordBatch.from_arrays([pa.array([sink.getvalue().to_pybytes()], pa.binary())], ["rows"])

    try:
        for row in frame.mapInArrow(packed, "rows binary").toLocalIterator():
            yield from arrow.ipc.open_stream(row.rows)
    except Exception as error:  # whatever the plan of the frame raises; Java's errors have no class of their own
        raise BadData(f"The Spark frame cannot be computed: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """What went wrong in the Python of an executor, or else what Spark says."""
    found = _CAUSE.findall(str(error))
    return str(found[0]) if found else first_line(error)
