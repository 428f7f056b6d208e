"""What goes over the wire: the shapes of requests and answers, as the API describes them."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from penstock.core.workflows import StoredWorkflow
from penstock.orchestrator.records import workflow_record

T = TypeVar("T")


class Shape(BaseModel):
    """A body that somebody sends: nothing but its fields is in it."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TaskIn(Shape):
    """A task of a workflow."""

    name: str = Field(pattern="^[A-Za-z][A-Za-z0-9_]*$", max_length=100)
    python_callable: str = Field(description="module:function; the module is on the project's list")
    params: dict[str, Any] = Field({}, description='keyword arguments; {"$result": "task.path[0]"} is a result')
    dependencies: list[str] = Field([], description="tasks that complete first")
    retry_count: int = Field(0, ge=0, le=1000)
    retry_delay: float = Field(0.0, ge=0, description="seconds")
    timeout: float | None = Field(None, gt=0, description="seconds")
    engine: str = "local"


class WorkflowIn(Shape):
    """A workflow to be made, or as it is to be."""

    name: str = Field(pattern="^[A-Za-z][A-Za-z0-9_]*$", max_length=100)
    description: str | None = None
    schedule: str | None = Field(None, description="a preset such as @daily, or five fields of cron")
    timezone: str = "UTC"
    active: bool = True
    tags: list[str] = []
    parameters: dict[str, Any] = Field({}, description="what a run may be given, with the value it has otherwise")
    engine: str = Field("local", description="where its runs are executed: local, airflow, or what is installed")
    tasks: list[TaskIn]


class CloneIn(Shape):
    """How the copy is called."""

    name: str


class RollbackIn(Shape):
    """Which version it is to be again."""

    version: int = Field(ge=1)


class TriggerIn(Shape):
    """What the run is given."""

    parameters: dict[str, Any] = {}
    tags: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field([], max_length=100)
    run_name: str | None = Field(None, min_length=1, max_length=200)


class ForkIn(Shape):
    """Where the new run begins."""

    from_step: str


class CancelIn(Shape):
    """Why, and how long it may take to stop by itself."""

    reason: str | None = Field(None, max_length=1000)
    grace_seconds: float = Field(10.0, ge=0, le=60)


class WorkflowOut(BaseModel):
    """A workflow."""

    name: str
    version: int
    description: str | None
    schedule: str | None
    timezone: str
    active: bool
    tags: list[str]
    parameters: dict[str, Any]
    engine: str
    tasks: list[dict[str, Any]]
    created_at: str
    updated_at: str
    next_due: str | None

    @classmethod
    def of(cls, stored: StoredWorkflow) -> WorkflowOut:
        """The answer for a workflow of the journal."""
        return cls(**workflow_record(stored))


class Page(BaseModel, Generic[T]):
    """A page of a list.

    `total` counts what is on all pages. `next` goes into `cursor` to get what follows; null at the end.
    """

    items: list[T]
    total: int
    skip: int
    limit: int
    next: str | None


class Part(BaseModel, Generic[T]):
    """A part of a long list. `next` goes into `cursor` to get what follows; null at the end."""

    items: list[T]
    limit: int
    next: str | None


class VersionOut(BaseModel):
    """A version of a workflow."""

    version: int
    at: str
    by: str | None
    restores: int | None
    tasks: int


class StepOut(BaseModel):
    """A task run."""

    run_id: str
    key: str
    name: str
    task: str
    state: str
    state_name: str
    message: str | None
    parent: str | None
    attempt: int
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    tags: list[str]
    child_run_id: str | None


class RunOut(BaseModel):
    """A run."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str
    flow: str
    flow_version: str | None
    state: str
    state_name: str
    message: str | None
    parameters: dict[str, Any]
    tags: list[str]
    attempt: int
    created_at: str | None
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    origin: str | None
    origin_id: str | None
    deployment: str | None
    cause: str | None


class LogOut(BaseModel):
    """A log line; its `id` goes into `cursor` to get what was logged after it."""

    id: int
    run_id: str
    step: str | None
    at: str | None
    level: str
    logger: str
    message: str


class ArtifactOut(BaseModel):
    """An artifact, without its content."""

    id: str
    key: str | None
    type: str
    description: str | None
    run_id: str
    step: str | None
    created_at: str | None
    bytes: int


class Planned(BaseModel):
    """What a run of a workflow would do: its tasks in the order in which they are submitted."""

    workflow: str
    version: int
    parameters: dict[str, Any]
    tasks: list[dict[str, Any]]


class ProblemOut(BaseModel):
    """What is wrong with a request, and what to do about it (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str | None = None
    hint: str | None = None
    errors: list[dict[str, str]] | None = None
