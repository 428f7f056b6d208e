"""What each event does to the tables people query: one definition for every journal.

A projection names a table and the columns an event sets. Rows are found by the table's key: the run's id, or the
run's id and the step's key. `task_runs` rows are written whole by every event of a step, so that the start of a short
step need not be recorded on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from penstock.core.decisions import ended_as
from penstock.core.events import (
    Event,
    RunCancelRequested,
    RunCompleted,
    RunCrashed,
    RunCreated,
    RunFailed,
    RunReleased,
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
)

KEYS = {"runs": ("id",), "task_runs": ("run_id", "key")}

RUN_COLUMNS = (
    "id", "name", "flow", "flow_version", "state", "state_name", "message", "entrypoint", "parameters", "tags",
    "parent_id", "parent_key", "root_id", "origin_id", "origin", "from_step", "attempt", "created_at", "started_at",
    "ended_at", "owner", "lease_until", "cancel_requested",
)  # fmt: skip
TASK_COLUMNS = (
    "run_id", "key", "name", "task", "state", "state_name", "message", "parent", "ordinal", "attempt", "started_at",
    "ended_at", "tags", "child_id",
)  # fmt: skip


class Projection(NamedTuple):
    """How one kind of event changes one table.

    Attributes:
        table: runs or task_runs.
        columns: the columns it sets, keys included.
        values: (run id, event) -> the values of these columns.
        creates: the row may not exist yet.
    """

    table: str
    columns: tuple[str, ...]
    values: Callable[[str, Any], tuple[Any, ...]]
    creates: bool = False


_json = msgspec.json.Encoder().encode
_NO_TAGS = "[]"


def _text(value: Any) -> str:
    return _json(value).decode()


def _created(run_id: str, e: RunCreated) -> tuple[Any, ...]:
    return (
        run_id, e.name, e.flow, e.flow_version, "Pending", "Pending", None, e.entrypoint, _text(e.shown),
        _text(e.tags), e.parent_id, e.parent_key, e.root_id or run_id, e.origin_id, e.origin, e.from_step, 0, e.at,
        None, None, None, None, False,
    )  # fmt: skip


def _end(run_id: str, e: Any) -> tuple[Any, ...]:
    kind = ended_as(e)
    word = kind.word if kind else ""
    return run_id, word, e.state_name or word, e.message, e.at, None, None


_END_COLUMNS = ("id", "state", "state_name", "message", "ended_at", "owner", "lease_until")


def _task(state: str, ended: bool) -> Callable[[str, Any], tuple[Any, ...]]:
    def values(run_id: str, e: Any) -> tuple[Any, ...]:
        step = e.step
        return (
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
        )

    return values


def _task_projection(state: str, ended: bool) -> Projection:
    return Projection("task_runs", TASK_COLUMNS, _task(state, ended), creates=True)


PROJECTIONS: dict[type[Event], Projection] = {
    RunCreated: Projection("runs", RUN_COLUMNS, _created, creates=True),
    RunStarted: Projection(
        "runs",
        ("id", "state", "state_name", "message", "attempt", "owner", "lease_until", "started_at"),
        lambda run_id, e: (run_id, "Running", "Running", None, e.attempt, e.owner, e.lease_until, e.at),
    ),
    RunResumed: Projection(
        "runs",
        ("id", "state", "state_name", "message", "owner", "lease_until", "cancel_requested"),
        lambda run_id, e: (run_id, "Running", "Running", None, e.owner, e.lease_until, False),
    ),
    RunRetrying: Projection(
        "runs",
        ("id", "state", "state_name"),
        lambda run_id, e: (run_id, "Retrying", "Retrying"),
    ),
    RunReleased: Projection(
        "runs",
        ("id", "state", "state_name", "message", "owner", "lease_until"),
        lambda run_id, e: (run_id, "Pending", "Interrupted", e.reason, None, None),
    ),
    RunCancelRequested: Projection("runs", ("id", "cancel_requested"), lambda run_id, e: (run_id, True)),
    **{kind: Projection("runs", _END_COLUMNS, _end) for kind in (RunCompleted, RunFailed, RunCrashed, RunStopped)},
    TaskStarted: _task_projection("Running", ended=False),
    TaskRetrying: _task_projection("Retrying", ended=False),
    TaskCompleted: _task_projection("Completed", ended=True),
    TaskFailed: _task_projection("Failed", ended=True),
    TaskCrashed: _task_projection("Crashed", ended=True),
    TaskStopped: _task_projection("Cancelled", ended=True),
}


def statement(projection: Projection, mark: str) -> str:
    """SQL for a projection, for SQLite and PostgreSQL alike; `mark` is the driver's placeholder."""
    table, columns = projection.table, projection.columns
    keys = KEYS[table]
    rest = [column for column in columns if column not in keys]
    if not projection.creates:
        sets = ", ".join(f"{column} = {mark}" for column in rest)
        return f"UPDATE {table} SET {sets} WHERE {' AND '.join(f'{key} = {mark}' for key in keys)}"
    marks = ", ".join([mark] * len(columns))
    sets = ", ".join(f"{column} = excluded.{column}" for column in rest)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}"
    )


def ordered(projection: Projection, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values in the order in which `statement` wants them: an UPDATE has its keys last."""
    if projection.creates:
        return values
    keys = len(KEYS[projection.table])
    return values[keys:] + values[:keys]
