"""What workers of a Dask cluster execute, bare or for a flow."""

from time import sleep

import polars

FRAME_ROWS = 6_250_000  # of two columns of eight bytes: 100 MB


def nap(_: int) -> None:
    sleep(0.001)


def made(start: int, rows: int = FRAME_ROWS) -> polars.DataFrame:
    numbers = polars.int_range(start, start + rows, eager=True)
    return polars.DataFrame({"number": numbers, "part": numbers / 7})


def halved(frame: polars.DataFrame) -> polars.DataFrame:
    return frame.with_columns(number=polars.col("number") // 2)


def summed(frame: polars.DataFrame) -> int:
    return int(frame["number"].sum())
