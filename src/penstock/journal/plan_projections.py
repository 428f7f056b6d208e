"""What events of deployments, pools, limits and automations do to their tables; see `projections`.

No event changes a row twice: in PostgreSQL all its changes are one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.core.events import Event
from penstock.core.plans import (
    ActionEnded,
    ActionTried,
    AutomationDeclared,
    AutomationDeleted,
    AutomationFired,
    AutomationMatched,
    BackfillCreated,
    BackfillEnded,
    DeploymentDeclared,
    DeploymentDeleted,
    DeploymentPaused,
    DeploymentResumed,
    LimitDeclared,
    LimitDeleted,
    PoolDeclared,
    PoolDeleted,
    QueueDeclared,
    QueueDeleted,
    RunsPurged,
    ScheduleMoved,
)
from penstock.core.workflow_events import WorkflowCreated, WorkflowDeleted, WorkflowUpdated
from penstock.journal.projections import Projection

_json = msgspec.json.Encoder().encode
_Rows = Sequence[tuple[Any, ...]]


def _text(value: Any) -> str:
    return _json(value).decode()


def _deployment(stream: str, e: DeploymentDeclared, data: bytes | None) -> _Rows:
    return ((e.name, e.flow, _text(e.spec), e.pool, e.queue, e.concurrency, e.paused, e.at),)


def _schedules(stream: str, e: DeploymentDeclared, data: bytes | None) -> _Rows:
    return [(e.name, due.name, _text(due.spec), due.paused, due.next_due) for due in e.schedules]


def _dropped(stream: str, e: DeploymentDeclared, data: bytes | None) -> _Rows:
    return [(e.name, name) for name in e.dropped]


def _paused(stream: str, e: DeploymentPaused | DeploymentResumed, data: bytes | None) -> _Rows:
    return ((e.name, isinstance(e, DeploymentPaused), e.at),) if e.schedule is None else ()


def _stopped(stream: str, e: DeploymentPaused, data: bytes | None) -> _Rows:
    return [(e.name, name, None) for name in e.schedules if name != e.schedule]


def _stopped_one(stream: str, e: DeploymentPaused, data: bytes | None) -> _Rows:
    return ((e.name, e.schedule, True, None),) if e.schedule is not None else ()


def _due_again(stream: str, e: DeploymentResumed, data: bytes | None) -> _Rows:
    return [(e.name, due.name, due.next_due) for due in e.schedules if due.name != e.schedule]


def _due_again_one(stream: str, e: DeploymentResumed, data: bytes | None) -> _Rows:
    if e.schedule is None:
        return ()
    next_due = next((due.next_due for due in e.schedules if due.name == e.schedule), None)
    return ((e.name, e.schedule, False, next_due),)


def _remembered(stream: str, e: AutomationMatched, data: bytes | None) -> _Rows:
    return [(e.name, group, _text(state)) for group, state in e.groups.items() if state is not None]


def _forgotten(stream: str, e: AutomationMatched, data: bytes | None) -> _Rows:
    return [(e.name, group) for group, state in e.groups.items() if state is None]


def _owed(stream: str, e: AutomationFired, data: bytes | None) -> _Rows:
    return [
        (
            *(e.id, place, e.name, owed.outside, owed.due_at or e.at, e.position, 0, False, owed.lane or e.name),
            _text({"do": owed.do, "facts": e.facts, "fired_at": e.at, "chain": e.chain}),
        )
        for place, owed in enumerate(e.actions)
    ]


def _workflow(stream: str, e: WorkflowCreated | WorkflowUpdated, data: bytes | None) -> _Rows:
    tags = "".join(f"{tag}\n" for tag in ("", *e.spec.get("tags", ())))  # no tag holds a line break
    return ((e.name, e.number, _text(e.spec), tags, e.at),)


def _created(stream: str, e: WorkflowCreated, data: bytes | None) -> _Rows:
    return tuple((*row, e.at) for row in _workflow(stream, e, data))


def _completed(stream: str, e: RunsPurged, data: bytes | None) -> _Rows:
    return [(flow, each, e.at) for flow, partitions in e.partitions.items() for each in dict.fromkeys(partitions)]


_OWED = ("firing", "action", "automation", "outside", "due_at", "position", "attempt", "under_way", "lane", "content")
_WORKFLOW = ("name", "version", "spec", "tags", "updated_at")
_NEXT = ("deployment", "name", "next_due")
_ONE = ("deployment", "name", "paused", "next_due")

PROJECTIONS: dict[type[Event], tuple[Projection, ...]] = {
    DeploymentDeclared: (
        Projection(
            "deployments",
            "put",
            ("name", "flow", "spec", "pool", "queue", "concurrency", "paused", "updated_at"),
            _deployment,
        ),
        Projection("schedules", "put", ("deployment", "name", "spec", "paused", "next_due"), _schedules),
        Projection("schedules", "drop", ("deployment", "name"), _dropped),
    ),
    DeploymentPaused: (
        Projection("deployments", "set", ("name", "paused", "updated_at"), _paused),
        Projection("schedules", "set", _NEXT, _stopped),
        Projection("schedules", "set", _ONE, _stopped_one),
    ),
    DeploymentResumed: (
        Projection("deployments", "set", ("name", "paused", "updated_at"), _paused),
        Projection("schedules", "set", _NEXT, _due_again),
        Projection("schedules", "set", _ONE, _due_again_one),
    ),
    DeploymentDeleted: (
        Projection("deployments", "drop", ("name",), lambda s, e, d: ((e.name,),)),
        Projection("schedules", "drop", ("deployment", "name"), lambda s, e, d: [(e.name, n) for n in e.schedules]),
    ),
    ScheduleMoved: (
        Projection(
            "schedules",
            "move",
            ("deployment", "name", "fired_until", "next_due"),
            lambda s, e, d: ((e.deployment, e.schedule, e.until, e.next_due),),
        ),
    ),
    PoolDeclared: (
        Projection(
            "pools",
            "put",
            ("name", "slots", "paused", "description"),
            lambda s, e, d: ((e.name, e.slots, e.paused, e.description),),
        ),
    ),
    QueueDeclared: (
        Projection(
            "queues",
            "put",
            ("pool", "name", "priority", "slots", "paused"),
            lambda s, e, d: ((e.pool, e.name, e.priority, e.slots, e.paused),),
        ),
    ),
    QueueDeleted: (Projection("queues", "drop", ("pool", "name"), lambda s, e, d: ((e.pool, e.name),)),),
    PoolDeleted: (
        Projection("pools", "drop", ("name",), lambda s, e, d: ((e.name,),)),
        Projection("queues", "drop", ("pool", "name"), lambda s, e, d: [(e.name, name) for name in e.queues]),
    ),
    LimitDeclared: (
        Projection(
            "limits",
            "put",
            ("name", "slots", "per_second", "burst", "declared"),
            lambda s, e, d: ((e.name, e.slots, e.per_second, e.burst, True),),
        ),
    ),
    LimitDeleted: (Projection("limits", "drop", ("name",), lambda s, e, d: ((e.name,),)),),
    AutomationDeclared: (
        Projection(
            "automations", "put", ("name", "spec", "paused"), lambda s, e, d: ((e.name, _text(e.spec), e.paused),)
        ),
    ),
    AutomationMatched: (
        Projection("automation_groups", "put", ("automation", "grp", "state"), _remembered),
        Projection("automation_groups", "drop", ("automation", "grp"), _forgotten),
    ),
    AutomationFired: (
        Projection("automations", "set", ("name", "fired_at"), lambda s, e, d: ((e.name, e.at),)),
        Projection("owed_actions", "put", _OWED, _owed),
    ),
    ActionTried: (
        Projection(
            "owed_actions",
            "set",
            ("firing", "action", "due_at", "attempt", "under_way"),
            lambda s, e, d: ((e.id, e.action, e.due_at, e.attempt, e.error is None),),
        ),
    ),
    ActionEnded: (Projection("owed_actions", "drop", ("firing", "action"), lambda s, e, d: ((e.id, e.action),)),),
    AutomationDeleted: (Projection("automations", "drop", ("name",), lambda s, e, d: ((e.name,),)),),
    BackfillCreated: (
        Projection(
            "backfills",
            "put",
            ("id", "flow", "pool", "slots", "partitions", "state", "created_at"),
            lambda s, e, d: ((e.id, e.flow, e.pool, e.slots, e.partitions, "Running", e.at),),
        ),
    ),
    BackfillEnded: (
        Projection("backfills", "set", ("id", "state", "ended_at"), lambda s, e, d: ((e.id, e.state, e.at),)),
    ),
    WorkflowCreated: (Projection("workflows", "put", (*_WORKFLOW, "created_at"), _created),),
    WorkflowUpdated: (Projection("workflows", "set", _WORKFLOW, _workflow),),
    WorkflowDeleted: (Projection("workflows", "drop", ("name",), lambda s, e, d: ((e.name,),)),),
    RunsPurged: (Projection("partitions", "put", ("flow", "partition", "at"), _completed),),
}
