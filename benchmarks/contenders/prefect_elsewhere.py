"""The same flow on a Prefect server: written for Prefect by hand (BENCH_HOW=hand), and Penstock's on Prefect."""

import os
import sys
from time import perf_counter

from common import number, report_ticks, tick

if os.environ["BENCH_HOW"] == "hand":
    from prefect import flow, task
else:
    from pathlib import Path

    from penstock import flow, task
    from penstock.deploy.prefect.entry import family_in, provide

    provide(family_in(Path(os.environ["BENCH_HOME"]) / "penstock"))


@task
def noop(value: int) -> int:
    tick()
    return value + 1


@flow
def both(tasks: int) -> int:
    """Half of the tasks one after the other, each with the result of the one before; the others submitted at once."""
    value = 0
    for _ in range(tasks // 2):
        value = noop(value)
    futures = [noop.submit(value) for _ in range(tasks - tasks // 2)]
    return sum(future.result() for future in futures)


def serve() -> None:
    """Become the server that both talk to."""
    port = os.environ["BENCH_PORT"]
    os.execv(
        sys.executable, [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    )


def main() -> None:
    if sys.argv[1] == "serve":
        serve()
    both(2)  # imports, connections
    if sys.argv[1] == "prepare":
        return report_ticks()
    started = perf_counter()
    both(number(2))
    report_ticks(seconds=perf_counter() - started)


if __name__ == "__main__":
    main()
