"""`/api/v1/workflows`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from penstock.control.access import CurrentUser, Editor, Operator, Viewer, check_made
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
)
from penstock.control.problems import Problem
from penstock.control.uploads import refuse_hidden
from penstock.control.wiring import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    ThePenstock,
    TheWorkflows,
    etag_of,
    expected_version,
    tell_place,
    unchanged,
)
from penstock.core.clock import now_us
from penstock.core.workflow_texts import Format, data_of, of_text, to_text
from penstock.core.workflows import StoredWorkflow, WorkflowFilter, WorkflowSpec, as_data, read
from penstock.engine.workflows import version_of
from penstock.orchestrator.records import run_record, version_record
from penstock.orchestrator.workflows import Workflows


async def _seen(request: Request, user: CurrentUser, workflows: TheWorkflows) -> None:
    """Whatever is asked of one workflow, it is there for who asks."""
    name = request.path_params.get("name")
    if name is not None and user.tags is not None:
        await run_in_threadpool(workflows.get, name, user.tags)


router = APIRouter(prefix="/workflows", tags=["workflows"], dependencies=[Depends(_seen)])
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


_ANSWERED = ("version", "created_at", "updated_at", "next_due")
"""What answers say of a workflow beside what it is: sent back with it, it is left out of account."""


def _form(request: Request) -> Format:
    """What a body is: YAML where that is said to be its type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return "yaml" if kind.endswith("yaml") else "json"


def _spec(request: Request, raw: bytes, workflows: Workflows) -> WorkflowSpec:
    """The workflow in a body; all that it calls is there."""
    return of_text(raw, _form(request), workflows.mistakes_in)


def _answer(response: Response, stored: StoredWorkflow) -> WorkflowOut:
    response.headers["ETag"] = etag_of(stored)
    return WorkflowOut.of(stored)


@router.post("", status_code=201, openapi_extra=_BODY)
def create(
    request: Request,
    response: Response,
    raw: Raw,
    workflows: TheWorkflows,
    user: Editor,
    key: IdempotencyKey,
) -> WorkflowOut:
    """Make a workflow, of JSON or YAML."""
    spec = _spec(request, raw, workflows)
    check_made(user, spec.tags)
    refuse_hidden(workflows.journal, as_data(spec), user)
    stored = workflows.create(spec, user.name, key=key)
    tell_place(response, "workflows", stored.name)
    return _answer(response, stored)


@router.get("")
def list_workflows(
    workflows: TheWorkflows,
    user: Viewer,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str, Query(max_length=200, description="`next` of the page before")] = "",
    tag: Annotated[str | None, Query(max_length=200)] = None,
    active: bool | None = None,
    text: Annotated[str, Query(max_length=200, description="part of the name")] = "",
) -> Page[WorkflowOut]:
    """List workflows by name: with `skip` and `limit`, or on and on with `cursor`."""
    where = WorkflowFilter(
        tag=tag, any_tags=user.tags, active=active, text=text, after=cursor, skip=skip, limit=limit + 1
    )
    found = workflows.journal.workflows(where)
    return Page(
        items=[WorkflowOut.of(each) for each in found[:limit]],
        total=workflows.journal.count_workflows(where),
        skip=skip,
        limit=limit,
        next=found[limit - 1].name if len(found) > limit else None,
    )


@router.post("/validate", openapi_extra=_BODY)
def validate(request: Request, raw: Raw, workflows: TheWorkflows, user: Viewer) -> dict[str, bool]:
    """Say whether a workflow can be, and every mistake where it cannot. Nothing is kept."""
    _spec(request, raw, workflows)
    return {"valid": True}


@router.post("/import", status_code=200, openapi_extra=_BODY)
def import_workflow(
    request: Request,
    response: Response,
    raw: Raw,
    workflows: TheWorkflows,
    user: Editor,
    key: IdempotencyKey,
    replace: Annotated[bool, Query(description="one of this name becomes as this says")] = False,
) -> WorkflowOut:
    """Make a workflow of what was exported, or (with `replace`) change the one of its name."""
    spec = _spec(request, raw, workflows)
    check_made(user, spec.tags)
    refuse_hidden(workflows.journal, as_data(spec), user)
    if replace and workflows.journal.workflows(WorkflowFilter(name=spec.name, limit=1)):
        workflows.get(spec.name, user.tags)
    make = workflows.apply if replace else workflows.create
    return _answer(response, make(spec, user.name, key=key))


@router.get("/{name}", response_model=WorkflowOut, responses={304: {"description": "It is as it was."}})
def get(name: str, response: Response, workflows: TheWorkflows, user: Viewer, if_none_match: IfNoneMatch = None) -> Any:
    """One workflow."""
    stored = workflows.get(name)
    return unchanged(if_none_match, etag_of(stored)) or _answer(response, stored)


