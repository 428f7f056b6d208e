"""dlt: a pipeline from each source into each destination, as its documentation shows it, with what it says of speed.

What is set by variables is in peers.toml: telemetry is off, and buffers are larger than they come, as its page on
performance advises. That advises against normalizing with all cores of a machine, too: on two cores that is done by one
process. BENCH_PLAIN is dlt as it comes.
"""

import os
import sys
from pathlib import Path
from typing import Any

import dlt
from meter import Watch, inside, source

PLAIN = "BENCH_PLAIN" in os.environ
CHUNK = 100_000
DATASET, TABLE = "raw_data", "orders"


def csv_files(**options: Any) -> Any:
    """The file, read with pandas as it comes, or with DuckDB into Arrow, which is said to be faster."""
    from dlt.sources.filesystem import filesystem, read_csv, read_csv_duckdb

    path = Path(source())
    files = filesystem(bucket_url=path.parent.as_uri(), file_glob=path.name)
    reader = read_csv(**options) if PLAIN else read_csv_duckdb(chunk_size=CHUNK, use_pyarrow=True, **options)
    return (files | reader).with_name(TABLE)


def csv() -> Any:
    return csv_files(parse_dates=["ordered_at"]) if PLAIN else csv_files()


def retail() -> Any:
    if PLAIN:
        return csv_files(dtype={"InvoiceNo": str, "StockCode": str}, parse_dates=["InvoiceDate"])
    return csv_files(dtype={"InvoiceNo": "VARCHAR", "StockCode": "VARCHAR"})


def api() -> Any:
    from dlt.sources.rest_api import rest_api_source

    base, _, path = source().rpartition("/")
    paginator = {"type": "page_number", "base_page": 1, "total_path": "pages"}
    endpoint = {"path": path, "data_selector": "data", "paginator": paginator}
    return rest_api_source({"client": {"base_url": f"{base}/"}, "resources": [{"name": TABLE, "endpoint": endpoint}]})


def postgres() -> Any:
    from dlt.sources.sql_database import sql_table

    url = source().replace("postgresql://", "postgresql+psycopg2://", 1)
    if PLAIN:
        return sql_table(url, TABLE, backend="pyarrow", chunk_size=CHUNK)
    options = {"conn": source(), "return_type": "arrow_stream"}
    return sql_table(url, TABLE, backend="connectorx", chunk_size=CHUNK, backend_kwargs=options)


def pipeline(into: str) -> tuple[Any, dict[str, Any], dict[str, str]]:
    """The pipeline, what it is told to run with, and where the table will be."""
    if into == "lake":
        destination: Any = dlt.destinations.filesystem(bucket_url=Path(inside("lake")).as_uri())
        options, where = {"table_format": "delta"}, {"delta": f"lake/{DATASET}/{TABLE}"}
    else:
        destination = dlt.destinations.duckdb(inside("orders.duckdb"))
        # It comes with INSERT statements; Parquet is what it advises for speed.
        options = {} if PLAIN else {"loader_file_format": "parquet"}
        where = {"duckdb": "orders.duckdb", "table": f"{DATASET}.{TABLE}"}
    made = dlt.pipeline("bench", pipelines_dir=inside("dlt"), destination=destination, dataset_name=DATASET)
    return made, options, where


def main() -> None:
    what, _, into = sys.argv[1].partition("-")
    made, options, where = pipeline(into)
    reading = {"csv": csv, "retail": retail, "api": api, "postgres": postgres}[what]()
    watch = Watch()
    made.run(reading, **options).raise_on_failed_jobs()
    watch.tell(**where)


if __name__ == "__main__":
    main()
