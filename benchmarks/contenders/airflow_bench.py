"""Airflow: `dag.test()`, which runs a DAG in this process and records it in Airflow's own database.

It is the quickest Airflow has: no scheduler that polls, and no process for each task. Mapped tasks run one at
a time. Airflow reads the DAG from its DAG folder, so this file lies in it, and describes the DAG that its
arguments ask for.
"""

import subprocess
import sys
from time import perf_counter, sleep

from airflow.sdk import DAG, task
from common import number, report, report_ticks, tick


@task
def hello() -> str:
    return "hello"


@task
def noop() -> None:
    tick()


@task
def nap(_: int) -> None:
    sleep(float(sys.argv[3]))
    tick()


def described(topic: str) -> DAG:
    """Return the DAG of a topic."""
    with DAG(dag_id=f"bench_{topic}", schedule=None) as dag:
        if topic == "hello":
            hello()
        elif topic == "sequential":
            before = noop()
            for _ in range(number(2) - 1):
                after = noop()
                before >> after
                before = after
        elif topic == "mapped":
            nap.expand(_=list(range(number(2))))
    return dag


DAG_OF_TOPIC = described(sys.argv[1])


def main() -> None:
    topic = sys.argv[1]
    if topic == "prepare":
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
        report()
        return
    started = perf_counter()
    run = DAG_OF_TOPIC.test()
    seconds = perf_counter() - started
    if run.state != "success":
        sys.exit(f"the DAG run ended {run.state}")
    if topic == "hello":
        report()
    else:
        report_ticks(seconds=seconds)


if __name__ == "__main__":
    main()
