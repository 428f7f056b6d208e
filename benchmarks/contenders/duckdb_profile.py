"""DuckDB: SUMMARIZE over the file."""

from datetime import datetime
from typing import Any

import duckdb
from meter import Watch, source
from order_rules import micros

KINDS: dict[str, Any] = {"BIGINT": int, "INTEGER": int, "DOUBLE": float, "VARCHAR": str}
KINDS["TIMESTAMP"] = lambda told: micros(datetime.fromisoformat(told))


def main() -> None:
    watch = Watch()
    columns = {}
    with duckdb.connect() as connection:
        cursor = connection.execute(f"SUMMARIZE SELECT * FROM read_parquet('{source()}')")
        names = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            told = dict(zip(names, row, strict=True))
            value = KINDS[told["column_type"]]
            # The share of nulls is told with two digits behind the point: too few to count them.
            columns[told["column_name"]] = {
                "rows": told["count"],
                "distinct": told["approx_unique"],
                "min": value(told["min"]),
                "max": value(told["max"]),
            }
    watch.tell(columns=columns, how="nulls as a share, rounded")


if __name__ == "__main__":
    main()
