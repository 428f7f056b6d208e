"""What goes over the wire about deployments, pools, workers, limits and datasets."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from penstock.control.models import Shape


class _Record(BaseModel):
    """It may get more fields."""

    model_config = ConfigDict(extra="allow")


class ScheduleOut(_Record):
    """A schedule of a deployment."""

    name: str
    told: str
    spec: dict[str, Any]
    parameters: dict[str, Any]
    paused: bool
    next_due: str | None


class DeploymentOut(_Record):
    """A flow that is run without being called."""

    name: str
    flow: str
    description: str | None
    parameters: dict[str, Any]
    tags: list[str]
    engine: str
    pool: str
    queue: str
    paused: bool
    next_due: str | None
    schedules: list[ScheduleOut]


class DueOut(BaseModel):
    """When a schedule is due."""

    schedule: str
    at: str


class PausedIn(Shape):
    """What is to be paused or resumed."""

    schedule: str | None = None


class QueueOut(_Record):
    """A queue of a pool."""

    name: str
    priority: int
    limit: int | None
    paused: bool


class PoolOut(_Record):
    """A pool: which workers take which runs."""

    name: str
    limit: int | None
    paused: bool
    description: str | None
    waiting: int
    running: int
    workers: int
    queues: list[QueueOut]


class WorkerOut(_Record):
    """A worker; `state` is running, draining or gone."""

    id: str
    host: str
    pool: str
    limit: int
    running: int
    state: str
    started_at: str | None
    seen_at: str | None


class LimitOut(_Record):
    """A limit: so many at once, or so many in a time."""

    name: str
    slots: int | None
    per_second: float | None
    burst: int | None
    taken: int
    waiting: int


class DatasetOut(_Record):
    """A dataset that was written or declared."""

    name: str
    namespace: str
    address: str | None
    version: str | None
    written_at: str | None
    read_at: str | None
