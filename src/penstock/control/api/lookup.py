"""`/api/v1/runs/named` and `/api/v1/runs/ID/errors`: runs by what people call them, and what they ended with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from penstock.control import runs as service
from penstock.control.access import Viewer
from penstock.control.models import RunOut
from penstock.control.wiring import ThePenstock
from penstock.core.clock import now_us
from penstock.orchestrator.records import error_record, errors_of, run_record

router = APIRouter(prefix="/runs", tags=["runs"])


class ErrorOut(BaseModel):
    """What ended a step, or (where `step` is null) the run."""

    step: str | None
    type: str
    text: str
    trace: str


@router.get("/named")
def named(
    penstock: ThePenstock,
    user: Viewer,
    name: Annotated[str, Query(min_length=1, max_length=1000, description="or the beginning or the end of its id")],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> list[RunOut]:
    """Runs that people may mean by this."""
    found = [run for run in penstock.journal.find(name, limit) if user.sees(run.tags)]
    return [RunOut.model_validate(run_record(run, now_us())) for run in found]


@router.get("/{run_id}/errors")
def errors(run_id: str, penstock: ThePenstock, user: Viewer) -> list[ErrorOut]:
    """What steps of a run, and the run itself, ended with."""
    run = service.found(penstock.journal, run_id, user)
    return [ErrorOut.model_validate(error_record(*each)) for each in errors_of(penstock.journal, run.id)]
