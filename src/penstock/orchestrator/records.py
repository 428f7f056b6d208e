"""The shapes of `--json` and of the API. They are part of the interface: names and meanings stay, new ones may come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.core.clock import iso
from penstock.core.events import ErrorInfo, RunEnded, TaskEnded
from penstock.core.extras import LateModule
from penstock.core.levels import level_name as level_name
from penstock.core.model import Artifact, FlowSummary, LogLine, Run, TaskRun
from penstock.core.ports import Journal

if TYPE_CHECKING:
    from penstock.core.workflows import StoredWorkflow
    from penstock.orchestrator.workflows import Version

_workflows: Any = LateModule("penstock.core.workflows")  # most commands have nothing to do with them


def seconds(started: int | None, ended: int | None) -> float | None:
    """The time between two times of the journal."""
    return None if started is None or ended is None else round((ended - started) / 1_000_000, 6)


def run_record(run: Run, now: int) -> dict[str, Any]:
    """A run. `state` is Crashed for a run whose process is gone, and `ended_at` is then null: it can be resumed."""
    return {
        "id": run.id,
        "name": run.name,
        "flow": run.flow,
        "flow_version": run.flow_version,
        "state": run.shown_state(now),
        "state_name": "Crashed" if run.lost(now) else run.state_name,
        "message": run.message,
        "parameters": run.parameters,
        "tags": list(run.tags),
        "attempt": run.attempt,
        "created_at": iso(run.created_at),
        "started_at": iso(run.started_at),
        "ended_at": iso(run.ended_at),
        "duration_seconds": seconds(run.started_at, run.ended_at),
        "entrypoint": run.entrypoint,
        "parent_id": run.parent_id,
        "parent_step": run.parent_key,
        "root_id": run.root_id,
        "origin": run.origin,
        "origin_id": run.origin_id,
        "from_step": run.from_step,
        "deployment": run.deployment,
        "cause": run.cause,
        "pool": run.pool,
        "queue": run.queue,
        "priority": run.priority,
        "due_at": iso(run.due_at),
        "scheduled_at": iso(run.scheduled_at),
        "partition": run.partition,
        "interval_start": iso(run.interval_start),
        "interval_end": iso(run.interval_end),
        "crashes": run.crashes,
        "waiting": _waiting(run),
        "pause_requested": run.pause_requested,
    }


def _waiting(run: Run) -> dict[str, Any] | None:
    """What a paused run waits for."""
    found = run.waiting
    if found is None:
        return None
    return {"step": found.key, "kind": found.kind, "until": iso(found.until), "prompt": found.prompt}


def step_record(step: TaskRun) -> dict[str, Any]:
    """A step of a run."""
    return {
        "run_id": step.run_id,
        "key": step.key,
        "name": step.name,
        "task": step.task,
        "state": step.state,
        "state_name": step.state_name,
        "message": step.message,
        "parent": step.parent,
        "attempt": step.attempt,
        "started_at": iso(step.started_at),
        "ended_at": iso(step.ended_at),
        "duration_seconds": seconds(step.started_at, step.ended_at),
        "tags": list(step.tags),
        "child_run_id": step.child_id,
    }


def log_record(line: LogLine) -> dict[str, Any]:
    """A log line."""
    return {
        "run_id": line.run_id,
        "step": line.key,
        "at": iso(line.at),
        "level": level_name(line.level),
        "logger": line.logger,
        "message": line.message,
    }


def artifact_record(found: Artifact) -> dict[str, Any]:
    """An artifact, without its content."""
    return {
        "id": found.id,
        "key": found.key,
        "type": found.kind,
        "description": found.description,
        "run_id": found.run_id,
        "step": found.step,
        "created_at": iso(found.at),
        "bytes": found.size or len(found.data),
    }


def flow_record(flow: FlowSummary) -> dict[str, Any]:
    """A flow as the journal knows it."""
    return {
        "flow": flow.flow,
        "runs": flow.runs,
        "last_run_id": flow.last_run_id,
        "last_state": flow.last_state,
        "last_created_at": iso(flow.last_created_at),
        "entrypoint": flow.entrypoint,
    }


def error_record(key: str | None, error: ErrorInfo) -> dict[str, Any]:
    """What ended a step, or (without a key) the run."""
    return {"step": key, "type": error.type, "text": error.text, "trace": error.trace}


def errors_of(journal: Journal, run_id: str) -> list[tuple[str | None, ErrorInfo]]:
    """The errors that steps and the run ended with, in the order they were recorded."""
    found: list[tuple[str | None, ErrorInfo]] = []
    for stored in journal.load(run_id):
        event = stored.event
        if isinstance(event, (TaskEnded, RunEnded)) and event.error is not None:
            found.append((event.step.key if isinstance(event, TaskEnded) else None, event.error))
    return found


def workflow_record(stored: StoredWorkflow) -> dict[str, Any]:
    """A workflow, with every field also where it is as it would be anyway."""
    spec = _workflows.of_data(stored.spec)
    tasks = [{name: getattr(task, name) for name in task.__struct_fields__} for task in spec.tasks]
    return {
        "name": spec.name,
        "version": stored.version,
        "description": spec.description,
        "schedule": spec.schedule,
        "timezone": spec.timezone,
        "active": stored.active,
        "tags": list(spec.tags),
        "parameters": spec.parameters,
        "engine": spec.engine,
        "tasks": [{**task, "dependencies": list(task["dependencies"])} for task in tasks],
        "created_at": iso(stored.created_at),
        "updated_at": iso(stored.updated_at),
        "next_due": iso(stored.next_due),
    }


def version_record(version: Version) -> dict[str, Any]:
    """A version that a workflow has or had."""
    return {
        "version": version.version,
        "at": iso(version.at),
        "by": version.by,
        "restores": version.restores,
        "tasks": len(version.spec.get("tasks", ())),
    }
