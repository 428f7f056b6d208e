"""Penstock: a flow whose tasks run on the same Dask cluster; every task is on record."""

import os
import sys
from importlib import import_module
from time import perf_counter

import dask_tasks
from common import number, report
from dask.distributed import Client
from dask_cluster import cluster, warm

from penstock import flow, task
from penstock.task_runners import DaskRunner

SAVED = None if "BENCH_SAVED" in os.environ else False
nap = task(name="nap")(dask_tasks.nap)
made = task(name="made", persist_result=SAVED)(dask_tasks.made)
halved = task(name="halved", persist_result=SAVED)(dask_tasks.halved)
summed = task(name="summed")(dask_tasks.summed)


@flow
def tasks(count: int) -> None:
    started = perf_counter()
    done = nap.map(range(count)).result()
    report(executed=len(done), seconds=perf_counter() - started)


@flow
def frames(count: int) -> None:
    started = perf_counter()
    done = summed.map(halved.map(made.map(range(count)))).result()
    seconds = perf_counter() - started
    report(executed=3 * len(done), seconds=seconds, frame_seconds=seconds / len(done))


def main() -> None:
    with cluster() as made_here:
        with Client(made_here) as client:
            warm(client)
            client.run(import_module, "penstock.engine.runners.dask_worker")
        runner = DaskRunner(made_here.scheduler_address)
        {"dask": tasks, "dask-frames": frames}[sys.argv[1]].with_options(task_runner=runner)(number(2))


if __name__ == "__main__":
    main()
