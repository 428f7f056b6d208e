"""Dask: one worker with many threads in this process. It keeps no record once the process ends."""

import os
import sys
from time import perf_counter, sleep

import dask
from common import number, report_ticks, tick
from dask.distributed import Client, LocalCluster


def nap(_: int, seconds: float) -> None:
    sleep(seconds)
    tick()


def main() -> None:
    dask.config.set({"logging.distributed": "error"})
    cluster = LocalCluster(
        processes=False,
        n_workers=1,
        threads_per_worker=number(4),
        dashboard_address=f"127.0.0.1:{os.environ['BENCH_PORT']}",
        worker_dashboard_address=f"127.0.0.1:{os.environ['BENCH_SECOND_PORT']}",
    )
    with cluster, Client(cluster) as client:
        started = perf_counter()
        client.gather(client.map(nap, range(number(2)), seconds=float(sys.argv[3])))
        report_ticks(seconds=perf_counter() - started)


if __name__ == "__main__":
    main()
