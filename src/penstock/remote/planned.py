"""What a server tells of deployments, pools, limits, datasets and automations, as a journal has it."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.core import deployments as plans
from penstock.core.clock import micros
from penstock.core.datasets import StoredDataset
from penstock.core.model import Limit, Pool, Queue, StoredAutomation, StoredDeployment, StoredSchedule, Worker
from penstock.core.ports.data import Place
from penstock.remote.resources import automations, deployments

_OF_SPEC = set(plans.Deployment.__struct_fields__)


def at(moment: str | None) -> int | None:
    """A time as a journal has it."""
    return None if moment is None else micros(moment)


def deployment_of(told: deployments.Deployment) -> StoredDeployment:
    """A deployment, with its schedules."""
    spec = {name: value for name, value in msgspec.to_builtins(told).items() if name in _OF_SPEC}
    spec["schedules"] = [_schedule_of(each) for each in told.schedules]
    return StoredDeployment(
        name=told.name,
        flow=told.flow,
        spec=spec,
        pool=told.pool,
        queue=told.queue,
        concurrency=told.concurrency,
        paused=told.paused,
        updated_at=at(told.updated_at) or 0,
        schedules=tuple(
            StoredSchedule(
                deployment=told.name,
                name=each.name,
                spec=_schedule_of(each),
                paused=each.paused,
                fired_until=at(each.settled_until),
                next_due=at(each.next_due),
            )
            for each in told.schedules
        ),
    )


def _schedule_of(told: deployments.Schedule) -> dict[str, Any]:
    return {"name": told.name, "spec": told.spec, "parameters": told.parameters, "paused": told.paused}


def pool_of(told: deployments.Pool) -> Pool:
    """A pool, with its queues."""
    return Pool(
        name=told.name,
        slots=told.limit,
        paused=told.paused,
        description=told.description,
        waiting=told.waiting,
        running=told.running,
        queues=tuple(
            Queue(pool=told.name, name=each.name, priority=each.priority, slots=each.limit, paused=each.paused)
            for each in told.queues
        ),
    )


def worker_of(told: deployments.Worker) -> Worker:
    """A worker."""
    return Worker(
        id=told.id,
        pool=told.pool,
        queues=tuple(told.queues),
        slots=told.limit,
        running=told.running,
        state=told.state,
        started_at=at(told.started_at) or 0,
        seen_at=at(told.seen_at) or 0,
    )


def limit_of(told: deployments.Limit) -> Limit:
    """A limit."""
    return Limit(
        name=told.name,
        slots=told.slots,
        per_second=told.per_second,
        burst=told.burst if told.burst is not None else 1,
        taken=told.taken,
        waiting=told.waiting,
    )


def dataset_of(told: deployments.Dataset) -> StoredDataset:
    """A dataset."""
    return StoredDataset(
        place=str(Place(told.namespace, told.path)),
        namespace=told.namespace,
        path=told.path,
        name=told.name,
        address=told.address or "",
        spec=told.spec,
        columns=told.columns,
        version=told.version or "",
        landed=told.landed,
        rejected=told.rejected,
        written_at=at(told.written_at),
        written_by=told.written_by,
        read_at=at(told.read_at),
        read_by=told.read_by,
    )


def automation_of(told: automations.Automation) -> StoredAutomation:
    """An automation."""
    spec = {"name": told.name, "trigger": told.trigger, "actions": told.actions}
    if told.description is not None:
        spec["description"] = told.description
    return StoredAutomation(name=told.name, spec=spec, paused=told.paused, fired_at=at(told.fired_at))
