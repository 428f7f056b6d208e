"""Deployments in a journal: declared, paused, resumed, deleted, triggered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.calendar import next_after
from penstock.core.deployments import (
    Deployment,
    as_data,
    checked,
    of_data,
    plain_parameters,
    schedule_data,
    schedule_of,
)
from penstock.core.engines import LOCAL
from penstock.core.errors import ParameterError, PlanNotFound, WorkflowConflict
from penstock.core.events import Append, Record, RunCreated, Saved, now_us
from penstock.core.ids import new_run_id, run_name_of
from penstock.core.model import Run, StoredDeployment
from penstock.core.plans import (
    DeploymentDeclared,
    DeploymentDeleted,
    DeploymentPaused,
    DeploymentResumed,
    ScheduleDue,
)
from penstock.core.ports import Journal
from penstock.core.ports.reading import Reading
from penstock.engine.uploads import refuse_missing
from penstock.engine.workflows import ENTRYPOINT as WORKFLOW
from penstock.orchestrator.engines import refuse_unknown_engine
from penstock.orchestrator.keys import take
from penstock.orchestrator.plans import append_plan as append_plan

_json = msgspec.json.Encoder().encode


def find_deployment(journal: Reading, name: str) -> StoredDeployment:
    """One deployment.

    Raises:
        PlanNotFound: there is none of this name.
    """
    found = journal.deployments(name)
    if not found:
        known = ", ".join(each.name for each in journal.deployments()[:10]) or "none"
        raise PlanNotFound(f"There is no deployment {name!r}.", hint=f"deployments there are: {known}")
    return found[0]


def declare(journal: Journal, deployment: Deployment) -> bool:
    """Make a deployment what it says here; False when it is so already.

    A schedule that did not change goes on where it is. A new or changed one begins now. What was paused or resumed by
    hand stays so, until the declaration itself says something else than before.

    Raises:
        DeploymentError: it cannot be.
    """
    event = declaring(journal, deployment)
    if event is not None:
        append_plan(journal, "deployment", deployment.name, event)
    return event is not None


def declaring(journal: Journal, deployment: Deployment, *, by_hand: bool = True) -> DeploymentDeclared | None:
    """The event that makes a deployment what it says here; None when it is so already. See `declare`.

    Args:
        journal: where it is.
        deployment: as it is to be.
        by_hand: what was paused or resumed by hand stays so.
    """
    checked(deployment)
    refuse_unknown_engine(deployment.engine)
    data = as_data(deployment)
    stored = next(iter(journal.deployments(deployment.name)), None)
    before = {each.name: each for each in stored.schedules} if stored is not None else {}
    if stored is not None and stored.spec == data:
        return None
    by_hand = by_hand and stored is not None and stored.spec.get("paused", False) == deployment.paused
    paused = stored.paused if stored is not None and by_hand else deployment.paused
    now = now_us()
    due = []
    for schedule in deployment.schedules:
        spec = schedule_data(schedule)
        known = before.get(schedule.name)
        rests = schedule.paused
        if known is not None and known.spec.get("paused", False) == schedule.paused:
            rests = known.paused
        if paused or rests or deployment.engine != LOCAL:  # its engine makes the runs
            next_due = None
        elif known is not None and known.spec.get("spec") == spec["spec"] and known.next_due is not None:
            next_due = known.next_due
        else:
            next_due = next_after(schedule.spec, max(now, (known.fired_until if known else None) or 0))
        due.append(ScheduleDue(name=schedule.name, spec=spec, next_due=next_due, paused=rests))
    names = {schedule.name for schedule in deployment.schedules}
    return DeploymentDeclared(
        at=now,
        name=deployment.name,
        flow=deployment.flow,
        spec=data,
        pool=deployment.pool,
        queue=deployment.queue,
        concurrency=deployment.concurrency,
        paused=paused,
        schedules=tuple(due),
        dropped=tuple(sorted(set(before) - names)),
    )


def pause(journal: Journal, name: str, schedule: str | None = None) -> None:
    """Let a deployment (or one schedule of it) make no runs for now.

    Raises:
        PlanNotFound: there is none of this name.
    """
    append_plan(journal, "deployment", name, pausing(find_deployment(journal, name), schedule))


def pausing(stored: StoredDeployment, schedule: str | None = None) -> DeploymentPaused:
    """The event that pauses a deployment, or one schedule of it.

    Raises:
        PlanNotFound: it has no schedule of this name.
    """
    return DeploymentPaused(at=now_us(), name=stored.name, schedule=schedule, schedules=_names(stored, schedule))


def unpause(journal: Journal, name: str, schedule: str | None = None) -> None:
    """Let it make runs again, from now on: what was due meanwhile is not made up for.

    Raises:
        PlanNotFound: there is none of this name.
    """
    append_plan(journal, "deployment", name, resuming(find_deployment(journal, name), schedule))


def resuming(stored: StoredDeployment, schedule: str | None = None) -> DeploymentResumed:
    """The event that resumes a deployment, or one schedule of it.

    Raises:
        PlanNotFound: it has no schedule of this name.
    """
    names = _names(stored, schedule)
    elsewhere = stored.spec.get("engine", LOCAL) != LOCAL
    now = now_us()
    due = []
    for each in stored.schedules:
        if each.name not in names or (schedule is None and each.paused):
            continue
        waits = stored.paused and schedule is not None
        spec, fired = schedule_of(each.spec).spec, each.fired_until or 0
        next_due = None if waits or elsewhere else next_after(spec, max(now, fired))
        due.append(ScheduleDue(name=each.name, spec=each.spec, next_due=next_due))
    return DeploymentResumed(at=now, name=stored.name, schedule=schedule, schedules=tuple(due))


def _names(stored: StoredDeployment, schedule: str | None) -> tuple[str, ...]:
    names = tuple(each.name for each in stored.schedules)
    if schedule is None:
        return names
    if schedule not in names:
        known = ", ".join(names) or "none"
        raise PlanNotFound(
            f"The deployment {stored.name!r} has no schedule {schedule!r}.", hint=f"schedules there are: {known}"
        )
    return (schedule,)


def delete(journal: Journal, name: str) -> None:
    """Remove a deployment; its runs stay.

    Raises:
        PlanNotFound: there is none of this name.
        WorkflowConflict: it is a workflow's, which would be there without it and never run.
    """
    stored = find_deployment(journal, name)
    if stored.spec.get("entrypoint") == WORKFLOW:
        hint = (
            f"delete that: penstock workflows delete {name}, or have it make no runs: penstock workflows disable {name}"
        )
        raise WorkflowConflict(f"The deployment {name!r} is that of a workflow.", hint=hint)
    names = tuple(each.name for each in stored.schedules)
    append_plan(journal, "deployment", name, DeploymentDeleted(at=now_us(), name=name, schedules=names))


def trigger(
    journal: Journal,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    at: int | None = None,
    key: str | None = None,
    tags: Sequence[str] = (),
    run_name: str | None = None,
    cause: str = "api",
    chain: tuple[int, ...] = (),
    same: bool = False,
) -> Run:
    """Ask for a run of a deployment; a worker of its pool will execute it.

    Args:
        journal: where.
        name: of the deployment.
        parameters: over those of the deployment.
        at: when it is due (microseconds); now when left out.
        key: an idempotency key: a second trigger with it gives the first one's run.
        tags: besides the deployment's.
        run_name: two words otherwise.
        cause: api, cli or automation.
        chain: see `RunCreated`.
        same: a run that the key has made with other parameters is refused, and not given.

    Raises:
        PlanNotFound: there is no such deployment.
        ParameterError: a parameter has no form in JSON, or names a file that is not there; or the key has made a run
            with others.
    """
    deployment = of_data(find_deployment(journal, name).spec)
    given = parameters or {}
    refuse_missing(journal, f"the deployment {name!r}", {**deployment.parameters, **given})
    run_id = new_run_id()
    item = run_of(
        deployment, run_id, given, due_at=now_us() if at is None else at, scheduled_at=at, key=key, cause=cause,
        tags=tags, name=run_name, chain=chain,
    )  # fmt: skip
    if key is None:
        journal.commit([item])
    else:
        run_id = take(journal, name, key, run_id, item)
    run = journal.run(run_id)
    if run is None:
        raise PlanNotFound("The run that this key has made was deleted.", hint="give another key")
    if same and any(run.parameters.get(each) != value for each, value in given.items()):
        told = "it made a run with other parameters; give each request its own"
        raise ParameterError(f"the deployment {name!r}", [("key", told)])
    return run


def run_of(
    deployment: Deployment,
    run_id: str,
    parameters: Mapping[str, Any],
    *,
    due_at: int,
    tags: Sequence[str] = (),
    name: str | None = None,
    **facts: Any,
) -> Append:
    """The birth of a run of a deployment, to be committed."""
    given = {**deployment.parameters, **plain_parameters(f"flow {deployment.flow!r}", parameters)}
    data = _json(given)
    event = RunCreated(
        at=now_us(),
        flow=deployment.flow,
        name=name or run_name_of(run_id),
        parameters=Saved("json", len(data)),
        shown=given,
        entrypoint=deployment.entrypoint,
        flow_version=deployment.version,
        tags=tuple(sorted({*deployment.tags, *tags})),
        deployment=deployment.name or None,
        pool=deployment.pool,
        queue=deployment.queue,
        priority=deployment.priority,
        due_at=due_at,
        **facts,
    )
    return Append(run_id, 0, [Record(event, data)])
