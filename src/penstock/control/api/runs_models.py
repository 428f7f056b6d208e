"""Shapes of `/api/v1/runs`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from penstock.control.models import ArtifactOut, LogOut, RunOut, Shape, StepOut


class RunsOut(BaseModel):
    """Runs.

    `next` goes into `cursor` to get what follows; null at the end, and where they are in another order.
    """

    items: list[RunOut]
    limit: int
    next: str | None
    skip: int | None = None
    total: Annotated[int | None, Field(description="how many fit; counted where `skip` or `sort` is given")] = None
    complete: Annotated[bool, Field(description="false: more fit than were counted and sorted: the newest")] = True


class TimingsOut(BaseModel):
    """Where the time went."""

    waited_seconds: float | None = Field(description="from when it was made, or due, until it began")
    running_seconds: float | None = Field(description="since it began; until its end, where it has one")
    steps: dict[str, int] = Field(description="how many of its steps are in each state")
    slowest: list[str] = Field(description="the keys of the steps that took longest")


class RunDetailOut(RunOut):
    """A run with its steps."""

    task_runs: list[StepOut]
    timings: TimingsOut


class QuestionOut(BaseModel):
    """What a run waits for."""

    step: str
    kind: str = Field(description="sleep, pause, input or approval")
    prompt: str | None
    until: str | None
    schema_: dict[str, Any] | None = Field(alias="schema", description="what an answer must be like (JSON Schema)")
    approvers: list[str]
    refused: str | None = Field(description="what was wrong with the last answer")


class AnswerIn(Shape):
    """An answer."""

    value: Any = None
    step: str | None = Field(None, max_length=1000, description="which of its steps, where several ask")


class PauseIn(Shape):
    """Why it is to pause."""

    reason: str | None = Field(None, max_length=1000)


class LogsOut(BaseModel):
    """Log lines. `next` goes into `cursor`; there may be a `next` where fewer than `limit` fit so far."""

    items: list[LogOut]
    limit: int
    next: str | None


class ArtifactDetailOut(ArtifactOut):
    """An artifact with its content."""

    data: Any
