"""`/api/v1/jobs`, and what is done to many runs at once in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from penstock.app import keep_of
from penstock.control.access import Editor, Operator, User, Viewer
from penstock.control.api.jobs_models import (
    CancelRunsIn,
    CleanupIn,
    CleanupsOut,
    CountedOut,
    JobOut,
    PauseRunsIn,
    PurgeOut,
    RunsIn,
)
from penstock.control.api.queries import ENDED_WORDS, OPEN_WORDS, micros_of, states_of
from penstock.control.auth import Auth
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.jobs import Job, Jobs
from penstock.control.problems import Problem
from penstock.control.runs import MOST_COUNTED
from penstock.control.wiring import TheAuth, ThePenstock, control_of, tell_place
from penstock.core.calendar.moments import as_seconds
from penstock.core.clock import iso, now_us
from penstock.core.model import RunFilter
from penstock.core.plans import RunsPurged
from penstock.core.ports import Journal
from penstock.orchestrator.retention import STREAM

router = APIRouter(tags=["jobs"])
_SHOWN = 50
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"model": CountedOut, "description": "How many (`dry_run`)."}}


async def _jobs_of(request: Request) -> Jobs:
    return control_of(request).jobs


TheJobs = Annotated[Jobs, Depends(_jobs_of)]


def _told(job: Job) -> JobOut:
    fields = msgspec.to_builtins(job)
    times = {name: iso(fields[name]) for name in ("created_at", "updated_at", "ended_at")}
    return JobOut.model_validate({**fields, **times, "dry_run": bool(job.wanted.get("dry_run"))})


def _audited(auth: Auth) -> Callable[[Job], None]:
    """Puts on record that a job begins, before it does."""
    return lambda job: auth.log.record("JobStarted", f"job/{job.id}", after={"kind": job.kind, **job.wanted})


def _begun(response: Response, job: Job) -> JobOut:
    tell_place(response, "jobs", job.id)
    return _told(job)


def _is_theirs(job: Job, user: User) -> bool:
    return user.tags is None or job.by == user.name


@router.get("/jobs")
def list_jobs(jobs: TheJobs, user: Viewer) -> list[JobOut]:
    """What is done in the background, and was lately, the newest first."""
    jobs.go_on()
    return [_told(job) for job in jobs.all() if _is_theirs(job, user)]


@router.get("/jobs/{job_id}")
def get_job(job_id: str, jobs: TheJobs, user: Viewer) -> JobOut:
    """How far one of them is."""
    job = jobs.find(job_id)
    if job is None or not _is_theirs(job, user):
        raise Problem(404, f"There is no job {job_id!r}.", hint="only the last ones are kept")
    jobs.go_on()
    return _told(job)


@router.get("/runs/cleanup")
def cleanups(penstock: ThePenstock, user: Viewer) -> CleanupsOut:
    """Which old runs were removed lately: by themselves, as the settings of retention say, or by request."""
    last = penstock.journal.last_seq(STREAM)
    found = [each.event for each in penstock.journal.load(STREAM, max(0, last - _SHOWN))]
    items = [_purged(event) for event in found[::-1] if isinstance(event, RunsPurged)] if user.tags is None else []
    settings = penstock.settings
    return CleanupsOut(keep=settings.retention_keep, keep_failed=settings.retention_keep_failed, items=items)


def _purged(event: RunsPurged) -> PurgeOut:
    return PurgeOut(
        at=iso(event.at),
        runs=event.runs,
        below=event.below,
        results=event.results,
        before=iso(event.before),
        flows=event.flows,
        asked=event.asked,
    )


@router.post("/runs/cleanup", status_code=202, openapi_extra=BODIES.of(CleanupIn, {"older_than": "30d"}, needed=False))
def cleanup(raw: Raw, response: Response, penstock: ThePenstock, jobs: TheJobs, auth: TheAuth, user: Editor) -> JobOut:
    """Remove old runs that have ended, with all that belongs to them, in small steps in the background."""
    body = parsed(CleanupIn, raw)
    if user.tags is not None:
        raise Problem(403, "Retention is for those who see all runs.", hint="delete runs by their conditions instead")
    wanted = states_of("states", body.states, ENDED_WORDS) or ENDED_WORDS
    now = now_us()
    before = keep_of(penstock.settings).before(now)
    if body.older_than is not None:
        before = dict.fromkeys(ENDED_WORDS, now - _length(body.older_than))
    before = {state: at for state, at in before.items() if state in wanted}
    if not before:
        raise Problem(422, "Retention is off, so that nothing is old.", [("older_than", "say how old, such as 90d")])
    passing = before.get("Completed") if not body.states else None
    asked = {"before": before, "passing": passing, "dry_run": body.dry_run}
    return _begun(response, jobs.start("cleanup", user.name, asked, first=_audited(auth)))


def _length(text: str) -> int:
    try:
        found = int(as_seconds(text) * 1_000_000)
        if found < 0 or found >= now_us():
            raise ValueError
    except (ValueError, OverflowError):
        raise Problem(422, "This is no length of time.", [("older_than", "write it like 90d or 12h")]) from None
    return found


@router.post(
    "/runs/cancel",
    status_code=202,
    response_model=JobOut,
    responses=_ANSWERS,
    openapi_extra=BODIES.of(CancelRunsIn, {"flow": "nightly", "states": ["Scheduled"], "reason": "wrong day"}),
)
def cancel(raw: Raw, response: Response, penstock: ThePenstock, jobs: TheJobs, auth: TheAuth, user: Operator) -> Any:
    """Stop every run that fits, in the background."""
    body = parsed(CancelRunsIn, raw)
    more = {"reason": body.reason, "grace_seconds": body.grace_seconds}
    return _many("cancel", body, more, OPEN_WORDS, response, penstock.journal, (jobs, auth), user)


@router.post(
    "/runs/pause",
    status_code=202,
    response_model=JobOut,
    responses=_ANSWERS,
    openapi_extra=BODIES.of(PauseRunsIn, {"flow": "nightly", "reason": "the warehouse is moved"}),
)
def pause(raw: Raw, response: Response, penstock: ThePenstock, jobs: TheJobs, auth: TheAuth, user: Operator) -> Any:
    """Let every run that fits begin no other step until it is resumed, in the background."""
    body = parsed(PauseRunsIn, raw)
    more = {"reason": body.reason}
    return _many("pause", body, more, OPEN_WORDS, response, penstock.journal, (jobs, auth), user)


@router.post(
    "/runs/resume",
    status_code=202,
    response_model=JobOut,
    responses=_ANSWERS,
    openapi_extra=BODIES.of(RunsIn, {"flow": "nightly"}),
)
def resume(raw: Raw, response: Response, penstock: ThePenstock, jobs: TheJobs, auth: TheAuth, user: Operator) -> Any:
    """Let every run that fits and was asked to pause go on, in the background."""
    body = parsed(RunsIn, raw)
    return _many("resume", body, {}, OPEN_WORDS, response, penstock.journal, (jobs, auth), user)


@router.post(
    "/runs/delete",
    status_code=202,
    response_model=JobOut,
    responses=_ANSWERS,
    openapi_extra=BODIES.of(RunsIn, {"flow": "nightly", "states": ["Failed"], "until": "2026-01-31T00:00:00Z"}),
)
def delete(raw: Raw, response: Response, penstock: ThePenstock, jobs: TheJobs, auth: TheAuth, user: Editor) -> Any:
    """Remove every run that fits and has ended, in the background."""
    body = parsed(RunsIn, raw)
    return _many("delete", body, {}, ENDED_WORDS, response, penstock.journal, (jobs, auth), user)


def _many(
    kind: str,
    body: RunsIn,
    more: dict[str, Any],
    states: Sequence[str],
    response: Response,
    journal: Journal,
    work: tuple[Jobs, Auth],
    user: User,
) -> Any:
    jobs, auth = work
    where = _where(body, states, user)
    if body.ids:
        count = sum(user.sees(run.tags) for run in journal.runs_of(body.ids))
    else:
        count = len(journal.run_keys(msgspec.structs.replace(where, limit=MOST_COUNTED + 1), bare=True))
    complete = count <= MOST_COUNTED
    if body.dry_run:
        response.status_code = 200
        return Response(
            CountedOut(count=min(count, MOST_COUNTED), complete=complete).model_dump_json(),
            media_type="application/json",
        )
    wanted = {"where": msgspec.to_builtins(where), "ids": body.ids, **more}
    total = count if complete else None
    return _begun(response, jobs.start(kind, user.name, wanted, total, first=_audited(auth)))


def _where(body: RunsIn, states: Sequence[str], user: User) -> RunFilter:
    """The condition, fixed at this moment: runs that are made later are not meant."""
    given = states_of("states", body.states, states)
    if body.pool is not None and states is ENDED_WORDS:
        raise Problem(422, "A pool is told of runs that have not ended only.", [("pool", "name a deployment instead")])
    chosen = (body.flow, body.deployment, body.tags, body.text.strip(), body.since, body.until, body.pool, given)
    if body.ids and any(chosen):
        raise Problem(422, "Runs are named by their ids, or by conditions.", [("ids", "leave them or the others out")])
    if not body.ids and not any(chosen) and not body.all:
        raise Problem(422, "Nothing says which runs.", [("all", "true means every run; or give a condition")])
    until = micros_of("until", body.until)
    return RunFilter(
        states=given or tuple(states),
        flow=body.flow,
        deployment=body.deployment,
        tags=tuple(body.tags),
        any_tags=user.tags,
        text=body.text,
        since=micros_of("since", body.since),
        until=min(until, now_us()) if until is not None else now_us(),
        pool=body.pool,
    )
