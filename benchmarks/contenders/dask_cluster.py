"""Dask, bare: two workers of one thread each, every one a process. It keeps no record."""

import os
import sys
from time import perf_counter

import dask
from common import number, report
from dask.distributed import Client, LocalCluster
from dask_tasks import halved, made, nap, summed


def cluster() -> LocalCluster:
    dask.config.set({"logging.distributed": "error"})
    return LocalCluster(
        processes=True,
        n_workers=2,
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address=f"127.0.0.1:{os.environ['BENCH_PORT']}",
        worker_dashboard_address="127.0.0.1:0",
    )


def tasks(client: Client) -> None:
    started = perf_counter()
    done = client.gather(client.map(nap, range(number(2)), pure=False))
    report(executed=len(done), seconds=perf_counter() - started)


def frames(client: Client) -> None:
    """Frames that are made, changed and summed up: on the cluster, where only the sums leave it."""
    started = perf_counter()
    first = client.map(made, range(number(2)), pure=False)
    done = client.gather(client.map(summed, client.map(halved, first, pure=False), pure=False))
    seconds = perf_counter() - started
    report(executed=3 * len(done), seconds=seconds, frame_seconds=seconds / len(done))


def warm(client: Client) -> None:
    """Have the workers import what they need."""
    client.gather(client.map(summed, client.map(made, range(2), rows=10), pure=False))


def main() -> None:
    with cluster() as made_here, Client(made_here) as client:
        warm(client)
        {"dask": tasks, "dask-frames": frames}[sys.argv[1]](client)


if __name__ == "__main__":
    main()
