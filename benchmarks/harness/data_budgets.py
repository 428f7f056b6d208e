"""What Penstock promises of bringing data in, and how that is read from the results."""

from collections.abc import Callable

from harness.readings import Reading, Results
from harness.results import median, row_of
from harness.words import duration, in_unit, three_digits

Read = Callable[[Results], Reading]
SPREAD = 1.25
"""Growth up to here is called none: measurements of the same thing differ that much."""


def faster(topic: str, factor: float, own: str, *others: str) -> Read:
    """Read how many times as fast as the quickest of the others; at most 1 where it is `factor` times or more."""

    def read(results: Results) -> Reading:
        result = results.get(topic)
        if result is None:
            return None
        metric = result["primary"]
        value = median(row_of(result, own), metric)
        found = [row for row in (row_of(result, name) for name in others) if row is not None]
        best = min(found, key=lambda row: row["metrics"][metric]["median"], default=None)
        if best is None or not value:
            return None
        times = best["metrics"][metric]["median"] / value
        return factor / times, f"{three_digits(times)}x ({best['label']})"

    return read


def grown(topic: str, contender: str, many: tuple[int, str], few: tuple[int, str], unit: str = "s") -> Read:
    """Read how many times as large a metric is: each is told by a size of the row, and its name."""

    def read(results: Results) -> Reading:
        result = results.get(topic)
        late, early = (median(row_of(result, contender, size), metric) for size, metric in (many, few))
        if late is None or not early:
            return None
        return late / early, f"{three_digits(late / early)}x ({told(early, unit)} before, {told(late, unit)} after)"

    return read


def told(value: float, unit: str) -> str:
    return in_unit(value, unit) if unit != "s" else duration(value)


def longest(topic: str, contender: str, metric: str) -> Read:
    def read(results: Results) -> Reading:
        value = median(row_of(results.get(topic), contender), metric)
        return None if value is None else (value, duration(value))

    return read


OWN = "penstock-data"
DLT = ("dlt", "dlt-plain")
DEBEZIUM = ("debezium", "debezium-jvm")
POLARS = ("connectorx", "connectorx-parts")
DATA: tuple[tuple[str, Read, float], ...] = (
    ("CSV to Delta: at least 3 times as fast as dlt", faster("csv-lake", 3, OWN, *DLT), 1),
    ("CSV to DuckDB: at least 3 times as fast as dlt", faster("csv-duckdb", 3, OWN, *DLT), 1),
    ("Online Retail to Delta: at least 3 times as fast as dlt", faster("retail-lake", 3, OWN, *DLT), 1),
    ("Online Retail to DuckDB: at least 3 times as fast as dlt", faster("retail-duckdb", 3, OWN, *DLT), 1),
    ("API to Delta: at least 3 times as fast as dlt", faster("api-lake", 3, OWN, *DLT), 1),
    ("API to DuckDB: at least 3 times as fast as dlt", faster("api-duckdb", 3, OWN, *DLT), 1),
    (
        "memory bounded: CSV to Delta, 10,000,000 rows at most 1.25 times as much as 1,000,000",
        grown("linear", "penstock-linear-lake", (10_000_000, "peak_mb"), (1_000_000, "peak_mb"), "MB"),
        SPREAD,
    ),
    (
        "memory bounded: CSV to DuckDB, 10,000,000 rows at most 1.25 times as much as 1,000,000",
        grown("linear", "penstock-linear-duckdb", (10_000_000, "peak_mb"), (1_000_000, "peak_mb"), "MB"),
        SPREAD,
    ),
    (
        "PostgreSQL to Delta: at least as fast as ConnectorX and Polars",
        faster("postgres-lake", 1, OWN, *POLARS),
        1,
    ),
    (
        "changes of PostgreSQL, decoded: at least twice as fast as Debezium's engine",
        faster("cdc", 2, "penstock-cdc-log", *DEBEZIUM),
        1,
    ),
    (
        "changes of PostgreSQL, landed in DuckDB: at least twice as fast as Debezium's engine reads them",
        faster("cdc", 2, "penstock-cdc-duckdb", *DEBEZIUM),
        1,
    ),
    ("5,000 changes a second into DuckDB: lag p99 at most 1 s", longest("cdc-lag", "penstock-cdc-duckdb", "p99"), 1),
    ("5,000 changes a second into Delta: lag p99 at most 1 s", longest("cdc-lag", "penstock-cdc-lake", "p99"), 1),
    (
        "Kafka to Delta: at least 60 % of a bare consumer as it comes",
        faster("kafka-lake", 0.6, OWN, "kafka-poll"),
        1,
    ),
    (
        "Kafka to Delta: at least 60 % of a bare consumer with the settings that Penstock gives it",
        faster("kafka-lake", 0.6, OWN, "kafka-tuned"),
        1,
    ),
    (
        "linear growth: a row of 10,000,000 into Delta at most 1.25 times one of 1,000,000",
        grown("linear", "penstock-linear-lake", (10_000_000, "row_seconds"), (1_000_000, "row_seconds")),
        SPREAD,
    ),
    (
        "linear growth: a row of 10,000,000 into DuckDB at most 1.25 times one of 1,000,000",
        grown("linear", "penstock-linear-duckdb", (10_000_000, "row_seconds"), (1_000_000, "row_seconds")),
        SPREAD,
    ),
    *(
        (
            f"flat: a commit into {label} after 10,000 at most 1.25 times one of the first 100",
            grown("history", f"penstock-history-{name}", (10_000, "commit_10000"), (10_000, "commit_100")),
            SPREAD,
        )
        for name, label in (("lake", "Delta"), ("duckdb", "DuckDB"), ("postgres", "PostgreSQL"))
    ),
)
"""Promise, how it is read, and the limit that the reading may not exceed."""
