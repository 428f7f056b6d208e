"""influxdb-client: its batching API, which writes in the background, given points or the frames of pandas."""

import os
from collections.abc import Iterator
from typing import Any

import pandas as pd
from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision
from meter import Watch, source

FRAMES = "BENCH_FRAMES" in os.environ
MEASUREMENT = os.environ["BENCH_MEASUREMENT"]
BATCH = 10_000
TAGS = ["sensor", "room"]


def frames() -> Iterator[pd.DataFrame]:
    yield from pd.read_csv(source(), chunksize=50_000, parse_dates=["at"])


def points() -> Iterator[Point]:
    for frame in frames():
        for at, sensor, room, temperature, humidity in frame.itertuples(index=False):
            point = Point(MEASUREMENT).tag("sensor", sensor).tag("room", room)
            yield point.field("temperature", temperature).field("humidity", humidity).time(at, WritePrecision.MS)


def main() -> None:
    failed: list[object] = []

    def refused(_: Any, __: str, error: Exception) -> None:
        failed.append(error)

    watch = Watch()
    with InfluxDBClient(os.environ["BENCH_SINK"], token="none", org="bench", enable_gzip=True) as client:
        options = WriteOptions(batch_size=BATCH, flush_interval=1_000)
        with client.write_api(write_options=options, error_callback=refused) as writing:
            if FRAMES:
                for frame in frames():
                    about = {"data_frame_measurement_name": MEASUREMENT, "data_frame_tag_columns": TAGS}
                    writing.write("bench", record=frame, data_frame_timestamp_column="at", **about)
            else:
                writing.write("bench", record=points(), write_precision=WritePrecision.MS)
    if failed:
        raise SystemExit(f"error: {failed[0]}")
    watch.tell()


if __name__ == "__main__":
    main()
