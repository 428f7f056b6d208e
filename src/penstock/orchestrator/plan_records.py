"""Deployments, pools, workers, limits, connections and datasets as data: for scripts and for the API."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.core.clock import iso
from penstock.core.datasets import StoredDataset
from penstock.core.deployments import Deployment, of_data, schedule_of
from penstock.core.ids import owner_is_dead
from penstock.core.model import Limit, Pool, Queue, StoredDeployment, StoredSchedule, Worker
from penstock.engine.connections.shelf import Listed

_SILENT_US = 30_000_000
"""A worker that reports itself every ten seconds has missed two reports by then."""


def next_due(stored: StoredDeployment) -> int | None:
    """When a deployment is due next."""
    schedule = following(stored)
    return schedule.next_due if schedule is not None else None


def following(stored: StoredDeployment) -> StoredSchedule | None:
    """The schedule that is due next."""
    due = [each for each in stored.schedules if each.next_due is not None]
    return min(due, key=lambda each: each.next_due or 0, default=None)


def is_alive(worker: Worker, now: int) -> bool:
    """Whether a worker is still there: on this machine its process tells, elsewhere its reports."""
    dead = owner_is_dead(worker.id)
    return not dead if dead is not None else now - worker.seen_at <= _SILENT_US


def deployment_record(stored: StoredDeployment) -> dict[str, Any]:
    """A deployment."""
    spec: Deployment = of_data(stored.spec)
    return {
        "name": stored.name,
        "flow": stored.flow,
        "entrypoint": spec.entrypoint,
        "folder": spec.folder,
        "engine": spec.engine,
        "description": spec.description,
        "version": spec.version,
        "parameters": spec.parameters,
        "tags": list(spec.tags),
        "pool": stored.pool,
        "queue": stored.queue,
        "priority": spec.priority,
        "concurrency": stored.concurrency,
        "collision": spec.collision,
        "crash_retries": spec.crash_retries,
        "crash_delay_seconds": spec.crash_delay_seconds,
        "promises": msgspec.structs.asdict(spec.promises),
        "paused": stored.paused,
        "updated_at": iso(stored.updated_at),
        "next_due": iso(next_due(stored)),
        "schedules": [schedule_record(each) for each in stored.schedules],
    }


def schedule_record(stored: StoredSchedule) -> dict[str, Any]:
    """A schedule of a deployment; `settled_until` is the last instant that has had its run, or will have none."""
    schedule = schedule_of(stored.spec)
    return {
        "name": stored.name,
        "told": str(schedule.spec),
        "spec": msgspec.to_builtins(schedule.spec),
        "parameters": schedule.parameters,
        "paused": stored.paused,
        "next_due": iso(stored.next_due),
        "settled_until": iso(stored.fired_until),
    }


def pool_record(pool: Pool, workers: list[Worker]) -> dict[str, Any]:
    """A pool."""
    return {
        "name": pool.name,
        "limit": pool.slots,
        "paused": pool.paused,
        "description": pool.description,
        "waiting": pool.waiting,
        "running": pool.running,
        "workers": len(workers),
        "queues": [queue_record(queue) for queue in pool.queues],
    }


def queue_record(queue: Queue) -> dict[str, Any]:
    """A queue of a pool."""
    return {
        "pool": queue.pool,
        "name": queue.name,
        "priority": queue.priority,
        "limit": queue.slots,
        "paused": queue.paused,
    }


def worker_record(worker: Worker, now: int) -> dict[str, Any]:
    """A worker; `state` is running, draining or gone."""
    host, pid = place_of(worker)
    return {
        "id": worker.id,
        "host": host,
        "pid": pid,
        "pool": worker.pool,
        "queues": list(worker.queues),
        "limit": worker.slots,
        "running": worker.running,
        "state": worker.state if is_alive(worker, now) else "gone",
        "started_at": iso(worker.started_at),
        "seen_at": iso(worker.seen_at),
    }


def place_of(worker: Worker) -> tuple[str, int | None]:
    """The machine and the process of a worker."""
    parts = worker.id.split("|")
    if len(parts) != 4 or not parts[1].isdigit():
        return worker.id, None
    return parts[0].partition("/")[0], int(parts[1])


def limit_record(limit: Limit) -> dict[str, Any]:
    """A limit."""
    return {
        "name": limit.name,
        "slots": limit.slots,
        "per_second": limit.per_second,
        "burst": limit.burst,
        "taken": limit.taken,
        "waiting": limit.waiting,
    }


def connection_record(each: Listed) -> dict[str, Any]:
    """A connection as it is listed: nothing of what is in it."""
    return {
        "name": each.name,
        "type": each.type or None,
        "from": each.place,
        "variable": each.variable,
        "hides_saved": each.hides,
        "saved_at": iso(each.saved_at) if each.saved_at is not None else None,
        "key": each.key,
    }


def dataset_record(one: StoredDataset) -> dict[str, Any]:
    """A dataset."""
    moments = {name: iso(at) if (at := getattr(one, name)) is not None else None for name in ("written_at", "read_at")}
    return {
        "name": one.name,
        "namespace": one.namespace,
        "path": one.path,
        "address": one.address or None,
        "spec": one.spec,
        "columns": one.columns,
        "version": one.version or None,
        "landed": one.landed,
        "rejected": one.rejected,
        "written_by": one.written_by,
        "read_by": one.read_by,
        **moments,
    }
