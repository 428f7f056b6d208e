"""What each event does to the tables people query: one definition for every journal.

A projection names a table and the columns an event sets. Rows are found by the table's key. `task_runs` rows are
written whole by every event of a step, so that the start of a short step need not be recorded on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from penstock.core.decisions import ended_as
from penstock.core.events import (
    ON_REQUEST,
    ArtifactSaved,
    Event,
    RunAnswered,
    RunCancelRequested,
    RunClaimed,
    RunCompleted,
    RunContinued,
    RunCrashed,
    RunCreated,
    RunFailed,
    RunPaused,
    RunPauseRequested,
    RunReleased,
    RunRescheduled,
    RunResumed,
    RunRetrying,
    RunStarted,
    RunStopped,
    TaskCompleted,
    TaskCrashed,
    TaskFailed,
    TaskRetrying,
    TaskStarted,
    TaskStopped,
    UnknownEvent,
    Waiting,
)
from penstock.core.extras import LateModule
from penstock.core.ids import made_up
from penstock.journal.rows import result_refs
from penstock.journal.terms import ref_term, terms_of_message, terms_of_run, word_term, words_of

_plans: Any = LateModule("penstock.journal.plan_projections")
_verdicts: Any = LateModule("penstock.journal.verdict_projections")
_datasets: Any = LateModule("penstock.journal.dataset_projections")
_webhooks: Any = LateModule("penstock.journal.webhook_projections")
_audit: Any = LateModule("penstock.journal.audit_projections")
_uploads: Any = LateModule("penstock.journal.upload_projections")
_files: Any = LateModule("penstock.core.uploads")

KEYS = {
    "runs": ("id",),
    "task_runs": ("run_id", "key"),
    "terms": ("term", "run_id"),
    "schedules": ("deployment", "name"),
    "deployments": ("name",),
    "pools": ("name",),
    "queues": ("pool", "name"),
    "limits": ("name",),
    "cache": ("key",),
    "artifacts": ("id",),
    "automations": ("name",),
    "automation_groups": ("automation", "grp"),
    "owed_actions": ("firing", "action"),
    "backfills": ("id",),
    "partitions": ("flow", "partition"),
    "workflows": ("name",),
    "datasets": ("place",),
    "webhooks": ("name",),
    "deliveries": ("id",),
    "files": ("id",),
    "audit": ("number",),
}

RUN_COLUMNS = (
    "id", "name", "flow", "flow_version", "state", "state_name", "message", "entrypoint", "parameters", "tags",
    "parent_id", "parent_key", "root_id", "origin_id", "origin", "from_step", "attempt", "created_at", "started_at",
    "ended_at", "owner", "lease_until", "cancel_requested", "deployment", "pool", "queue", "priority", "due_at",
    "scheduled_at", "partition", "interval_start", "interval_end", "crashes", "waiting", "cause",
    "pause_requested",
)  # fmt: skip
TASK_COLUMNS = (
    "run_id", "key", "name", "task", "state", "state_name", "message", "parent", "ordinal", "attempt", "started_at",
    "ended_at", "tags", "child_id",
)  # fmt: skip


Rows = Callable[[str, Any, "bytes | None"], Sequence[tuple[Any, ...]]]


class Projection(NamedTuple):
    """How one kind of event changes one table.

    Attributes:
        table: one of KEYS.
        how: put (make the row or set these columns), set (only where the row is there), move (the same, where its
            `next_due` is not behind the first of the columns that are set: a schedule that was stopped or declared
            anew stays as it is), add (only where it is not) or drop (delete the row; the columns are its key).
        columns: the columns it sets, keys included.
        rows: (stream, event, the record's data) -> the values of these columns for each row.
    """

    table: str
    how: str
    columns: tuple[str, ...]
    rows: Rows


_json = msgspec.json.Encoder().encode
_NO_TAGS = "[]"
DEFAULT_QUEUE = "default"


def _text(value: Any) -> str:
    return _json(value).decode()


def _created(run_id: str, e: RunCreated, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    state = "Pending" if e.due_at is None else "Scheduled"
    start, end = e.interval or (None, None)
    queue = e.queue or (DEFAULT_QUEUE if e.pool is not None else None)
    return ((
        run_id, e.name, e.flow, e.flow_version, state, state, None, e.entrypoint, _text(e.shown),
        _text(e.tags), e.parent_id, e.parent_key, e.root_id or run_id, e.origin_id, e.origin, e.from_step, 0, e.at,
        None, None, None, None, False, e.deployment, e.pool, queue, e.priority, e.due_at, e.scheduled_at,
        e.partition, start, end, 0, None, e.cause, False,
    ),)  # fmt: skip


def _created_terms(run_id: str, e: RunCreated, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    name = None if e.due_at is not None and made_up(e.name, run_id) else e.name  # see `search`
    texts = (name, e.flow, e.deployment)
    terms = terms_of_run(run_id, texts, e.tags, e.shown, e.partition, child=e.parent_id is not None)
    if e.pool is not None:  # only these are given files
        given = {each for _, each in _files.files_in(e.shown) if _files.is_file_id(each)}
        terms += [ref_term(_files.ref_of(each)) for each in sorted(given)]
    return [(term, run_id) for term in terms]


def _named(run_id: str, e: RunStarted, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return [(run_id, e.name)] if e.name else ()


def _named_terms(run_id: str, e: RunStarted, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return [(word_term(word), run_id) for word in dict.fromkeys(words_of(e.name))] if e.name else ()


def _end_terms(run_id: str, e: Any, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return [(term, run_id) for term in terms_of_message(e.message)] if e.message else ()


def _refs(run_id: str, e: Any, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return [(ref_term(ref), run_id) for ref in result_refs(e)]


def _result_refs(run_id: str, e: Any, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    """The same for the many events that have no more than a result, nearly always in the record itself."""
    saved = e.result
    if (saved is None or saved.ref is None) and getattr(e, "staged", None) is None:
        return ()
    return _refs(run_id, e, data)


def _fired(run_id: str, e: RunCreated, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    if e.schedule is None:
        return ()
    return ((e.deployment, e.schedule, e.scheduled_at, e.next_due),)


def _cached(run_id: str, e: TaskCompleted, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    if e.cache_key is None or e.result is None:
        return ()
    step = e.step
    return ((e.cache_key, step.task, run_id, step.key, e.at, e.cache_until, _text(e.result), data, e.result.ref),)


def _artifact(run_id: str, e: ArtifactSaved, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return ((e.id, e.key, e.kind, run_id, e.step, e.description, e.at, data or b""),)


def _one(values: Callable[[str, Any], tuple[Any, ...]]) -> Rows:
    return lambda run_id, e, data: (values(run_id, e),)


def _run(columns: str, values: Callable[[str, Any], tuple[Any, ...]]) -> Projection:
    return Projection("runs", "set", ("id", *columns.split()), _one(values))


_TERMS = ("term", "run_id")


def _end(run_id: str, e: Any) -> tuple[Any, ...]:
    kind = ended_as(e)
    word = kind.word if kind else ""
    return run_id, word, e.state_name or word, e.message, e.at, None, None, None, None


_END_COLUMNS = "state state_name message ended_at owner lease_until due_at waiting"


def _task(state: str, ended: bool) -> Rows:
    def rows(run_id: str, e: Any, data: bytes | None) -> Sequence[tuple[Any, ...]]:
        step = e.step
        return (
            (
                run_id,
                step.key,
                step.name,
                step.task,
                state,
                (e.state_name or state) if ended else state,
                e.message if ended else None,
                step.parent,
                step.ordinal,
                e.attempt,
                e.started or None,
                e.at if ended else None,
                _text(step.tags) if step.tags else _NO_TAGS,
                e.child,
            ),
        )

    return rows


def step_row(state: str, ended: bool) -> Projection:
    """The whole row of a step."""
    return Projection("task_runs", "put", TASK_COLUMNS, _task(state, ended))


def _waits(run_id: str, waiting: Waiting) -> tuple[Any, ...]:
    return run_id, "Paused", _WAITS.get(waiting.kind, "Paused"), waiting.prompt, _text(waiting)


def _paused(run_id: str, e: RunPaused, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return ((*_waits(run_id, e.waiting), None if e.held else e.waiting.until),)


def _let_go(run_id: str, e: RunPaused, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return () if e.held else ((run_id, None, None),)


def _answered(run_id: str, e: RunAnswered, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    told = "Answered" if e.step != ON_REQUEST else "Let go on"
    told = f"{told} by {e.by}." if e.by else f"{told}."
    return ((run_id, told, _text(e.waiting) if e.waiting is not None else None),)


def _goes_on(run_id: str, e: RunAnswered, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return ((run_id, False),) if e.step == ON_REQUEST else ()


def _due_again(run_id: str, e: RunAnswered, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return () if e.due_at is None else ((run_id, "Scheduled", "Scheduled", e.due_at),)


def _continued(run_id: str, e: RunContinued, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return ((run_id, "Running", "Running", None, None) if e.waiting is None else _waits(run_id, e.waiting),)


_WAITS = {"sleep": "Sleeping", "input": "AwaitingInput", "approval": "AwaitingApproval"}
_WAITING_COLUMNS = ("id", "state", "state_name", "message", "waiting")
_ENDED = _run(_END_COLUMNS, _end)
_WHY = Projection("terms", "add", _TERMS, _end_terms)
_MAY_REFER = frozenset({"result", "parameters", "staged"})
CACHE_COLUMNS = ("key", "task", "run_id", "step", "created_at", "expires_at", "saved", "data", "ref")
_ARTIFACT_COLUMNS = ("id", "key", "kind", "run_id", "step", "description", "at", "data")

PROJECTIONS: dict[type[Event], tuple[Projection, ...]] = {
    RunCreated: (
        Projection("runs", "put", RUN_COLUMNS, _created),
        Projection("terms", "add", _TERMS, _created_terms),
        Projection("schedules", "move", ("deployment", "name", "fired_until", "next_due"), _fired),
    ),
    RunClaimed: (
        _run(
            "state state_name message owner lease_until due_at waiting",
            lambda run_id, e: (run_id, "Pending", "Pending", None, e.owner, e.lease_until, None, None),
        ),
    ),
    RunRescheduled: (
        _run(
            "state state_name message owner lease_until due_at crashes waiting",
            lambda run_id, e: (run_id, "Scheduled", "Scheduled", e.reason, None, None, e.due_at, e.crashes, None),
        ),
    ),
    RunPaused: (
        Projection("runs", "set", (*_WAITING_COLUMNS, "due_at"), _paused),
        Projection("runs", "set", ("id", "owner", "lease_until"), _let_go),
    ),
    RunAnswered: (
        Projection("runs", "set", ("id", "message", "waiting"), _answered),
        Projection("runs", "set", ("id", "state", "state_name", "due_at"), _due_again),
        Projection("runs", "set", ("id", "pause_requested"), _goes_on),
    ),
    RunContinued: (Projection("runs", "set", _WAITING_COLUMNS, _continued),),
    RunStarted: (
        _run(
            "state state_name message attempt owner lease_until started_at due_at",
            lambda run_id, e: (run_id, "Running", "Running", None, e.attempt, e.owner, e.lease_until, e.at, None),
        ),
        Projection("runs", "set", ("id", "name"), _named),
        Projection("terms", "add", _TERMS, _named_terms),
    ),
    RunResumed: (
        _run(
            "state state_name message owner lease_until cancel_requested due_at waiting",
            lambda run_id, e: (run_id, "Running", "Running", None, e.owner, e.lease_until, False, None, None),
        ),
    ),
    RunRetrying: (_run("state state_name waiting", lambda run_id, e: (run_id, "Retrying", "Retrying", None)),),
    RunReleased: (
        _run(
            "state state_name message owner lease_until waiting",
            lambda run_id, e: (run_id, "Pending", "Interrupted", e.reason, None, None, None),
        ),
    ),
    RunCancelRequested: (_run("cancel_requested", lambda run_id, e: (run_id, True)),),
    RunPauseRequested: (_run("pause_requested", lambda run_id, e: (run_id, True)),),
    RunCompleted: (_ENDED,),
    **dict.fromkeys((RunFailed, RunCrashed, RunStopped), (_ENDED, _WHY)),
    TaskStarted: (step_row("Running", ended=False),),
    TaskRetrying: (step_row("Retrying", ended=False),),
    TaskCompleted: (
        step_row("Completed", ended=True),
        Projection("cache", "put", CACHE_COLUMNS, _cached),
    ),
    TaskFailed: (step_row("Failed", ended=True),),
    TaskCrashed: (step_row("Crashed", ended=True),),
    TaskStopped: (step_row("Cancelled", ended=True),),
    ArtifactSaved: (Projection("artifacts", "put", _ARTIFACT_COLUMNS, _artifact),),
}


@cache
def projections_of(kind: type[Event]) -> tuple[Projection, ...]:
    """What an event of this kind changes; where it may refer to results, that too."""
    found = PROJECTIONS.get(kind)
    if found is None:
        for others in (_plans, _verdicts, _datasets, _webhooks, _uploads, _audit):
            PROJECTIONS.update(others.PROJECTIONS)
        found = PROJECTIONS.get(kind, ())
    refers = _MAY_REFER.intersection(kind.__struct_fields__)
    if not refers and kind is not UnknownEvent:
        return found
    return (*found, Projection("terms", "add", _TERMS, _result_refs if "result" in refers else _refs))


def statement(projection: Projection, mark: str) -> str:
    """SQL for a projection, for SQLite; `mark` is the driver's placeholder. See `ordered` for its values."""
    table, columns = projection.table, projection.columns
    keys = KEYS[table]
    here = " AND ".join(f"{key} = {mark}" for key in keys)
    rest = [column for column in columns if column not in keys]
    if projection.how == "drop":
        return f"DELETE FROM {table} WHERE {here}"
    if projection.how in ("set", "move"):
        still = f" AND next_due <= {mark}" if projection.how == "move" else ""
        return f"UPDATE {table} SET {', '.join(f'{column} = {mark}' for column in rest)} WHERE {here}{still}"
    marks = ", ".join([mark] * len(columns))
    sets = ", ".join(f"{column} = excluded.{column}" for column in rest)
    then = f"UPDATE SET {sets}" if projection.how == "put" and rest else "NOTHING"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT ({', '.join(keys)}) DO {then}"


def ordered(projection: Projection, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values in the order in which `statement` wants them: an UPDATE has its keys last. Keys are the first columns."""
    if projection.how not in ("set", "move"):
        return values
    keys = len(KEYS[projection.table])
    return values[keys:] + values[:keys] + (values[keys : keys + 1] if projection.how == "move" else ())
