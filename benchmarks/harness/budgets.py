"""What Penstock promises to be, and whether the results say that it is."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.control_budgets import CONTROL
from harness.data_budgets import DATA
from harness.readings import (
    TASK,
    Reading,
    Results,
    ahead,
    growth,
    megabytes,
    of_medians,
    on_record,
    once,
    quotient,
    repeated,
    seconds,
    slope,
    worst,
)
from harness.trust_budgets import TRUST


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


ENGINE = (
    Budget("`import penstock`: at most 60 ms", seconds("import", "seconds", "penstock"), 0.060),
    Budget("hello, fresh process, durable: at most 150 ms", seconds("hello", "seconds", "penstock"), 0.150),
    Budget("sequential task at 1,000: median at most 80 µs", of_medians("sequential", ("penstock", 1_000)), 80e-6),
    Budget("sequential task at 10,000: median at most 80 µs", of_medians("sequential", ("penstock", 10_000)), 80e-6),
    Budget(
        "sequential task at 1,000: at most 4 bare SQLite commits",
        of_medians("sequential", ("penstock", 1_000), ("floor", 1_000)),
        4,
    ),
    Budget(
        "sequential task at 10,000: at most 4 bare SQLite commits",
        of_medians("sequential", ("penstock", 10_000), ("floor", 10_000)),
        4,
    ),
    Budget(
        'with `durability = "full"`, at 1,000: median at most 220 µs',
        of_medians("sequential", ("penstock-full", 1_000)),
        220e-6,
    ),
    Budget(
        'with `durability = "full"`, at 1,000: at most 2 bare SQLite commits with fsync',
        of_medians("sequential", ("penstock-full", 1_000), ("floor-full", 1_000)),
        2,
    ),
    Budget("linear growth: a task at 100,000 costs no more than at 1,000", growth, 1),
    Budget("memory peak at 10,000 tasks: below 100 MB", megabytes, 100),
    Budget("on record when the process has ended: all", on_record, 1, exactly=True),
    Budget(
        "1,000 mapped tasks of 10 ms, 50 at once: at most 0.30 s",
        seconds("mapped", "seconds", "penstock", 1_000),
        0.3,
    ),
    Budget(
        "PostgreSQL, sequential task: at most 1.5 bare commits",
        quotient("postgres", ("penstock-postgres", 1_000, TASK), ("floor-postgres", 1_000, TASK)),
        1.5,
    ),
    Budget(
        "PostgreSQL, submitted task: less than a sequential one",
        quotient(
            "postgres",
            ("penstock-postgres", 1_000, "submitted_seconds"),
            ("penstock-postgres", 1_000, TASK),
        ),
        1,
    ),
    Budget("steps repeated after SIGKILL in step 5 of 10: at most 1", repeated, 1),
    Budget(
        "a flow of 1,000 tasks on Prefect: at most 1.15 times the same flow written for Prefect",
        quotient("on-prefect", ("penstock-prefect", 1_000, "seconds"), ("prefect-hand", 1_000, "seconds")),
        1.15,
    ),
    Budget(
        "a flow of 20 tasks in Airflow: at most 1.15 times the same flow written for Airflow",
        quotient("on-airflow", ("penstock-airflow", 20, "seconds"), ("airflow-hand", 20, "seconds")),
        1.15,
    ),
    Budget(
        "the DAG file of 100 tasks parsed by Airflow: at most 50 ms",
        seconds("on-airflow", "parse_seconds", "penstock-airflow", 20),
        0.05,
    ),
    Budget(
        "10,000 tasks of 1 ms on Dask: at most 1.2 times Dask alone",
        quotient("dask", ("penstock-dask", 10_000, "seconds"), ("dask-cluster", 10_000, "seconds")),
        1.2,
    ),
    Budget(
        "frames of 100 MB on Dask, not saved: no slower than Dask alone",
        quotient("dask-frames", ("penstock-dask", 8, "frame_seconds"), ("dask-cluster", 8, "frame_seconds")),
        1,
    ),
)
WARM, FRESH, PLAN = "penstock-worker", "penstock-fresh", 10_000
LISTED, LISTS = "penstock-listing", 1_000_000
DUTY = (
    Budget("trigger to first line, warm worker: median at most 50 ms", seconds("trigger", "p50", WARM), 0.050),
    Budget("trigger to first line, warm worker: p99 at most 50 ms", seconds("trigger", "p99", WARM), 0.050),
    Budget("the same: p95 at most 25 ms, which Hatchet publishes", seconds("trigger", "p95", WARM), 0.025),
    Budget("trigger to first line, fresh process: median at most 400 ms", seconds("trigger", "p50", FRESH), 0.400),
    Budget("trigger to first line, fresh process: p99 at most 400 ms", seconds("trigger", "p99", FRESH), 0.400),
    Budget("queued runs on SQLite, each executed once and recorded once: all", once(WARM), 0, exactly=True),
    Budget("queued runs on PostgreSQL, the same: all", once("penstock-worker-postgres"), 0, exactly=True),
    Budget("queued runs drained: ahead of each other tool", ahead("drain", "run_seconds"), 1),
    Budget("queued runs drained per second of one core: ahead of each other tool", ahead("drain", "cpu_seconds"), 1),
    Budget("10,000 schedules over a minute: lag at most 1 s", worst("schedules", "spread_max", PLAN), 1),
    Budget("10,000 schedules due at once: lag at most 1 s", worst("schedules", "at_once_max", PLAN), 1),
    Budget("10,000 schedules, idle: at most 5 % of a core", worst("schedules", "idle_share", PLAN, "%"), 0.05),
    Budget("1,000,000 runs listed, SQLite: p95 at most 100 ms", seconds("listing", "p95", LISTED, LISTS), 0.1),
    Budget("the same, PostgreSQL", seconds("listing", "p95", f"{LISTED}-postgres", LISTS), 0.1),
    Budget("memory flat: its growth in 1,000 runs cannot be told from none", slope(WARM), 0),
)
BUDGETS = (*ENGINE, *DUTY, *(Budget(*promise) for promise in (*DATA, *TRUST, *CONTROL)))
