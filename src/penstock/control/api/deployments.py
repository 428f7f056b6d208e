"""`/api/v1/deployments`: flows that are run without being called, and when they are due."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from penstock.control.access import Editor, Operator, Viewer, check_seen
from penstock.control.api.plans_models import DeploymentOut, DueOut, PausedIn
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import Page, RunOut, TriggerIn
from penstock.control.uploads import refuse_hidden
from penstock.control.wiring import IdempotencyKey, ThePenstock, tell_place
from penstock.core.access import User
from penstock.core.calendar import next_after
from penstock.core.clock import iso
from penstock.core.deployments import schedule_of
from penstock.core.errors import PlanNotFound
from penstock.core.events import now_us
from penstock.core.model import StoredDeployment
from penstock.core.ports import Journal
from penstock.orchestrator import deployments as service
from penstock.orchestrator.plan_records import deployment_record
from penstock.orchestrator.records import run_record

router = APIRouter(prefix="/deployments", tags=["deployments"])
_PAUSED = BODIES.of(PausedIn, {"schedule": "daily"}, needed=False)


def _found(journal: Journal, name: str, user: User) -> StoredDeployment:
    """A deployment that is there for this user; to others it is not said which there are."""
    missing = PlanNotFound(f"There is no deployment {name!r}.", hint="the list of deployments shows those there are")
    stored = next(iter(journal.deployments(name)), None)
    if stored is None:
        raise missing
    check_seen(user, stored.spec.get("tags", ()), missing)
    return stored


def _answer(stored: StoredDeployment) -> DeploymentOut:
    return DeploymentOut.model_validate(deployment_record(stored))


@router.get("")
def list_deployments(
    penstock: ThePenstock,
    user: Viewer,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    text: Annotated[str, Query(max_length=200, description="part of the name")] = "",
    flow: Annotated[str | None, Query(max_length=1000)] = None,
    tag: Annotated[str | None, Query(max_length=200)] = None,
    paused: bool | None = None,
) -> Page[DeploymentOut]:
    """List deployments by name."""
    found = [
        each
        for each in penstock.journal.deployments()
        if user.sees(tags := each.spec.get("tags", ()))
        and text in each.name
        and flow in (None, each.flow)
        and (tag is None or tag in tags)
        and paused in (None, each.paused)
    ]
    items = [_answer(each) for each in found[skip : skip + limit]]
    return Page(items=items, total=len(found), skip=skip, limit=limit, next=None)


@router.get("/{name}")
def get(name: str, penstock: ThePenstock, user: Viewer) -> DeploymentOut:
    """One deployment, with its schedules and when each is due next."""
    return _answer(_found(penstock.journal, name, user))


@router.post("/{name}/run", status_code=201, openapi_extra=BODIES.of(TriggerIn, {"parameters": {}}, needed=False))
def run(name: str, response: Response, raw: Raw, penstock: ThePenstock, user: Operator, key: IdempotencyKey) -> RunOut:
    """Ask for a run. A worker of its pool executes it; what was answered is not lost."""
    wanted = parsed(TriggerIn, raw)
    _found(penstock.journal, name, user)
    refuse_hidden(penstock.journal, wanted.parameters, user)
    made = service.trigger(
        penstock.journal, name, wanted.parameters, key=key, tags=wanted.tags, run_name=wanted.run_name, same=True
    )
    tell_place(response, "runs", made.id)
    return RunOut.model_validate(run_record(made, now_us()))


@router.post("/{name}/pause", openapi_extra=_PAUSED)
def pause(name: str, raw: Raw, penstock: ThePenstock, user: Operator) -> DeploymentOut:
    """Let it, or one schedule of it, make no runs for now. It can be run still."""
    wanted = parsed(PausedIn, raw)
    _found(penstock.journal, name, user)
    service.pause(penstock.journal, name, wanted.schedule)
    return _answer(_found(penstock.journal, name, user))


@router.post("/{name}/resume", openapi_extra=_PAUSED)
def resume(name: str, raw: Raw, penstock: ThePenstock, user: Operator) -> DeploymentOut:
    """Let it make runs again, from now on: what was due meanwhile is not made up for."""
    wanted = parsed(PausedIn, raw)
    _found(penstock.journal, name, user)
    service.unpause(penstock.journal, name, wanted.schedule)
    return _answer(_found(penstock.journal, name, user))


@router.delete("/{name}", status_code=204)
def delete(name: str, penstock: ThePenstock, user: Editor) -> None:
    """Remove it with its schedules. Its runs stay, and those that wait are still executed."""
    _found(penstock.journal, name, user)
    service.delete(penstock.journal, name)


@router.get("/{name}/due")
def due(
    name: str, penstock: ThePenstock, user: Viewer, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> list[DueOut]:
    """The next times at which it will be due, as it is now."""
    stored = _found(penstock.journal, name, user)
    found: list[tuple[int, str]] = []
    for each in stored.schedules:
        at, spec = each.next_due, schedule_of(each.spec).spec
        for _ in range(limit):
            if at is None:
                break
            found.append((at, each.name))
            at = next_after(spec, at)
    return [DueOut(schedule=schedule, at=iso(at) or "") for at, schedule in sorted(found)[:limit]]
