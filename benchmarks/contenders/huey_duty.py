"""Huey on duty: its consumer in a process of its own, tasks put into its queue in SQLite. Its tasks are its runs."""

import os
import sqlite3
import sys

import plant
from common import home, mark, number
from huey import SqliteHuey
from plant import Plant

FILE = os.path.join(home(), "huey.sqlite")

huey = SqliteHuey(name="bench", filename=FILE)


@huey.task()
def empty(key: str) -> bool:
    mark(key)
    return True


def results() -> int:
    """Return how many results are kept; each belongs to a task that was executed."""
    with sqlite3.connect(f"file:{FILE}?mode=ro", uri=True) as store:
        return int(store.execute("SELECT count(*) FROM kv").fetchone()[0])


def take(running: Plant) -> None:
    options = ["--workers", "2", "--delay", "0.01", "--max-delay", "0.01", "--no-periodic", "--quiet"]
    running.start(plant.command("huey_consumer"), "huey_duty.huey", *options)


def main() -> None:
    from huey_duty import empty  # as its consumer imports it: a task's name has its module in it

    topic = sys.argv[1]
    with Plant() as running:
        if topic == "drain":
            plant.drain(running, empty, number(2), lambda: take(running), results)
            return
        take(running)
        if topic == "trigger":
            plant.trigger(empty, number(2))
        elif topic == "soak":
            plant.soak(running, empty, number(2))


if __name__ == "__main__":
    main()
