"""What Penstock promises of logs, rules and profiles, and how that is read from the results."""

from harness.data_budgets import SPREAD, Read, faster, grown, longest
from harness.readings import Results
from harness.results import median, row_of
from harness.words import ratio

LOGS, CHECKS = "penstock-logs", "penstock-validator"
VALIDATORS = ("pandera", "pointblank", "soda", "gx")
SIZES = {"logs": 2_000, "logs-large": 10_000, "validator": 10_000_000, "profile": 10_000_000}
"""What the promises are about: a smaller log or table shows nothing."""

LIMIT_MB = 1_000


def _read(results: Results, topic: str, contender: str, metric: str) -> float | None:
    return median(row_of(results.get(topic), contender, SIZES[topic]), metric)


def memory_below(topic: str, contender: str) -> Read:
    def read(results: Results) -> tuple[float, str] | None:
        value = _read(results, topic, contender, "peak_mb")
        return None if value is None else (value, f"{value:,.0f} MB")

    return read


def memory_of(topic: str, contender: str, other: str) -> Read:
    """Read a memory peak as a multiple of another contender's."""

    def read(results: Results) -> tuple[float, str] | None:
        own, base = (_read(results, topic, name, "peak_mb") for name in (contender, other))
        if own is None or not base:
            return None
        return own / base, f"{ratio(own, base)} ({own:,.0f} MB, {base:,.0f} MB)"

    return read


def not_slower(topic: str, contender: str, other: str) -> Read:
    def read(results: Results) -> tuple[float, str] | None:
        own, base = (_read(results, topic, name, "seconds") for name in (contender, other))
        return (own / base, ratio(own, base)) if own is not None and base else None

    return read


def whatever_size(results: Results) -> tuple[float, str] | None:
    """Read how the memory of a log of 10 GB compares with one of 2 GB."""
    both = {"rows": [row for topic in ("logs", "logs-large") for row in results.get(topic, {"rows": []})["rows"]]}
    return grown("logs", LOGS, (SIZES["logs-large"], "peak_mb"), (SIZES["logs"], "peak_mb"), "MB")({"logs": both})


TRUST: tuple[tuple[str, Read, float], ...] = (
    ("2 GB of log, the full analysis: not slower than a bare Polars query", not_slower("logs", LOGS, "polars-logs"), 1),
    ("the same: less than two thirds of its memory", memory_of("logs", LOGS, "polars-logs"), 2 / 3),
    (
        "the same: at least 2.5 times as fast as DuckDB's regex",
        faster("logs", 2.5, LOGS, "duckdb-logs"),
        1,
    ),
    ("the same: at least 5 times as fast as Dask", faster("logs", 5, LOGS, "dask-logs"), 1),
    ("10 GB of log: below 1 GB of memory", memory_below("logs-large", LOGS), LIMIT_MB),
    ("the same: less than two thirds of a bare Polars query's", memory_of("logs-large", LOGS, "polars-logs"), 2 / 3),
    ("memory of a log of 10 GB: at most 1.25 times that of one of 2 GB", whatever_size, SPREAD),
    ("50,000 lines a second followed: lag p99 at most 1 s", longest("follow", "penstock-follow", "p99"), 1),
    ("twelve rules: at most 1.3 times a bare Polars query", not_slower("validator", CHECKS, "polars-checks"), 1.3),
    ("the same: below 1 GB of memory", memory_below("validator", CHECKS), LIMIT_MB),
    ("the same: ahead of every other validator", faster("validator", 1, CHECKS, *VALIDATORS), 1),
    ("a profile of ten million rows: below 1 GB of memory", memory_below("profile", "penstock-profile"), LIMIT_MB),
)
"""Promise, how it is read, and the limit that the reading may not exceed."""
