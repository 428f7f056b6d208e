"""Dagster: ops in a job, run by `execute_in_process` with a persistent instance in DAGSTER_HOME.

That is Dagster's quickest way to run ops that stay on record: no process for each op. Its executors
have no threads, so mapped ops run one at a time. The ops are chained by a Nothing dependency, so
that no time goes into storing values.
"""

import sys
from time import perf_counter, sleep

from common import STEPS, effect, number, report, report_ticks, tick
from dagster import (
    DagsterInstance,
    DependencyDefinition,
    GraphDefinition,
    In,
    JobDefinition,
    NodeInvocation,
    Nothing,
    OpDefinition,
    Out,
    job,
    op,
)

QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}


@op
def hello() -> str:
    return "hello"


@job
def hello_flow() -> None:
    hello()


@op(ins={"after": In(Nothing)}, out=Out(Nothing))
def noop() -> None:
    tick()


@op(ins={"after": In(Nothing)}, out=Out(Nothing))
def marked(context) -> None:  # type: ignore[no-untyped-def]
    effect(int(context.op_handle.name.rpartition("_")[2]))


@op(ins={"after": In(Nothing)}, out=Out(Nothing))
def nap() -> None:
    sleep(float(sys.argv[3]))
    tick()


def repeated(body: OpDefinition, length: int, *, chained: bool = True) -> JobDefinition:
    """Return a job that runs one op so many times, each after the one before if chained."""
    names = [f"{body.name}_{position}" for position in range(1, length + 1)]
    befores = [None, *names] if chained else [None] * length
    dependencies = {
        NodeInvocation(body.name, alias=name): ({"after": DependencyDefinition(before)} if before else {})
        for before, name in zip(befores, names, strict=False)
    }
    graph = GraphDefinition(name=f"{body.name}_flow", node_defs=[body], dependencies=dependencies)
    return graph.to_job()


def main() -> None:
    topic = sys.argv[1]
    with DagsterInstance.get() as instance:
        if topic in ("prepare", "hello"):
            hello_flow.execute_in_process(instance=instance, run_config=QUIET)
            report()
        elif topic == "sequential":
            repeated(noop, number(2)).execute_in_process(instance=instance, run_config=QUIET)
            report_ticks()
        elif topic == "mapped":
            naps = repeated(nap, number(2), chained=False)
            started = perf_counter()
            naps.execute_in_process(instance=instance, run_config=QUIET)
            report_ticks(seconds=perf_counter() - started)
        elif topic == "steps":
            repeated(marked, STEPS).execute_in_process(instance=instance, run_config=QUIET)
            report(how="the job is run again")


if __name__ == "__main__":
    main()
