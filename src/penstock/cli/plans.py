"""Deployments, pools and workers, as they are told: to people and (part of the interface) to programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from penstock.cli.console import clean
from penstock.cli.session import reading
from penstock.cli.units import ahead, in_zone, iso
from penstock.core.calendar import ScheduleSpec
from penstock.core.deployments import Deployment, of_data, schedule_of
from penstock.core.errors import PenstockError
from penstock.core.ids import owner_is_dead
from penstock.core.model import Pool, Queue, StoredDeployment, StoredSchedule, Worker
from penstock.core.ports import Journal
from penstock.orchestrator.pools import known_pools
from penstock.orchestrator.services import SERVED

_OVERDUE_US = 5_000_000
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


def instant_told(schedule: StoredSchedule) -> str:
    """When a schedule is due next, as the clocks of its zone show it."""
    zone = schedule_of(schedule.spec).spec.timezone
    return in_zone(schedule.next_due, zone) if schedule.next_due is not None else ""


def next_told(stored: StoredDeployment, now: int) -> str:
    """When it is due next, in a few words."""
    due = next_due(stored)
    if stored.paused:
        return "paused"
    if due is not None:
        return "overdue" if now - due > _OVERDUE_US else ahead(max(due, now), now)
    if not stored.schedules:
        return "when triggered"
    return "paused" if any(each.paused for each in stored.schedules) else "never again"


def next_sentence(stored: StoredDeployment, now: int) -> str:
    """`next in 3 min`, or what there is to say instead."""
    told = next_told(stored, now)
    return f"next {told}" if told == "now" or told.startswith("in ") else told


def schedules_told(stored: StoredDeployment) -> str:
    """Its schedules on one line."""
    return ", ".join(spec_told(schedule_of(each.spec).spec) for each in stored.schedules)


def spec_told(spec: ScheduleSpec) -> str:
    """A schedule on one line; that it is in UTC goes without saying."""
    return clean(str(spec).removesuffix(" (UTC)"))


def is_alive(worker: Worker, now: int) -> bool:
    """Whether a worker is still there: on this machine its process tells, elsewhere its reports."""
    dead = owner_is_dead(worker.id)
    return not dead if dead is not None else now - worker.seen_at <= _SILENT_US


def workers_of(journal: Journal, pool: str, queue: str | None, now: int) -> list[Worker]:
    """Workers that take runs of a queue (of any queue of the pool)."""
    found = [worker for worker in journal.workers(pool) if is_alive(worker, now) and worker.state == "running"]
    return [worker for worker in found if queue is None or not worker.queues or queue in worker.queues]


def obstacle(journal: Journal, pool: str, queue: str, now: int) -> tuple[str, str] | None:
    """Why nobody takes runs of a queue just now, and the command that changes it; None when somebody does."""
    known = next(iter(journal.pools(pool)), Pool(name=pool))
    if known.paused:
        return f"The pool {clean(pool)} is paused.", f"penstock pools resume {pool}"
    if any(each.paused for each in known.queues if each.name == queue):
        return f"The queue {clean(queue)} is paused.", f"penstock pools queue {pool} {queue} --resume"
    if workers_of(journal, pool, queue, now):
        return None
    if pool == SERVED:
        return f"Nobody serves {clean(queue)} now.", f"penstock serve {queue}"
    named = f" --pool {pool}" if pool != "default" else ""
    return f"No worker takes runs of the pool {clean(pool)} now.", f"penstock worker start{named}"


def deployment_record(stored: StoredDeployment) -> dict[str, Any]:
    """A deployment."""
    spec: Deployment = of_data(stored.spec)
    return {
        "name": stored.name,
        "flow": stored.flow,
        "entrypoint": spec.entrypoint,
        "folder": spec.folder,
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


def complete_deployment(incomplete: str) -> list[tuple[str, str]]:
    """Deployments of the journal for the shell's completion."""
    return list(_deployments())


def complete_pool(incomplete: str) -> list[tuple[str, str]]:
    """Pools of the journal for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as app:
        return [(pool.name, f"{pool.waiting} waiting") for pool in known_pools(app.journal) if _plain(pool.name)]
    return []


def complete_schedule(deployment: str) -> list[tuple[str, str]]:
    """Schedules of a deployment for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as app:
        found = [each for stored in app.journal.deployments(deployment) for each in stored.schedules]
        return [(each.name, "") for each in found if _plain(each.name)]
    return []


def _deployments() -> Iterator[tuple[str, str]]:
    with suppress(PenstockError, OSError), reading() as app:
        for stored in app.journal.deployments():
            if _plain(stored.name):
                yield stored.name, re.sub(r"[^\w .,:#/~@+*-]", "_", f"{stored.flow} {schedules_told(stored)}")


def _plain(text: str) -> bool:
    """Shells, which evaluate completions, take it for nothing but text."""
    return re.search(r"[^\w .,:#~@+-]", text) is None