@router.put("/{name}", openapi_extra=_BODY)
def update(
    name: str,
    request: Request,
    response: Response,
    raw: Raw,
    workflows: TheWorkflows,
    user: Editor,
    if_match: IfMatch = None,
) -> WorkflowOut:
    """Change a workflow as a whole. That makes another version; runs that have begun go on as they were.

    What is left out is as it is in a new workflow; `active` alone stays as it was.
    """
    given = data_of(raw, _form(request))
    if isinstance(given, dict):
        given = {field: value for field, value in given.items() if field not in _ANSWERED}
    spec = read(given, workflows.mistakes_in)
    check_made(user, spec.tags)
    refuse_hidden(workflows.journal, as_data(spec), user)
    expected = expected_version(workflows.get(name), if_match)
    keep = "active" not in given
    return _answer(response, workflows.update(name, spec, expected=expected, by=user.name, keep_active=keep))


@router.delete("/{name}", status_code=204)
def delete(name: str, workflows: TheWorkflows, user: Editor, if_match: IfMatch = None) -> None:
    """Remove a workflow; its runs stay."""
    expected = expected_version(workflows.get(name), if_match)
    workflows.delete(name, expected=expected, by=user.name)


@router.get("/{name}/versions")
def versions(name: str, workflows: TheWorkflows, user: Viewer) -> list[VersionOut]:
    """Every version that there was, the newest first; also of a workflow that was deleted."""
    return [VersionOut(**version_record(each)) for each in workflows.versions(name)]


@router.get("/{name}/versions/{version}")
def version(name: str, version: int, workflows: TheWorkflows, user: Viewer) -> dict[str, Any]:
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
    user: Editor,
    if_match: IfMatch = None,
) -> WorkflowOut:
    """Make a workflow what it was in an earlier version; that makes a new one."""
    wanted = parsed(RollbackIn, raw)
    check_made(user, version_of(workflows.journal, name, wanted.version).tags)
    expected = expected_version(workflows.get(name), if_match)
    return _answer(response, workflows.rollback(name, wanted.version, expected=expected, by=user.name))


@router.post("/{name}/clone", status_code=201, openapi_extra=BODIES.of(CloneIn, {"name": "nightly_copy"}))
def clone(
    name: str, response: Response, raw: Raw, workflows: TheWorkflows, user: Editor, key: IdempotencyKey
) -> WorkflowOut:
    """Make a workflow with the tasks and all of another one, not active."""
    stored = workflows.clone(name, parsed(CloneIn, raw).name, user.name, key=key)
    tell_place(response, "workflows", stored.name)
    return _answer(response, stored)


@router.post("/{name}/enable")
def enable(name: str, response: Response, workflows: TheWorkflows, user: Operator) -> WorkflowOut:
    """Let its schedule make runs from now on; what was due meanwhile is not made up for."""
    return _answer(response, workflows.enable(name, True))


@router.post("/{name}/disable")
def disable(name: str, response: Response, workflows: TheWorkflows, user: Operator) -> WorkflowOut:
    """Let its schedule make no runs. It can be triggered still."""
    return _answer(response, workflows.enable(name, False))


@router.post(
    "/{name}/trigger",
    status_code=201,
    openapi_extra=BODIES.of(TriggerIn, {"parameters": {"rows": 10}}, needed=False),
)
def trigger(
    name: str, response: Response, raw: Raw, workflows: TheWorkflows, user: Operator, key: IdempotencyKey
) -> RunOut:
    """Ask for a run. A worker executes it; what was answered is not lost."""
    wanted = parsed(TriggerIn, raw)
    refuse_hidden(workflows.journal, wanted.parameters, user)
    run = workflows.trigger(name, wanted.parameters, key=key, tags=wanted.tags, run_name=wanted.run_name)
    tell_place(response, "runs", run.id)
    return RunOut.model_validate(run_record(run, now_us()))


@router.post(
    "/{name}/dry-run", openapi_extra=BODIES.of(TriggerIn, {"parameters": {"rows": 10}}, needed=False)
)  # fmt: skip
def dry_run(name: str, raw: Raw, workflows: TheWorkflows, user: Viewer) -> Planned:
    """Say what a run would do, and see that all it calls is there. Nothing is executed."""
    wanted = parsed(TriggerIn, raw)
    refuse_hidden(workflows.journal, wanted.parameters, user)
    return Planned(**workflows.plan(name, wanted.parameters))


@router.get("/{name}/export", response_class=Response)
def export(
    name: str,
    workflows: TheWorkflows,
    penstock: ThePenstock,
    user: Viewer,
    format: Format = "yaml",
    version: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> Response:
    """A workflow, or an earlier version of it, as a text that can be imported."""
    spec = version_of(penstock.journal, name, version) if version else workflows.spec(workflows.get(name))
    types: dict[str, Literal["application/yaml", "application/json"]]
    types = {"yaml": "application/yaml", "json": "application/json"}
    headers = {"Content-Disposition": f'attachment; filename="{spec.name}.{format}"'}
    return Response(to_text(spec, format), media_type=types[format], headers=headers)
