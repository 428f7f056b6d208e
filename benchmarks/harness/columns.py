"""The tables of the page: their columns, by topic."""

from harness import cells
from harness.cells import Cell

LISTED = ("first", "next", "state", "flow", "tag", "parameter", "text", "time", "mixed")
RECORDED = {"on record at exit": cells.recorded("recorded_at_exit"), "in the end": cells.recorded("recorded")}
COLUMNS: dict[str, dict[str, Cell]] = {
    "import": {
        "time": cells.spread("seconds"),
        "to Penstock": cells.times_penstock,
        "to bare Python": cells.times_python,
    },
    "hello": {
        "time": cells.spread("seconds"),
        "to Penstock": cells.times_penstock,
        "on record": cells.recorded("recorded"),
        "preparing": cells.preparing,
    },
    "sequential": {
        "tasks": cells.size,
        "a task, mean": cells.spread("task_seconds"),
        "median": cells.spread("task_seconds_p50"),
        "to Penstock": cells.times_penstock,
        "to a bare commit": cells.times_bare,
        "memory": cells.memory,
        **RECORDED,
    },
    "mapped": {
        "tasks": cells.size,
        "time": cells.spread("seconds"),
        "to Penstock": cells.times_penstock,
        **RECORDED,
    },
    "on-airflow": {
        "tasks": cells.size,
        "time": cells.spread("seconds"),
        "to Penstock": cells.times_penstock,
        "CPU": cells.spread("cpu_seconds"),
        "a file of 100 tasks parsed": cells.spread("parse_seconds"),
        **RECORDED,
    },
    "on-prefect": {
        "tasks": cells.size,
        "time": cells.spread("seconds"),
        "to Penstock": cells.times_penstock,
        **RECORDED,
    },
    "dask": {
        "tasks": cells.size,
        "time": cells.spread("seconds"),
        "to Penstock": cells.times_penstock,
        **RECORDED,
    },
    "dask-frames": {
        "frames": cells.size,
        "a frame": cells.spread("frame_seconds"),
        "to Penstock": cells.times_penstock,
        **RECORDED,
    },
    "postgres": {
        "tasks": cells.size,
        "a sequential task": cells.spread("task_seconds"),
        "to Penstock": cells.times_penstock,
        "to a bare commit": cells.times_bare,
        "a submitted task": cells.spread("submitted_seconds"),
        **RECORDED,
    },
    "kill": {"steps repeated": cells.repeats, "continued by": cells.how, "continuing took": cells.spread("seconds")},
    "trigger": {
        "triggers": cells.size,
        "p50": cells.spread("p50"),
        "p99": cells.spread("p99"),
        "to Penstock": cells.times_penstock,
    },
    "drain": {
        "runs": cells.size,
        "runs a second": cells.rate("run_seconds"),
        "runs a second of one core": cells.rate("cpu_seconds"),
        "time to Penstock": cells.times_penstock,
        "each executed once": cells.once,
        "on record": cells.recorded("recorded"),
    },
    "schedules": {
        "schedules": cells.size,
        "idle": cells.percent("idle_share"),
        "spread: lag p50 / p99 / max": cells.lag("spread"),
        "at once: lag p50 / p99 / max": cells.lag("at_once"),
    },
    "soak": {
        "runs": cells.size,
        "in 1,000 runs": cells.slope,
        "memory first": cells.megabytes("first_mb"),
        "last": cells.megabytes("last_mb"),
    },
    "listing": {
        "runs": cells.size,
        "worst p95": cells.spread("p95"),
        "which": cells.how,
        **{f"{kind}: p50 / p95": cells.pages(kind) for kind in LISTED},
    },
}
LOADED: dict[str, Cell] = {
    "rows": cells.size,
    "rows a second": cells.rate("row_seconds"),
    "time": cells.spread("seconds"),
    "to Penstock": cells.times_penstock,
    "CPU time": cells.moments("cpu_seconds"),
    "the whole process": cells.spread("wall_seconds"),
    "memory peak": cells.memory,
}
LOGS: dict[str, Cell] = {
    "MB": cells.size,
    "time": cells.spread("seconds"),
    "to Penstock": cells.times_penstock,
    "CPU time": cells.moments("cpu_seconds"),
    "the whole process": cells.spread("wall_seconds"),
    "memory peak": cells.memory,
    "lines": cells.number("lines"),
    "what it leaves out": cells.how,
}
COLUMNS |= {
    **dict.fromkeys(
        ("csv-lake", "csv-duckdb", "retail-lake", "retail-duckdb", "api-lake", "api-duckdb", "postgres-lake"), LOADED
    ),
    "cdc": {
        "changes": cells.size,
        "changes a second": cells.rate("change_seconds"),
        "to Penstock": cells.times_penstock,
        "whole time": cells.spread("seconds"),
        "CPU time": cells.moments("cpu_seconds"),
        "memory peak": cells.memory,
        "what it does with them": cells.how,
    },
    "cdc-lag": {
        "changes": cells.size,
        "changes a second": cells.number("per_second"),
        "lag p50 / p99 / longest": cells.moments("p50", "p99", "worst"),
        "memory peak": cells.memory,
        "what it does with them": cells.how,
    },
    "kafka-lake": {
        "messages": cells.size,
        "messages a second": cells.rate("row_seconds"),
        "of a consumer without rests": cells.rate_of("row_seconds", "kafka-tuned"),
        "time": cells.spread("seconds"),
        "CPU time": cells.moments("cpu_seconds"),
        "memory peak": cells.memory,
    },
    "timeseries": {
        "points": cells.size,
        "points a second": cells.rate("row_seconds"),
        "time": cells.spread("seconds"),
        "to Penstock": cells.times_penstock,
        "CPU time": cells.moments("cpu_seconds"),
        "memory peak": cells.memory,
    },
    "history": {
        "commits": cells.size,
        "a commit: 1st / to 100 / to 1,000 / to 10,000": cells.moments(*(f"commit_{n}" for n in (1, 100, 1000, 10000))),
        "median: to 100 / to 1,000 / to 10,000": cells.moments(*(f"median_{n}" for n in (100, 1000, 10000))),
        "opening: at 1 / 100 / 1,000 / 10,000": cells.moments(*(f"open_{n}" for n in (1, 100, 1000, 10000))),
        "memory peak": cells.memory,
    },
    **dict.fromkeys(("logs", "logs-large"), LOGS),
    "follow": {
        "lines": cells.size,
        "lines a second": cells.number("per_second"),
        "lag p50 / p99 / longest": cells.moments("p50", "p99", "worst"),
        "CPU time": cells.moments("cpu_seconds"),
        "memory peak": cells.memory,
        "what it does with them": cells.how,
    },
    **dict.fromkeys(("validator", "profile"), LOADED),
    "linear": {
        "rows": cells.size,
        "rows a second": cells.rate("row_seconds"),
        "time": cells.spread("seconds"),
        "CPU time": cells.moments("cpu_seconds"),
        "memory peak": cells.memory,
    },
}
ASKED: dict[str, Cell] = {
    "how many": cells.size,
    "a second": cells.rate("request_seconds"),
    "to Penstock": cells.times_penstock,
    "p50 / p99 / longest": cells.moments("p50", "p99", "worst"),
    "asked again": cells.number("repeated"),
}
PAGES = ("first", "state", "flow", "later", "time", "mixed")
COLUMNS |= {
    "api-start": {
        "ready": cells.spread("ready_seconds"),
        "idle": cells.percent("idle_share"),
        "memory": cells.megabytes("memory_mb"),
    },
    **dict.fromkeys(("api-create", "api-trigger", "api-read"), ASKED),
    "api-hooks": {**ASKED, "on record": cells.recorded("recorded")},
    "api-rate": {
        "asked a second": cells.size,
        "answered a second": cells.number("per_second"),
        "p50 / p99 / longest": cells.moments("p50", "p99", "worst"),
        "on record": cells.recorded("recorded"),
    },
    "api-hook-start": {"pushes": cells.size, "p50": cells.spread("p50"), "p99": cells.spread("p99")},
    "api-listeners": {
        "listeners": cells.size,
        "lag p50 / p99 / longest": cells.moments("p50", "p99", "worst"),
        "to Penstock": cells.times_penstock,
        "heard": cells.recorded("recorded"),
        "heard twice": cells.number("doubled"),
        "all connected after": cells.spread("connected_seconds"),
    },
    "api-listing": {
        "runs": cells.size,
        "worst p95": cells.spread("p95"),
        "which": cells.how,
        "to Penstock": cells.times_penstock,
        **{f"{kind}: p50 / p95": cells.pages(kind) for kind in PAGES},
    },
}
