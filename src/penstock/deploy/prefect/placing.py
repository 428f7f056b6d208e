"""Deployments and workflows as Prefect's deployments: what is sent there, and why some cannot be."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from penstock.authoring.loading import load_flow
from penstock.authoring.schema import parameters_schema
from penstock.core.calendar import ScheduleSpec
from penstock.core.contents import digest_of
from penstock.core.deployments import DEFAULT_QUEUE, Deployment, Schedule
from penstock.core.engines import EngineSettings
from penstock.core.errors import Unsupported
from penstock.core.release import VERSION
from penstock.core.workflows import WorkflowSpec
from penstock.deploy.needs import needs_of, tasks_of
from penstock.deploy.prefect.abilities import ABILITIES
from penstock.deploy.prefect.names import ENTRYPOINT, PREPARE
from penstock.deploy.prefect.schedules import mistakes_of, schedules_as_json
from penstock.engine.workflows import callables_of

_MOST_DELAYS = 50
_BAD_IN_NAMES = "/%&><"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a deployment on Prefect.

    Attributes:
        name: of the deployment.
        flow: the name of the flow.
        pool, queue: where its runs wait for a worker.
        priority: of the queue's runs. Prefect has none for a deployment: it is the queue's.
        body: as Prefect's API takes it, but for the id of the flow.
        content: a digest of all of it.
    """

    name: str
    flow: str
    pool: str
    queue: str
    body: dict[str, Any]
    content: str


def plan_of(plan: Deployment | WorkflowSpec, settings: EngineSettings) -> Plan:
    """What is to be put there.

    Raises:
        Unsupported: it needs what Prefect lacks; the message has every reason.
        FlowNotFound: the flow cannot be imported.
    """
    if isinstance(plan, WorkflowSpec):
        return _of_workflow(plan, settings)
    folder = plan.folder or callables_of().folder
    entrypoint = _absolute(plan.entrypoint, folder)
    flow = load_flow(entrypoint)
    refuse_unsupported(plan, flow)
    body = {
        "parameters": plan.parameters,
        "parameter_openapi_schema": parameters_schema(flow),
        "schedules": schedules_as_json(plan.schedules),
        "tags": sorted(flow.tags | set(plan.tags)),
        "description": plan.description or flow.description,
        "version": plan.version or flow.version,
        "paused": plan.paused,
        "concurrency_limit": plan.concurrency,
        "concurrency_options": _collision(plan),
    }
    step = {"entrypoint": entrypoint, "folder": folder}
    return _plan(plan.name, flow.name, plan.pool, plan.queue, body, step, settings)


def refuse_unsupported(plan: Deployment, flow: Any) -> None:
    """See that Prefect can do all that a deployment needs.

    Raises:
        Unsupported: it cannot.
    """
    reasons = list(ABILITIES.lacking(needs_of(flow)).values()) + mistakes_of(plan.schedules)
    if plan.partitions is not None:
        reasons.append("a run about a partition is given it by Penstock's own scheduler")
    reasons += _mistakes_in(flow)
    if reasons:
        raise Unsupported(
            f"The deployment {plan.name!r} cannot be on Prefect: {'; '.join(reasons)}.",
            hint='leave that out, or keep it on Penstock\'s own workers (engine "local")',
        )


def _mistakes_in(flow: Any) -> list[str]:
    found = []
    if any(letter in flow.name for letter in _BAD_IN_NAMES):
        found.append(f"the name of the flow, {flow.name!r}, has one of {' '.join(_BAD_IN_NAMES)}")
    if isinstance(flow.retry_delay_seconds, (list, tuple)):
        found.append("the flow waits differently before each retry, and on Prefect a flow has one delay")
    if any(each.kind is each.VAR_KEYWORD for each in flow.signature.parameters.values()):
        found.append("the flow takes parameters under any name (**), and on Prefect each has to be declared")
    runner = type(flow.task_runner).__name__
    if flow.task_runner is not None and runner != "ThreadPoolTaskRunner":
        found.append(f"its task runner is a {runner}, and tasks on Prefect are run in threads")
    for task in tasks_of(flow):
        delays = task.retry_delay_seconds
        if isinstance(delays, (list, tuple)) and len(delays) > _MOST_DELAYS:
            found.append(f"the task {task.name!r} has more than {_MOST_DELAYS} retry delays")
        if task.on_crashed_hooks or task.on_cancellation_hooks:
            found.append(f"the task {task.name!r} has hooks on_crashed or on_cancellation, which only flows have there")
    return found


def _of_workflow(spec: WorkflowSpec, settings: EngineSettings) -> Plan:
    folder = callables_of().folder
    schedules = []
    if spec.schedule is not None:
        timing = ScheduleSpec.of(spec.schedule, timezone=spec.timezone)
        schedules = [Schedule(name="workflow", spec=timing, paused=not spec.active)]
    body = {
        "parameters": spec.parameters,
        "parameter_openapi_schema": {
            "type": "object",
            "title": spec.name,
            "properties": {name: {"title": name, "default": value} for name, value in spec.parameters.items()},
        },
        "schedules": schedules_as_json(schedules),
        "tags": sorted(spec.tags),
        "description": spec.description,
        "paused": False,
    }
    data = msgspec.json.decode(msgspec.json.encode(spec))
    return _plan(spec.name, spec.name, "default", DEFAULT_QUEUE, body, {"workflow": data, "folder": folder}, settings)


def _plan(
    name: str, flow: str, pool: str, queue: str, body: dict[str, Any], step: dict[str, Any], settings: EngineSettings
) -> Plan:
    about = {"deployment": name, "home": settings.home, "penstock": VERSION}
    sent = {
        "name": name,
        "entrypoint": ENTRYPOINT,
        "enforce_parameter_schema": True,
        "work_pool_name": pool,
        "work_queue_name": queue if queue != DEFAULT_QUEUE else None,
        **body,
    }
    content = digest_of([flow, sent, step, about])
    sent["pull_steps"] = [{PREPARE: {**step, **about, "content": content}}]
    return Plan(name=name, flow=flow, pool=pool, queue=queue, body=sent, content=content)


def _collision(plan: Deployment) -> dict[str, str] | None:
    if plan.concurrency is None:
        return None
    return {"collision_strategy": "CANCEL_NEW" if plan.collision == "skip" else "ENQUEUE"}


def _absolute(entrypoint: str, folder: str) -> str:
    """A file as every process finds it; a module is found from the folder of the project."""
    target, colon, name = entrypoint.rpartition(":")
    if not colon:
        target, name = entrypoint, ""
    if not target.endswith(".py"):
        return entrypoint
    return f"{os.path.abspath(os.path.join(folder, target))}{colon}{name}"
