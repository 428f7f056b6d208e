"""What is really on record once a process has ended, counted in the contender's own database."""

import sqlite3
import time
from dataclasses import dataclass

from harness.contenders import SCRIPTS, Records
from harness.environments import FOLDER
from harness.places import Failed, Place

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Tally:
    """Records found at the exit of the process and in the end, and the seconds until the last one came."""

    at_exit: int
    settled: int
    settle_seconds: float


def count(place: Place, task: str) -> int:
    """Return how many completed runs of a task are on record."""
    records = place.contender.records
    if records is None:
        return 0
    if records.postgres:
        return _count_postgres(place, records.query.format(task=task))
    files = sorted(place.home.glob(records.files.format(task=task)))
    if not records.query:
        return len(files)
    return sum(_count_sqlite(str(file), records, task) for file in files)


def settle(place: Place, task: str, expected: int, before: int, patience: float) -> Tally:
    """Count until all that is expected has come, or nothing has come for so many seconds.

    A tool that records in the background has its chance, and the wait is reported.
    """
    ended = time.monotonic()
    last_change = ended
    at_exit = found = count(place, task) - before
    while found < expected and time.monotonic() - last_change < patience and place.contender.records:
        time.sleep(POLL_SECONDS)
        now = count(place, task) - before
        if now > found:
            found, last_change = now, time.monotonic()
    return Tally(at_exit, found, last_change - ended)


def _count_sqlite(file: str, records: Records, task: str) -> int:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
    try:
        return int(connection.execute(records.query.format(task=task)).fetchone()[0])
    except sqlite3.OperationalError as error:
        raise Failed(f"its records cannot be counted: {error}") from error
    finally:
        connection.close()


def _count_postgres(place: Place, query: str) -> int:
    """Count through the environment that has a PostgreSQL driver; this process has none."""
    driver = Place(place.contender, FOLDER / "floor" / "bin" / "python", place.home, place.variables)
    script = str(SCRIPTS / "floor_bench.py")
    return int(driver.execute([script, "query", query], limit=60).said["answer"])
