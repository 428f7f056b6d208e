"""Shapes of `/api/v1/alerts` and `/api/v1/silences`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from penstock.control.models import Shape

Value = StrictBool | StrictInt | StrictFloat | StrictStr
State = Literal["waiting", "sending", "told", "silenced", "skipped", "failed"]


class AlertOut(BaseModel):
    """An alert, and what became of it."""

    id: str
    state: State
    automation: str
    to: list[str]
    title: str
    level: str
    at: str
    due_at: str | None
    attempts: int
    error: str | None


class RetryIn(Shape):
    """An alert that could not be told."""

    id: str = Field(min_length=1, max_length=500)


class RetryOut(BaseModel):
    """The id that it has from now on."""

    id: str


class ChannelOut(BaseModel):
    """A channel. `off` says why nobody is told by it."""

    name: str
    type: str
    connection: str
    off: str | None


class TestOut(BaseModel):
    """What became of a message that is only a test."""

    channel: str
    ok: bool
    error: str | None


class SilenceIn(Shape):
    """What nobody is to be told of, and for how long; everything, where no facts are named."""

    where: dict[str, Value | list[Value]] = Field(default_factory=dict)
    seconds: float = Field(gt=0, le=366 * 86_400)
    since: Annotated[AwareDatetime, Field(strict=False)] | None = None
    reason: str | None = Field(None, max_length=1000)


class SilenceOut(BaseModel):
    """A silence."""

    id: str
    state: Literal["later", "on", "over"]
    where: dict[str, Any]
    since: str
    until: str
    reason: str | None
    by: str | None
