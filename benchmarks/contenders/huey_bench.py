"""Huey: a task queue in SQLite, with its consumer's threads in the same process and every result kept."""

import os
import sys
from time import perf_counter, sleep

from common import home, number, report_ticks, tick
from huey import SqliteHuey

huey = SqliteHuey(filename=os.path.join(home(), "huey.sqlite"))


@huey.task()
def nap(seconds: float) -> bool:
    sleep(seconds)
    tick()
    return True


def main() -> None:
    consumer = huey.create_consumer(workers=number(4), periodic=False, initial_delay=0.01, max_delay=0.01)
    consumer.start()
    started = perf_counter()
    results = nap.map([float(sys.argv[3])] * number(2))
    results.get(blocking=True, preserve=True, backoff=1.0, max_delay=0.01)
    report_ticks(seconds=perf_counter() - started)
    consumer.stop(graceful=True)


if __name__ == "__main__":
    main()
