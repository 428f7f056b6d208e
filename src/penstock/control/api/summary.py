"""`/api/v1/flows` and `/api/v1/summary`: how things are, at a glance."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from penstock.control import overview
from penstock.control.access import Viewer
from penstock.control.wiring import ThePenstock, control_of
from penstock.core.clock import now_us

router = APIRouter(tags=["summary"])


class FlowOut(BaseModel):
    """A flow that has runs."""

    flow: str
    runs: int
    last_run_id: str
    last_state: str
    last_created_at: str | None
    entrypoint: str | None


class PoolOut(BaseModel):
    """A pool: how many of its runs wait, and how many are executed."""

    name: str
    slots: int | None
    paused: bool
    waiting: int
    running: int


class WorkerOut(BaseModel):
    """A worker, as it last said how it is."""

    id: str
    pool: str
    slots: int
    running: int
    state: str
    started_at: str | None
    seen_at: str | None


class SummaryOut(BaseModel):
    """How things are."""

    at: str
    hours: float
    runs: dict[str, int] = Field(description="in each state: all that have not ended, and those lately made that have")
    most: int = Field(description="so many are counted of each state at most")
    pools: list[PoolOut]
    workers: list[WorkerOut]


@router.get("/flows")
def flows(request: Request, penstock: ThePenstock, user: Viewer) -> list[FlowOut]:
    """Every flow that has runs, with its last one."""
    tags = user.tags
    found = control_of(request).cache.of("flows", tags, lambda: overview.flows(penstock.journal, tags))
    return [FlowOut.model_validate(each) for each in found]


@router.get("/summary")
def summary(
    penstock: ThePenstock,
    user: Viewer,
    hours: Annotated[float, Query(gt=0, le=24 * 366, description="ended runs made within so many hours count")] = 24.0,
) -> SummaryOut:
    """How many runs there are in each state, what waits in the pools, and who works."""
    found: dict[str, Any] = overview.summary(penstock.journal, user.tags, hours, now_us())
    return SummaryOut.model_validate(found)
