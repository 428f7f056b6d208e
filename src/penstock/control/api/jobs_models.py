"""Shapes of what is asked for in the background."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from penstock.control.models import Shape

_Word = Annotated[str, Field(max_length=1000)]
_Time = Annotated[datetime.datetime | None, Field(strict=False)]


class RunsIn(Shape):
    """Which runs: those that meet every condition, or those with these ids. All of them only where `all` says so."""

    ids: list[Annotated[str, Field(max_length=100)]] = Field([], max_length=1_000)
    all: bool = False
    states: list[_Word] = Field([], max_length=20)
    flow: _Word | None = None
    deployment: _Word | None = Field(None, description="or workflow")
    tags: list[_Word] = Field([], max_length=50)
    text: str = Field("", max_length=200)
    since: _Time = None
    until: _Time = None
    pool: _Word | None = None
    dry_run: bool = Field(False, description="only say how many there are")


class PauseRunsIn(RunsIn):
    """Which runs to pause; those that have ended are left alone."""

    reason: str | None = Field(None, max_length=1000)


class CancelRunsIn(PauseRunsIn):
    """Which runs to stop; those that have ended are left alone."""

    grace_seconds: float = Field(10.0, ge=0, le=20, description="killed when they have not stopped in so long")


class CleanupIn(Shape):
    """Which runs are old: as the settings of retention say, or those that ended so long ago."""

    older_than: str | None = Field(None, max_length=100, description="such as 90d or 12h")
    states: list[_Word] = Field([], max_length=20, description="only runs that ended in one of these")
    dry_run: bool = Field(False, description="only count them")


class JobOut(BaseModel):
    """Something that is done in the background."""

    id: str
    kind: str
    state: str = Field(description="Running, Completed or Failed")
    by: str
    created_at: str | None
    updated_at: str | None
    ended_at: str | None
    total: int | None = Field(description="how many runs it is about, where that is known")
    done: int
    skipped: dict[str, int] = Field(description="how many were left alone, and why")
    dry_run: bool
    result: dict[str, Any]
    error: str | None


class CountedOut(BaseModel):
    """How many runs it would be about; at least so many where it is not complete."""

    count: int
    complete: bool


class PurgeOut(BaseModel):
    """Old runs that were removed together."""

    at: str | None
    runs: int
    below: int
    results: int
    before: str | None
    flows: dict[str, dict[str, int]]
    asked: bool = Field(description="somebody asked for it; otherwise it was done by itself")


class CleanupsOut(BaseModel):
    """What was removed lately, by itself or by request, the newest first."""

    keep: str
    keep_failed: str
    items: list[PurgeOut]
