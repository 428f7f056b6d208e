"""Runs of a server as `core.model` has them, so that what shows runs of a journal shows these as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from penstock.core.clock import iso
from penstock.core.datasets import StoredDataset
from penstock.core.errors import PlanNotFound, RunNotFound
from penstock.core.events import Waiting
from penstock.core.levels import LEVELS
from penstock.core.model import (
    Artifact,
    Limit,
    LogLine,
    Pool,
    Run,
    RunFilter,
    StoredAutomation,
    StoredDeployment,
    TaskRun,
    Worker,
)
from penstock.remote import answers
from penstock.remote.calls import MOST, first
from penstock.remote.client import Client
from penstock.remote.planned import at as _at
from penstock.remote.planned import automation_of, dataset_of, deployment_of, limit_of, pool_of, worker_of

T = TypeVar("T")
_ARTIFACTS = 50
_NOBODY = "?"
"""Stands for the process that had a run and is gone: the server has found that out."""
_HELD = ("Pending", "Running", "Retrying")


def run_of(told: answers.Run) -> Run:
    """A run as a journal has it, as far as a server tells."""
    lost = told.state == "Crashed" and told.ended_at is None
    return Run(
        id=told.id,
        name=told.name,
        flow=told.flow,
        state="Running" if lost else told.state,
        state_name=told.state_name,
        message=told.message,
        flow_version=told.flow_version,
        entrypoint=told.entrypoint,
        parameters=told.parameters,
        tags=tuple(told.tags),
        parent_id=told.parent_id,
        parent_key=told.parent_step,
        root_id=told.root_id,
        origin_id=told.origin_id,
        origin=told.origin,
        from_step=told.from_step,
        attempt=told.attempt,
        created_at=_at(told.created_at) or 0,
        started_at=_at(told.started_at),
        ended_at=_at(told.ended_at),
        owner=_NOBODY if lost else None,
        lease_until=0 if lost else None,
        deployment=told.deployment,
        pool=told.pool,
        queue=told.queue,
        priority=told.priority,
        due_at=_at(told.due_at),
        scheduled_at=_at(told.scheduled_at),
        partition=told.partition,
        interval_start=_at(told.interval_start),
        interval_end=_at(told.interval_end),
        crashes=told.crashes,
        waiting=_waits_of(told.waiting),
        cause=told.cause,
        pause_requested=told.pause_requested,
    )


def _waits_of(told: answers.Waits | None) -> Waiting | None:
    if told is None:
        return None
    return Waiting(key=told.step, kind=told.kind, until=_at(told.until), prompt=told.prompt)


def waiting_of(told: answers.Question) -> Waiting:
    """What a run waits for, as a journal has it."""
    return Waiting(
        key=told.step,
        kind=told.kind,
        until=_at(told.until),
        prompt=told.prompt,
        answer=told.schema,
        approvers=tuple(told.approvers),
        refused=told.refused,
    )


def step_of(told: answers.Step) -> TaskRun:
    """A step as a journal has it."""
    return TaskRun(
        run_id=told.run_id,
        key=told.key,
        name=told.name,
        task=told.task,
        state=told.state,
        state_name=told.state_name,
        message=told.message,
        parent=told.parent,
        attempt=told.attempt,
        started_at=_at(told.started_at),
        ended_at=_at(told.ended_at),
        tags=tuple(told.tags),
        child_id=told.child_run_id,
    )


def line_of(told: answers.LogLine) -> LogLine:
    """A log line as a journal has it."""
    level = LEVELS[told.level] if told.level in LEVELS else int(told.level)
    return LogLine(told.run_id, told.step, _at(told.at) or 0, level, told.logger, told.message, told.id or 0)


def artifact_of(told: answers.Artifact) -> Artifact:
    """An artifact as a journal has it, without its content."""
    return Artifact(
        id=told.id,
        run_id=told.run_id,
        step=told.step,
        key=told.key,
        kind=told.type,
        description=told.description,
        at=_at(told.created_at) or 0,
        size=told.bytes,
    )


class RemoteReading:
    """Reads runs from a server; see `Reading`.

    Args:
        client: of the server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def run(self, run_id: str) -> Run | None:
        """See `Reading`."""
        try:
            return self._whole(self._client.runs.get(run_id)) if run_id else None
        except RunNotFound:
            return None

    def _whole(self, told: answers.Run) -> Run:
        """A run with all that is known of what it waits for."""
        run = run_of(told)
        if run.waiting is None:
            return run
        asked = [waiting_of(each) for each in self._client.runs.waiting(run.id)]
        return msgspec.structs.replace(run, waiting=asked[-1] if asked else run.waiting)

    def find(self, prefix: str, limit: int = 10) -> list[Run]:
        """See `Reading`."""
        return [self._whole(each) for each in self._client.runs.named(prefix, limit=limit)]

    def runs(self, where: RunFilter) -> list[Run]:
        """See `Reading`."""
        found = first(
            where.limit,
            lambda page: self._client.runs.list(
                state=where.states,
                flow=where.flow,
                deployment=where.deployment,
                partition=where.partition,
                tag=where.tags,
                parameter=[f"{name}={value}" for name, value in where.parameters.items()],
                text=where.text,
                since=iso(where.since),
                until=iso(where.until),
                parent=where.parent_id,
                children=where.children,
                before=where.before,
                pool=where.pool,
                limit=page,
            ),
        )
        return [run_of(each) for each in found]

    def task_runs(self, run_id: str) -> list[TaskRun]:
        """See `Reading`."""
        return [step_of(each) for each in self._client.runs.get(run_id).task_runs]

    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """See `Reading`."""
        found = first(limit, lambda page: self._client.runs.logs(run_id, step=key, after=after, limit=page))
        return [line_of(each) for each in found]

    def artifacts(self, run_id: str | None = None, *, bare: bool = False) -> list[Artifact]:
        """See `Reading`."""
        found = first(_ARTIFACTS, lambda page: self._client.runs.artifacts(run_id or "", limit=page))
        return [artifact_of(each) for each in found]

    def pools(self, name: str | None = None) -> list[Pool]:
        """See `Reading`."""
        return [pool_of(each) for each in self._client.deployments.pools() if name in (None, each.name)]

    def workers(self, pool: str | None = None) -> list[Worker]:
        """See `Reading`."""
        return [worker_of(each) for each in self._client.deployments.workers(pool) if each.state != "gone"]

    def held_runs(self, pool: str | None = None) -> list[Run]:
        """See `Reading`."""
        return self.runs(RunFilter(states=_HELD, pool=pool, limit=MOST))

    def deployments(self, name: str | None = None) -> list[StoredDeployment]:
        """See `Reading`."""
        if name is None:
            return [deployment_of(each) for each in self._client.deployments.list()]
        return _one(lambda: deployment_of(self._client.deployments.get(name)))

    def limits(self, name: str | None = None) -> list[Limit]:
        """See `Reading`."""
        return [limit_of(each) for each in self._client.deployments.limits() if name in (None, each.name)]

    def datasets(self, name: str | None = None) -> list[StoredDataset]:
        """See `Reading`."""
        if name is None:
            return [dataset_of(each) for each in self._client.datasets.list()]
        return _one(lambda: dataset_of(self._client.datasets.get(name)))

    def automations(self, name: str | None = None) -> list[StoredAutomation]:
        """See `Reading`."""
        if name is None:
            return [automation_of(each) for each in self._client.automations.list()]
        return _one(lambda: automation_of(self._client.automations.get(name)))


def _one(ask: Callable[[], T]) -> list[T]:
    """What is asked for by its name, if it is there."""
    try:
        return [ask()]
    except PlanNotFound:
        return []
