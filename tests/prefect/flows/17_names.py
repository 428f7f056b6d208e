"""Names of flows, tasks and their runs."""

import datetime
import re
from dataclasses import dataclass

from facts import fact, raised
from prefect import flow, task
from prefect.runtime import flow_run, task_run


@dataclass
class Ship:
    """Something with a name."""

    name: str


@task
def run_name() -> str:
    """The default run name."""
    return task_run.name


@task(name="Load Cargo")
def spaced() -> str:
    """A task with a name of its own."""
    return task_run.name


@task(task_run_name="{ship.name}-{count:03d}-on-{day:%A}")
def loaded(ship: Ship, day: datetime.date, count: int = 7) -> str:
    """A template with attributes, formats and defaults."""
    return task_run.name


@task(task_run_name="crate-{crate}")
def crate_name(crate: object) -> str:
    """A template with one field."""
    return task_run.name


@task(task_run_name="{missing}")
def wrong_template(crate: int) -> str:
    """A template with an unknown field."""
    return task_run.name


@flow(name="Harbour Day", flow_run_name="{port}-{day:%Y-%m-%d}-{berths}")
def harbour_day(port: str, day: datetime.date, berths: int = 3) -> str:
    """Templates of flows."""
    return flow_run.name


@flow(flow_run_name="{nothing_like_it}")
def wrong_flow_template(port: str) -> str:
    """A template with an unknown field."""
    return flow_run.name


@flow
def default_flow_name() -> list[str]:
    """Names that nobody chose."""
    return [flow_run.flow_name, flow_run.name]


@flow
def inside():
    """Names of task runs in a flow."""
    day = datetime.date(2024, 2, 29)
    fact("default task run names begin with the task's", run_name().startswith("run_name"))
    fact("so with a name of its own", spaced().startswith("Load Cargo"))
    fact("template", loaded(Ship("Vega"), day))
    fact("template, submitted", loaded.submit(Ship("Lyra"), day, count=12).result())
    fact("template, mapped", crate_name.map([1, 2, 3]).result())
    fact("template with a future", crate_name(crate_name.submit("x")))
    fact("with_options", crate_name.with_options(task_run_name="box-{crate}")(9))
    fact("unknown field", raised(wrong_template, 1) is not None)


if __name__ == "__main__":
    fact("declared", [default_flow_name.name, harbour_day.name, run_name.name, spaced.name])
    fact("outside a flow", [run_name(), crate_name(5)])
    inside()
    name, run = default_flow_name()
    fact("default flow name", name)
    fact("default flow run name is two words", re.fullmatch(r"[a-z]+-[a-z]+", run) is not None)
    fact("flow template", [harbour_day("Kiel", "2024-05-01"), harbour_day("Oslo", datetime.date(2024, 5, 2), berths=9)])
    fact("unknown field in a flow", raised(wrong_flow_template, "Kiel") is not None)
    fact("name by with_options", harbour_day.with_options(name="Harbour Night").name)
    fact("refused run name", raised(lambda: flow(flow_run_name=3)(lambda: 1)) is not None)
    fact("refused task run name", raised(lambda: task(task_run_name=3)(lambda: 1)) is not None)
