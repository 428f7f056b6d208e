"""`/api/v1/workflows`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from penstock.control.access import CurrentUser
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import (
    CloneIn,
    Page,
    Planned,
    RollbackIn,
    RunOut,
    TriggerIn,
    VersionOut,
    WorkflowIn,
    WorkflowOut,
    same_parameters,
)
from penstock.control.problems import Problem
from penstock.control.wiring import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    ThePenstock,
    TheWorkflows,
    etag_of,
    expected_version,
    matches,
    tell_place,
)
from penstock.core.clock import iso, now_us
from penstock.core.workflow_texts import Format, of_text, to_text
from penstock.core.workflows import StoredWorkflow, WorkflowFilter, WorkflowSpec, of_data, refuse_unknown
from penstock.engine.workflows import version_of
from penstock.orchestrator.records import run_record
from penstock.orchestrator.workflows import Workflows

router = APIRouter(prefix="/workflows", tags=["workflows"])
EXAMPLE = {
    "name": "nightly",
    "schedule": "0 2 * * *",
    "timezone": "Europe/Paris",
    "tags": ["etl"],
    "parameters": {"rows": 100},
    "tasks": [
        {"name": "extract", "python_callable": "shop.tasks:extract", "params": {"rows": {"$parameter": "rows"}}},
        {
            "name": "load",
            "python_callable": "shop.tasks:load",
            "params": {"rows": {"$result": "extract.rows"}},
            "retry_count": 3,
            "retry_delay": 10,
        },
    ],
}
_BODY = BODIES.of(WorkflowIn, EXAMPLE, yaml=True)


def _spec(request: Request, raw: bytes, workflows: Workflows) -> WorkflowSpec:
    """The workflow in a body, YAML where that is said to be its type; all that it calls is there."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return of_text(raw, "yaml" if kind.endswith("yaml") else "json", workflows.callables.mistakes_in)


def _answer(response: Response, stored: StoredWorkflow) -> WorkflowOut:
    response.headers["ETag"] = etag_of(stored)
    return WorkflowOut.of(stored)


@router.post("", status_code=201, openapi_extra=_BODY)
def create(
    request: Request,
    response: Response,
    raw: Raw,
    workflows: TheWorkflows,
    user: CurrentUser,
    key: IdempotencyKey,
) -> WorkflowOut:
    """Make a workflow, of JSON or YAML."""
    stored = workflows.create(_spec(request, raw, workflows), user.name, key=key)
    response.headers["Location"] = f"/api/v1/workflows/{stored.name}"
    return _answer(response, stored)


@router.get("")
def list_workflows(
    workflows: TheWorkflows,
    user: CurrentUser,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str, Query(max_length=200, description="`next` of the page before")] = "",
    tag: Annotated[str | None, Query(max_length=200)] = None,
    active: bool | None = None,
    text: Annotated[str, Query(max_length=200, description="part of the name")] = "",
) -> Page[WorkflowOut]:
    """List workflows by name: with `skip` and `limit`, or on and on with `cursor`."""
    where = WorkflowFilter(tag=tag, active=active, text=text, after=cursor, skip=skip, limit=limit + 1)
    found = workflows.journal.workflows(where)
    return Page(
        items=[WorkflowOut.of(each) for each in found[:limit]],
        total=workflows.journal.count_workflows(where),
        skip=skip,
        limit=limit,
        next=found[limit - 1].name if len(found) > limit else None,
    )


@router.post("/validate", openapi_extra=_BODY)
def validate(request: Request, raw: Raw, workflows: TheWorkflows, user: CurrentUser) -> dict[str, bool]:
    """Say whether a workflow can be, and every mistake where it cannot. Nothing is kept."""
    _spec(request, raw, workflows)
    return {"valid": True}


@router.post("/import", status_code=200, openapi_extra=_BODY)
def import_workflow(
    request: Request,
    response: Response,
    raw: Raw,
    workflows: TheWorkflows,
    user: CurrentUser,
    key: IdempotencyKey,
    replace: Annotated[bool, Query(description="one of this name becomes as this says")] = False,
) -> WorkflowOut:
    """Make a workflow of what was exported, or (with `replace`) change the one of its name."""
    spec = _spec(request, raw, workflows)
    if replace and workflows.journal.workflows(WorkflowFilter(name=spec.name, limit=1)):
        return _answer(response, workflows.update(spec.name, spec, by=user.name))
    return _answer(response, workflows.create(spec, user.name, key=key))


@router.get("/{name}", response_model=WorkflowOut, responses={304: {"description": "It is as it was."}})
def get(
    name: str, response: Response, workflows: TheWorkflows, user: CurrentUser, if_none_match: IfNoneMatch = None
) -> Any:
    """One workflow."""
    stored = workflows.get(name)
    if if_none_match is not None and matches(if_none_match, etag_of(stored)):
        return Response(status_code=304, headers={"ETag": etag_of(stored)})
    return _answer(response, stored)


@router.put("/{name}", openapi_extra=_BODY)
def update(
    name: str,
    request: Request,
    response: Response,
    raw: Raw,
    workflows: TheWorkflows,
    user: CurrentUser,
    if_match: IfMatch = None,
) -> WorkflowOut:
    """Change a workflow as a whole. That makes another version; runs that have begun go on as they were."""
    spec = _spec(request, raw, workflows)
    expected = expected_version(workflows.get(name), if_match)
    return _answer(response, workflows.update(name, spec, expected=expected, by=user.name))


