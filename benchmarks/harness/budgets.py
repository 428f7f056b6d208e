"""What Penstock promises to be, and whether the results say that it is."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.results import Result, median, row_of
from harness.words import duration, ratio, share

Results = dict[str, Result]
Reading = tuple[float, str] | None


@dataclass(frozen=True)
class Budget:
    """One promise: a reading of the results that may not exceed (where `exactly`: must equal) its limit."""

    promise: str
    read: Callable[[Results], Reading]
    limit: float
    exactly: bool = False

    def verdict(self, results: Results) -> tuple[str, str]:
        """Return what was measured, and the verdict on it."""
        reading = self.read(results)
        if reading is None:
            return "not measured", "not measured"
        value, shown = reading
        met = value == self.limit if self.exactly else value <= self.limit
        return shown, "met" if met else "**NOT met**"


def _seconds(topic: str, metric: str, contender: str, size: int | None = None) -> Callable[[Results], Reading]:
    def read(results: Results) -> Reading:
        value = median(row_of(results.get(topic), contender, size), metric)
        return None if value is None else (value, duration(value))

    return read


def _quotient(topic: str, above: tuple[str, int, str], below: tuple[str, int, str]) -> Callable[[Results], Reading]:
    def read(results: Results) -> Reading:
        values = [median(row_of(results.get(topic), name, size), metric) for name, size, metric in (above, below)]
        if values[0] is None or not values[1]:
            return None
        return values[0] / values[1], ratio(values[0], values[1])

    return read


def _megabytes(results: Results) -> Reading:
    value = median(row_of(results.get("sequential"), "penstock", 10_000), "peak_mb")
    return None if value is None else (value, f"{value:.0f} MB")


def _on_record(results: Results) -> Reading:
    """Read the smallest share on record at exit among all of Penstock's rows."""
    shares = []
    for result in results.values():
        for row in result["rows"]:
            executed, recorded = median(row, "executed"), median(row, "recorded_at_exit")
            if row["contender"].startswith("penstock") and executed and recorded is not None:
                shares.append((recorded / executed, share(recorded, executed)))
    return min(shares) if shares else None


def _repeated(results: Results) -> Reading:
    value = median(row_of(results.get("kill"), "penstock"), "repeated")
    return None if value is None else (value, f"{value:g}")


TASK = "task_seconds"
BUDGETS = (
    Budget("`import penstock`: at most 60 ms", _seconds("import", "seconds", "penstock"), 0.060),
    Budget("hello, fresh process, durable: at most 150 ms", _seconds("hello", "seconds", "penstock"), 0.150),
    Budget("sequential task at 1,000: at most 80 µs", _seconds("sequential", TASK, "penstock", 1_000), 80e-6),
    Budget("sequential task at 10,000: at most 80 µs", _seconds("sequential", TASK, "penstock", 10_000), 80e-6),
    Budget(
        "sequential task at 1,000: at most 4 bare SQLite commits",
        _quotient("sequential", ("penstock", 1_000, TASK), ("floor", 1_000, TASK)),
        4,
    ),
    Budget(
        "sequential task at 10,000: at most 4 bare SQLite commits",
        _quotient("sequential", ("penstock", 10_000, TASK), ("floor", 10_000, TASK)),
        4,
    ),
    Budget(
        'with `durability = "full"`, at 1,000: at most 220 µs',
        _seconds("sequential", TASK, "penstock-full", 1_000),
        220e-6,
    ),
    Budget(
        'with `durability = "full"`, at 1,000: at most 2 bare SQLite commits with fsync',
        _quotient("sequential", ("penstock-full", 1_000, TASK), ("floor-full", 1_000, TASK)),
        2,
    ),
    Budget(
        "linear growth: a task at 100,000 costs no more than at 1,000",
        _quotient("sequential", ("penstock", 100_000, TASK), ("penstock", 1_000, TASK)),
        1,
    ),
    Budget("memory peak at 10,000 tasks: below 100 MB", _megabytes, 100),
    Budget("on record when the process has ended: all", _on_record, 1, exactly=True),
    Budget(
        "1,000 mapped tasks of 10 ms, 50 at once: at most 0.30 s",
        _seconds("mapped", "seconds", "penstock", 1_000),
        0.3,
    ),
    Budget(
        "PostgreSQL, sequential task: at most 1.5 bare commits",
        _quotient("postgres", ("penstock-postgres", 1_000, TASK), ("floor-postgres", 1_000, TASK)),
        1.5,
    ),
    Budget(
        "PostgreSQL, submitted task: less than a sequential one",
        _quotient(
            "postgres",
            ("penstock-postgres", 1_000, "submitted_seconds"),
            ("penstock-postgres", 1_000, TASK),
        ),
        1,
    ),
    Budget("steps repeated after SIGKILL in step 5 of 10: at most 1", _repeated, 1),
)
