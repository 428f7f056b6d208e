"""What Penstock promises of its API, and how that is read from the results."""

from harness.control import REFERENCE
from harness.data_budgets import Read
from harness.readings import Reading, Results, seconds
from harness.results import median, row_of
from harness.words import duration, ratio

TIMES = 5
SERVER, PEER = "penstock-server", "prefect-api"
LIKE_PEER = {"api-hooks": f"{REFERENCE}-four"}
"""Who is compared with Prefect on SQLite, which bears four connections.

Elsewhere it is who has sixteen: for p99 that is stricter, for throughput up to a sixth less strict.
"""
SIZES = {
    "api-create": 1_000, "api-trigger": 1_000, "api-listing": 1_000_000, "api-hooks": 10_000, "api-listeners": 90,
}  # fmt: skip
"""What the promises are about, where it is a number of things; other topics are about each of them."""

ASKED = {
    "api-create": "1,000 workflows made",
    "api-trigger": "1,000 runs asked for",
    "api-read": "a run with 1,000 task runs read",
    "api-listing": "a page of 1,000,000 runs",
    "api-hooks": "10,000 webhooks taken in",
}
SHOWN = {"request_seconds": "throughput", "p99": "p99"}


def times_quicker(topic: str, metric: str, suffix: str) -> Read:
    """Read a time as a multiple of a fifth of Prefect's, on the same database."""
    names = (f"{REFERENCE}{suffix}" if suffix else LIKE_PEER.get(topic, REFERENCE), f"{PEER}{suffix}")

    def read(results: Results) -> Reading:
        found = [row_of(results.get(topic), name, SIZES.get(topic)) for name in names]
        own, base = (median(row, metric) for row in found)
        if not own or not base:
            return None
        return TIMES * own / base, f"{ratio(base, own)} ({duration(own)}, {duration(base)})"

    return read


def heard_by_all(suffix: str, size: int) -> Read:
    """Read how much of what they were told listeners have not heard."""

    def read(results: Results) -> Reading:
        row = row_of(results.get("api-listeners"), f"{REFERENCE}{suffix}", size)
        wanted, heard, lag = (median(row, name) for name in ("executed", "recorded", "p99"))
        if wanted is None or heard is None or lag is None:
            return None
        return wanted - heard, f"{heard:,.0f} of {wanted:,.0f}, p99 {duration(lag)}"

    return read


def of_server(metric: str, shown: str, times: float = 1) -> Read:
    """Read what the whole server uses."""

    def read(results: Results) -> Reading:
        value = median(row_of(results.get("api-start"), SERVER), metric)
        return None if value is None else (value, shown.format(times * value))

    return read


CONTROL: tuple[tuple[str, Read, float], ...] = (
    ("the server is ready: after at most 2 s", seconds("api-start", "ready_seconds", SERVER), 2),
    ("the server while nobody asks: at most 2 % of a core", of_server("idle_share", "{:.1f} %", 100), 0.02),
    ("the same: below 150 MB", of_server("memory_mb", "{:.0f} MB"), 150),
    *(
        (f"{words}, {on}: {TIMES} times as quick as Prefect, {shown}", times_quicker(topic, metric, suffix), 1)
        for topic, words in ASKED.items()
        for on, suffix in (("SQLite", ""), ("PostgreSQL", "-postgres"))
        for metric, shown in SHOWN.items()
    ),
    *(
        (
            f"90 listeners, {on}: lag p99 a fifth of Prefect's, which has no 1,000",
            times_quicker("api-listeners", "p99", suffix),
            1,
        )
        for on, suffix in (("SQLite", ""), ("PostgreSQL", "-postgres"))
    ),
    *(
        (f"{size:,} listeners, {on}: everybody hears everything", heard_by_all(suffix, size), 0)
        for on, suffix in (("SQLite", ""), ("PostgreSQL", "-postgres"))
        for size in (90, 1_000)
    ),
    *(
        (
            f"500 webhooks a second, {words}: stored and answered with p99 at most 20 ms",
            seconds("api-rate", "p99", name, 500),
            0.02,
        )
        for words, name in (
            ("SQLite", REFERENCE),
            ("PostgreSQL", f"{REFERENCE}-postgres"),
            ("the whole server", SERVER),
        )
    ),
    ("a webhook to the first line of its run: p99 at most 300 ms", seconds("api-hook-start", "p99", SERVER), 0.3),
    *(
        (f"the API lists 1,000,000 runs, {on}: p95 at most 100 ms", seconds("api-listing", "p95", name, 1_000_000), 0.1)
        for on, name in (("SQLite", REFERENCE), ("PostgreSQL", f"{REFERENCE}-postgres"))
    ),
)
"""Promise, how it is read, and the limit that the reading may not exceed."""
