"""DBOS on duty: workflows in a queue that one process executes and another one fills through `DBOSClient`."""

import os
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import plant
from common import home, mark, number, report
from dbos import DBOS, DBOSClient, DBOSConfig
from plant import Plant

URL = os.environ.get("BENCH_POSTGRES") or f"sqlite:///{home()}/dbos.sqlite"
CONFIG: DBOSConfig = {
    "name": "bench",
    "system_database_url": URL,
    "log_level": "ERROR",
    "application_version": "1",
    "run_admin_server": False,
}
QUEUE = "bench"
POLL_SECONDS = float(os.environ.get("BENCH_POLL_SECONDS", "1"))
POSTGRES = URL.startswith("postgres")
SCHEMA = "dbos." if POSTGRES else ""
COMPLETED = f"SELECT count(*) FROM {SCHEMA}workflow_status WHERE status = 'SUCCESS' AND name = 'empty'"
MADE = "SELECT rowid, workflow_uuid FROM workflow_status WHERE schedule_name LIKE '{}-%'"


@DBOS.step()
def first(key: str) -> None:
    mark(key)


@DBOS.workflow(name="asked")
def asked(key: str) -> None:
    first(key)


@DBOS.workflow(name="empty")
def empty(key: str) -> None:
    mark(key)


@DBOS.workflow(name="idle")
def idle(scheduled: datetime, context: Any) -> None:
    pass


def work() -> None:
    """Take workflows from the queue until ended."""
    DBOS(config=CONFIG)
    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=POLL_SECONDS)
    while True:
        time.sleep(3600)


def prepare() -> None:
    if not POSTGRES:  # WAL is what suits several processes; it stays with the file
        with sqlite3.connect(f"{home()}/dbos.sqlite") as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    DBOS(config=CONFIG)
    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=POLL_SECONDS)
    report()


@cache
def database() -> Any:
    if POSTGRES:
        import psycopg

        return psycopg.connect(URL, autocommit=True)
    return sqlite3.connect(f"file:{home()}/dbos.sqlite?mode=ro", uri=True, check_same_thread=False, timeout=30)


def rows(statement: str) -> list[Any]:
    return list(database().execute(statement).fetchall())


def take(running: Plant, *options: str) -> None:
    running.start(sys.executable, __file__, "work", *options)


def due_instant(run: str) -> float:
    """Return when a scheduled run was due: its id is `sched-NAME-PLACE-INSTANT`."""
    return datetime.fromisoformat(run.split("-", 3)[3]).timestamp()


def schedules(running: Plant, count: int, seconds: float) -> None:
    """Let schedules come due: none for a while, then spread over some seconds, then all in one instant."""
    client = DBOSClient(system_database_url=URL)

    def declare(name: str, cron: Any) -> float:
        started = time.monotonic()
        given = [
            {"schedule_name": f"{name}-{place}", "workflow_name": "idle", "schedule": cron(place), "context": None}
            for place in range(count)
        ]
        client.apply_schedules(given)  # type: ignore[arg-type]
        return time.monotonic() - started

    take(running)
    took = declare("idle", lambda _: "0 0 0 1 1 *")
    time.sleep(15)  # it looks for new schedules now and then, and starts a thread for each
    idle_share = plant.idle_share(running, max(3.0, seconds / 3))
    for place in range(count):
        client.delete_schedule(f"idle-{place}")
    found: dict[str, float] = {}
    for name, step in (("spread", seconds / count), ("at_once", 0.0)):
        begin = (datetime.now(UTC) + timedelta(seconds=took * 2 + 45)).replace(microsecond=0)
        moments = [begin + timedelta(seconds=int(place * step)) for place in range(count)]
        declare(name, lambda place: f"{moments[place]:%S %M %H %d %m} *")  # noqa: B023
        since = begin.timestamp()
        with plant.Seen(lambda: int(rows("SELECT max(rowid) FROM workflow_status")[0][0] or 0)) as seen:
            time.sleep(since + (seconds if step else 1.0) - time.time())
            made = plant.settled(lambda: rows(MADE.format(name)), count, patience=20.0)  # noqa: B023
            time.sleep(0.1)
        found |= seen.lags(name, [(row, due_instant(run)) for row, run in made], count)
    report(executed=2 * count, idle_share=idle_share, declared_seconds=took / count, **found)


def main() -> None:
    topic = sys.argv[1]
    if topic in ("prepare", "work"):
        {"prepare": prepare, "work": work}[topic]()
        return
    with Plant() as running:
        if topic == "schedules":
            schedules(running, number(2), float(sys.argv[3]))
            return
        if POSTGRES:
            running.outside = plant.parent(rows("SELECT pg_backend_pid()")[0][0])
        client = DBOSClient(system_database_url=URL)
        name = "asked" if topic == "trigger" else "empty"

        def ask(key: str) -> None:
            client.enqueue({"workflow_name": name, "queue_name": QUEUE, "app_version": "1"}, key)

        if topic == "drain":
            plant.drain(running, ask, number(2), lambda: take(running), lambda: int(rows(COMPLETED)[0][0]))
            return
        take(running)
        if topic == "trigger":
            plant.trigger(ask, number(2))
        elif topic == "soak":
            plant.soak(running, ask, number(2))


if __name__ == "__main__":
    main()
