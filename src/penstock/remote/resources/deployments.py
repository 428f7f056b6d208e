"""Deployments, what executes their runs, and what they work with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.remote.answers import Page, Run
from penstock.remote.calls import Call, K, Resource, changed, given, got, listing, made, operation, removed, told


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule of a deployment."""

    name: str
    told: str
    spec: dict[str, Any]
    parameters: dict[str, Any] = {}
    paused: bool = False
    next_due: str | None = None
    settled_until: str | None = None


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment."""

    name: str
    flow: str
    pool: str
    queue: str
    entrypoint: str = ""
    folder: str | None = None
    engine: str = "local"
    version: str | None = None
    priority: int = 0
    concurrency: int | None = None
    collision: str = "wait"
    crash_retries: int = 0
    crash_delay_seconds: float = 0.0
    promises: dict[str, Any] = {}
    updated_at: str | None = None
    description: str | None = None
    parameters: dict[str, Any] = {}
    tags: list[str] = []
    paused: bool = False
    next_due: str | None = None
    schedules: list[Schedule] = []


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """When a schedule is due."""

    schedule: str
    at: str


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue of a pool."""

    name: str
    priority: int = 0
    limit: int | None = None
    paused: bool = False


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool, and how much waits and runs in it."""

    name: str
    limit: int | None = None
    paused: bool = False
    description: str | None = None
    waiting: int = 0
    running: int = 0
    workers: int = 0
    queues: list[Queue] = []


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker."""

    id: str
    host: str
    pool: str
    queues: list[str] = []
    pid: int | None = None
    limit: int
    running: int
    state: str
    started_at: str | None = None
    seen_at: str | None = None


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How much may happen at once, or in a second."""

    name: str
    slots: int | None = None
    per_second: float | None = None
    burst: int | None = None
    taken: int = 0
    waiting: int = 0


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset."""

    name: str
    namespace: str
    address: str | None = None
    version: str | None = None
    written_at: str | None = None
    read_at: str | None = None
    path: str = ""
    spec: dict[str, Any] = {}
    columns: dict[str, str] = {}
    landed: int | None = None
    rejected: int | None = None
    written_by: str | None = None
    read_by: str | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection, without what is in it."""

    name: str
    source: str
    type: str | None = None
    variable: str | None = None
    hides_saved: bool = False
    saved_at: str | None = None


class ConnectionDetail(Connection, frozen=True, kw_only=True):
    """A connection, with its fields; those that are secret are not told."""

    fields: dict[str, Any] = {}


class ConnectionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a system can be reached."""

    ok: bool
    told: str
    seconds: float | None = None
    hint: str | None = None


class Deployments(Resource[K]):
    """Deployments."""

    @listing
    def list(
        self,
        *,
        text: str = "",
        flow: str | None = None,
        tag: str | None = None,
        paused: bool | None = None,
        limit: int = 200,
    ) -> Call[Deployment]:
        """Every deployment, by name."""
        return got(Page[Deployment], "deployments", text=text, flow=flow, tag=tag, paused=paused, limit=limit)

    @operation
    def get(self, name: str) -> Call[Deployment]:
        """One deployment, with its schedules."""
        return got(Deployment, "deployments", name)

    @operation
    def run(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        tags: Sequence[str] = (),
        run_name: str | None = None,
        key: str | None = None,
    ) -> Call[Run]:
        """Have it run once, by a worker."""
        body = given(parameters=dict(parameters or {}), tags=[*tags], run_name=run_name)
        return made(Run, "deployments", name, "run", body=body, key=key)

    @operation
    def pause(self, name: str, *, schedule: str | None = None) -> Call[Deployment]:
        """Let its schedules (or one of them) make no runs."""
        return told(Deployment, "deployments", name, "pause", body=given(schedule=schedule), repeatable=True)

    @operation
    def resume(self, name: str, *, schedule: str | None = None) -> Call[Deployment]:
        """Let them make runs again."""
        return told(Deployment, "deployments", name, "resume", body=given(schedule=schedule), repeatable=True)

    @operation
    def delete(self, name: str) -> Call[None]:
        """Remove it with its schedules; its runs stay."""
        return removed("deployments", name)

    @operation
    def due(self, name: str, *, limit: int = 10) -> Call[Sequence[Due]]:
        """When it is due next."""
        return got(tuple[Due, ...], "deployments", name, "due", limit=limit)

    @operation
    def pools(self) -> Call[Sequence[Pool]]:
        """The pools there are."""
        return got(tuple[Pool, ...], "pools")

    @operation
    def pool(self, name: str) -> Call[Pool]:
        """One pool."""
        return got(Pool, "pools", name)

    @operation
    def workers(self, pool: str | None = None) -> Call[Sequence[Worker]]:
        """The workers of a pool, or of all."""
        return got(tuple[Worker, ...], "workers", pool=pool)

    @operation
    def limits(self) -> Call[Sequence[Limit]]:
        """The limits there are."""
        return got(tuple[Limit, ...], "limits")


class Datasets(Resource[K]):
    """Datasets."""

    @listing
    def list(self, *, text: str = "", limit: int = 200) -> Call[Dataset]:
        """Every dataset, by name."""
        return got(Page[Dataset], "datasets", text=text, limit=limit)

    @operation
    def get(self, name: str) -> Call[Dataset]:
        """One dataset."""
        return got(Dataset, "datasets", name)


class Connections(Resource[K]):
    """Connections; what is secret of them goes to the server, and never comes back."""

    @operation
    def list(self) -> Call[Sequence[Connection]]:
        """Every connection, by name."""
        return got(tuple[Connection, ...], "connections")

    @operation
    def types(self) -> Call[dict[str, Any]]:
        """What types there are, and their fields."""
        return got(dict[str, Any], "connections", "types")

    @operation
    def create(
        self, name: str, type: str, fields: Mapping[str, Any], *, key: str | None = None
    ) -> Call[ConnectionDetail]:
        """Save one."""
        body = {"name": name, "type": type, "fields": dict(fields)}
        return made(ConnectionDetail, "connections", body=body, key=key)

    @operation
    def get(self, name: str) -> Call[ConnectionDetail]:
        """One of them."""
        return got(ConnectionDetail, "connections", name)

    @operation
    def update(self, name: str, type: str, fields: Mapping[str, Any]) -> Call[ConnectionDetail]:
        """Save another in its place."""
        return changed(ConnectionDetail, "connections", name, body={"type": type, "fields": dict(fields)})

    @operation
    def delete(self, name: str) -> Call[None]:
        """Remove one."""
        return removed("connections", name)

    @operation
    def test(self, name: str, *, timeout: float | None = None) -> Call[ConnectionHealth]:
        """Whether the system behind it can be reached."""
        path = ("connections", name, "test")
        query = given(timeout=timeout)
        return Call(method="POST", path=path, answer=ConnectionHealth, query=query, seconds=timeout or 30.0)