@router.delete("/{name}", status_code=204)
def delete(name: str, workflows: TheWorkflows, user: CurrentUser, if_match: IfMatch = None) -> None:
    """Remove a workflow; its runs stay."""
    expected = expected_version(workflows.get(name), if_match)
    workflows.delete(name, expected=expected, by=user.name)


@router.get("/{name}/versions")
def versions(name: str, workflows: TheWorkflows, user: CurrentUser) -> list[VersionOut]:
    """Every version that there was, the newest first; also of a workflow that was deleted."""
    return [
        VersionOut(
            version=each.version,
            at=iso(each.at) or "",
            by=each.by,
            restores=each.restores,
            tasks=len(each.spec.get("tasks", ())),
        )
        for each in workflows.versions(name)
    ]


@router.get("/{name}/versions/{version}")
def version(name: str, version: int, workflows: TheWorkflows, user: CurrentUser) -> dict[str, Any]:
    """A version as it was."""
    found = next((each for each in workflows.versions(name) if each.version == version), None)
    if found is None:
        raise Problem(404, f"The workflow {name!r} has no version {version}.")
    return found.spec


@router.post("/{name}/rollback", openapi_extra=BODIES.of(RollbackIn, {"version": 1}))
def rollback(
    name: str,
    response: Response,
    raw: Raw,
    workflows: TheWorkflows,
    user: CurrentUser,
    if_match: IfMatch = None,
) -> WorkflowOut:
    """Make a workflow what it was in an earlier version; that makes a new one."""
    wanted = parsed(RollbackIn, raw)
    expected = expected_version(workflows.get(name), if_match)
    return _answer(response, workflows.rollback(name, wanted.version, expected=expected, by=user.name))


@router.post("/{name}/clone", status_code=201, openapi_extra=BODIES.of(CloneIn, {"name": "nightly_copy"}))
def clone(
    name: str, response: Response, raw: Raw, workflows: TheWorkflows, user: CurrentUser, key: IdempotencyKey
) -> WorkflowOut:
    """Make a workflow with the tasks and all of another one, not active."""
    stored = workflows.clone(name, parsed(CloneIn, raw).name, user.name, key=key)
    response.headers["Location"] = f"/api/v1/workflows/{stored.name}"
    return _answer(response, stored)


@router.post("/{name}/enable")
def enable(name: str, response: Response, workflows: TheWorkflows, user: CurrentUser) -> WorkflowOut:
    """Let its schedule make runs from now on; what was due meanwhile is not made up for."""
    return _answer(response, workflows.enable(name, True))


@router.post("/{name}/disable")
def disable(name: str, response: Response, workflows: TheWorkflows, user: CurrentUser) -> WorkflowOut:
    """Let its schedule make no runs. It can be triggered still."""
    return _answer(response, workflows.enable(name, False))


@router.post(
    "/{name}/trigger",
    status_code=201,
    openapi_extra=BODIES.of(TriggerIn, {"parameters": {"rows": 10}}, needed=False),
)
def trigger(
    name: str, response: Response, raw: Raw, workflows: TheWorkflows, user: CurrentUser, key: IdempotencyKey
) -> RunOut:
    """Ask for a run. A worker executes it; what was answered is not lost."""
    wanted = parsed(TriggerIn, raw)
    run = workflows.trigger(name, wanted.parameters, key=key, tags=wanted.tags, run_name=wanted.run_name)
    if not same_parameters(run, wanted.parameters):
        raise Problem(422, f"The key {key!r} made a run with other parameters.", hint="give each request its own key")
    tell_place(response, run)
    return RunOut.model_validate(run_record(run, now_us()))


@router.post(
    "/{name}/dry-run", openapi_extra=BODIES.of(TriggerIn, {"parameters": {"rows": 10}}, needed=False)
)  # fmt: skip
def dry_run(name: str, raw: Raw, workflows: TheWorkflows, user: CurrentUser) -> Planned:
    """Say what a run would do, and see that all it calls is there. Nothing is executed."""
    wanted = parsed(TriggerIn, raw)
    stored = workflows.get(name)
    spec = of_data(stored.spec)
    refuse_unknown(spec, wanted.parameters)
    workflows.callables.check(spec)
    return Planned(
        workflow=name,
        version=stored.version,
        parameters={**spec.parameters, **wanted.parameters},
        tasks=[
            {"name": task.name, "python_callable": task.python_callable, "after": list(task.needs())}
            for task in spec.ordered()
        ],
    )


@router.get("/{name}/export", response_class=Response)
def export(
    name: str,
    workflows: TheWorkflows,
    penstock: ThePenstock,
    user: CurrentUser,
    format: Format = "yaml",
    version: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> Response:
    """A workflow, or an earlier version of it, as a text that can be imported."""
    spec = version_of(penstock.journal, name, version) if version else workflows.spec(workflows.get(name))
    types: dict[str, Literal["application/yaml", "application/json"]]
    types = {"yaml": "application/yaml", "json": "application/json"}
    headers = {"Content-Disposition": f'attachment; filename="{spec.name}.{format}"'}
    return Response(to_text(spec, format), media_type=types[format], headers=headers)
