"""Deployments, pools and workers, as they are told: to people and (part of the interface) to programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from penstock.cli.console import clean
from penstock.cli.session import reading
from penstock.cli.units import ahead, in_zone
from penstock.core.calendar import ScheduleSpec
from penstock.core.deployments import SERVED, schedule_of
from penstock.core.engines import LOCAL
from penstock.core.errors import PenstockError
from penstock.core.model import Pool, StoredDeployment, StoredSchedule, Worker
from penstock.core.ports.reading import Reading
from penstock.orchestrator.engines import engine_of
from penstock.orchestrator.plan_records import deployment_record as deployment_record
from penstock.orchestrator.plan_records import following as following
from penstock.orchestrator.plan_records import is_alive as is_alive
from penstock.orchestrator.plan_records import next_due as next_due
from penstock.orchestrator.plan_records import place_of as place_of
from penstock.orchestrator.plan_records import pool_record as pool_record
from penstock.orchestrator.plan_records import queue_record as queue_record
from penstock.orchestrator.plan_records import worker_record as worker_record
from penstock.orchestrator.pools import known_pools

_OVERDUE_US = 5_000_000


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
    if any(each.paused for each in stored.schedules):
        return "paused"
    return undue(engine_of(stored))


def undue(engine: str) -> str:
    """What there is to say of a schedule that makes no runs here: its engine makes them, or nobody does any more."""
    return f"as {clean(engine)} says" if engine != LOCAL else "never again"


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


def workers_of(journal: Reading, pool: str, queue: str | None, now: int) -> list[Worker]:
    """Workers that take runs of a queue (of any queue of the pool)."""
    found = [worker for worker in journal.workers(pool) if is_alive(worker, now) and worker.state == "running"]
    return [worker for worker in found if queue is None or not worker.queues or queue in worker.queues]


def obstacle(journal: Reading, pool: str, queue: str, now: int) -> tuple[str, str] | None:
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
