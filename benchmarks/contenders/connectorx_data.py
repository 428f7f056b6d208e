"""ConnectorX and Polars: the whole table in memory, and from there into Delta. No record of how far it came."""

import os

import polars as pl
from meter import Watch, inside, source

LAKE = "orders"


def main() -> None:
    parts = int(os.environ.get("BENCH_PARTITIONS", "1"))
    options = {"partition_on": "id", "partition_num": parts} if parts > 1 else {}
    watch = Watch()
    frame = pl.read_database_uri("SELECT * FROM orders", source(), engine="connectorx", **options)
    frame.write_delta(inside(LAKE))
    watch.tell(delta=LAKE)


if __name__ == "__main__":
    main()
