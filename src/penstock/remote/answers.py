"""What a server answers, as structs. The fields are those of `--json` on the command line and of the API's description.

Times are texts such as `2026-01-31T13:03:22.123456Z`, always in UTC.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list, and how much there is on all of them."""

    items: list[T]
    total: int
    skip: int
    limit: int
    next: str | None = None


class Part(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list that may be very long. `next` is the cursor of what follows; None at the end."""

    items: list[T]
    limit: int = 0
    next: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task of a workflow; see `penstock.core.workflows.TaskSpec`."""

    name: str
    python_callable: str
    params: dict[str, Any] = {}
    dependencies: list[str] = []
    retry_count: int = 0
    retry_delay: float = 0.0
    timeout: float | None = None
    engine: str = "local"


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow.

    Attributes:
        etag: what `if_match` of a change takes, so that it is made only to this.
    """

    name: str
    version: int
    description: str | None = None
    schedule: str | None = None
    timezone: str = "UTC"
    active: bool = False
    tags: list[str] = []
    parameters: dict[str, Any] = {}
    engine: str = "local"
    tasks: list[Task] = []
    created_at: str = ""
    updated_at: str = ""
    next_due: str | None = None
    etag: str | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version that a workflow has or had."""

    version: int
    at: str
    by: str | None = None
    restores: int | None = None
    tasks: int = 0


class PlannedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task as it would be called, and the tasks it comes after."""

    name: str
    python_callable: str
    after: list[str] = []


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of a workflow would do."""

    workflow: str
    version: int
    parameters: dict[str, Any]
    tasks: list[PlannedTask]


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """What a paused run waits for."""

    step: str
    kind: str
    until: str | None = None
    prompt: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run."""

    id: str
    name: str
    flow: str
    state: str
    state_name: str
    flow_version: str | None = None
    message: str | None = None
    parameters: dict[str, Any] = {}
    tags: list[str] = []
    attempt: int = 0
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    duration_seconds: float | None = None
    entrypoint: str | None = None
    parent_id: str | None = None
    parent_step: str | None = None
    root_id: str | None = None
    origin: str | None = None
    origin_id: str | None = None
    from_step: str | None = None
    deployment: str | None = None
    cause: str | None = None
    pool: str | None = None
    queue: str | None = None
    priority: int = 0
    due_at: str | None = None
    scheduled_at: str | None = None
    partition: str | None = None
    interval_start: str | None = None
    interval_end: str | None = None
    crashes: int = 0
    waiting: Waits | None = None
    pause_requested: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A task run."""

    run_id: str
    key: str
    name: str
    task: str
    state: str
    state_name: str
    message: str | None = None
    parent: str | None = None
    attempt: int = 1
    started_at: str | None = None
    ended_at: str | None = None
    duration_seconds: float | None = None
    tags: list[str] = []
    child_run_id: str | None = None


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of a run went."""

    waited_seconds: float | None = None
    running_seconds: float | None = None
    steps: dict[str, int] = {}
    slowest: list[str] = []


class RunDetail(Run, frozen=True, kw_only=True):
    """A run with its task runs."""

    task_runs: list[Step] = []
    timings: Timings = Timings()


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the list of runs; `total` is told where `skip` or `sort` is given.

    Attributes:
        complete: false where more fit than were counted and sorted, which were the newest.
    """

    items: list[Run]
    limit: int
    next: str | None = None
    skip: int | None = None
    total: int | None = None
    complete: bool = True


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a run waits for; `schema` is what an answer must be like."""

    step: str
    kind: str
    prompt: str | None = None
    until: str | None = None
    schema: dict[str, Any] | None = None
    approvers: list[str] = []
    refused: str | None = None


class RunError(msgspec.Struct, frozen=True, kw_only=True):
    """What ended a step, or (without one) a run."""

    type: str
    text: str
    trace: str
    step: str | None = None


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that a run has logged."""

    run_id: str
    at: str | None
    level: str
    logger: str
    message: str
    id: int = 0
    step: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left to look at, without its content."""

    id: str
    type: str
    run_id: str
    key: str | None = None
    description: str | None = None
    step: str | None = None
    created_at: str | None = None
    bytes: int = 0


class ArtifactDetail(Artifact, frozen=True, kw_only=True):
    """What a run left to look at, with its content."""

    data: Any = None
