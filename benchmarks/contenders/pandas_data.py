"""pandas: chunk by chunk, into Delta with deltalake, into DuckDB with its own client; no record of how far it came."""

import sys
from collections.abc import Iterator

import pandas as pd
from meter import Watch, inside, source

CHUNK = 100_000
PAGES = 100
LAKE, FILE = "orders", "orders.duckdb"


def csv() -> Iterator[pd.DataFrame]:
    yield from pd.read_csv(source(), chunksize=CHUNK, parse_dates=["ordered_at"])


def retail() -> Iterator[pd.DataFrame]:
    types = {"InvoiceNo": str, "StockCode": str}
    yield from pd.read_csv(source(), chunksize=CHUNK, dtype=types, parse_dates=["InvoiceDate"])


def api() -> Iterator[pd.DataFrame]:
    """A hundred pages make a frame."""
    import requests

    page, pages, rows = 1, 1, []
    with requests.Session() as session:
        while page <= pages:
            answer = session.get(source(), params={"page": page}, timeout=60)
            answer.raise_for_status()
            found = answer.json()
            rows += found["data"]
            pages = found["pages"]
            if page % PAGES == 0 or page == pages:
                frame = pd.DataFrame(rows)
                yield frame.assign(ordered_at=pd.to_datetime(frame["ordered_at"]))
                rows = []
            page += 1


def into_lake(frames: Iterator[pd.DataFrame]) -> dict[str, str]:
    import pyarrow as pa
    from deltalake import write_deltalake

    for frame in frames:
        write_deltalake(inside(LAKE), pa.Table.from_pandas(frame, preserve_index=False), mode="append")
    return {"delta": LAKE}


def into_duckdb(frames: Iterator[pd.DataFrame]) -> dict[str, str]:
    import duckdb

    with duckdb.connect(inside(FILE)) as connection:
        for place, frame in enumerate(frames):
            connection.register("frame", frame)
            connection.execute("INSERT INTO orders FROM frame" if place else "CREATE TABLE orders AS FROM frame")
            connection.unregister("frame")
    return {"duckdb": FILE, "table": "orders"}


def main() -> None:
    what, _, into = sys.argv[1].partition("-")
    frames = {"csv": csv, "retail": retail, "api": api}[what]()
    write = {"lake": into_lake, "duckdb": into_duckdb}[into]
    watch = Watch()
    watch.tell(**write(frames))


if __name__ == "__main__":
    main()
