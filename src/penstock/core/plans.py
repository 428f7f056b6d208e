"""The facts a journal keeps of what is planned: deployments, workflows, pools, limits, automations, backfills.

Each is appended to a stream of its own, such as `deployment/nightly`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from penstock.core.events import Event
from penstock.core.workflow_events import WORKFLOWS


def stream_of(kind: str, name: str) -> str:
    """The stream of a deployment, workflow, pool, limit, automation or backfill."""
    return f"{kind}/{name}"


class ScheduleDue(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A schedule, and when it is due next (None: never, or paused)."""

    name: str
    spec: dict[str, Any]
    next_due: int | None = None
    paused: bool = False


class DeploymentDeclared(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A deployment is as `spec` says (see `core.deployments.Deployment`).

    Attributes:
        schedules: its schedules, with when each is due next.
        dropped: names of schedules it had before.
    """

    stored: ClassVar[str] = "DeploymentDeclared"
    name: str
    flow: str
    spec: dict[str, Any]
    pool: str
    queue: str = "default"
    concurrency: int | None = None
    paused: bool = False
    schedules: tuple[ScheduleDue, ...] = ()
    dropped: tuple[str, ...] = ()


class DeploymentPaused(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Its schedules (or the one that is named) make no runs until they are resumed.

    Attributes:
        chain: see `RunCreated`.
    """

    stored: ClassVar[str] = "DeploymentPaused"
    name: str
    schedule: str | None = None
    schedules: tuple[str, ...] = ()
    chain: tuple[int, ...] = ()


class DeploymentResumed(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Its schedules (or the one that is named) make runs again; `schedules` says when each is due next.

    Attributes:
        chain: see `RunCreated`.
    """

    stored: ClassVar[str] = "DeploymentResumed"
    name: str
    schedule: str | None = None
    schedules: tuple[ScheduleDue, ...] = ()
    chain: tuple[int, ...] = ()


class DeploymentDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The deployment is gone; its runs stay."""

    stored: ClassVar[str] = "DeploymentDeleted"
    name: str
    schedules: tuple[str, ...] = ()


class ScheduleMoved(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Due instants passed without a run, because of the policy for missed runs.

    Attributes:
        until: every instant up to here is settled.
        dropped: how many instants got no run.
    """

    stored: ClassVar[str] = "ScheduleMoved"
    deployment: str
    schedule: str
    until: int
    next_due: int | None = None
    dropped: int = 0


class PoolDeclared(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A work pool: at most `slots` runs at once over all its workers (None for no limit)."""

    stored: ClassVar[str] = "PoolDeclared"
    name: str
    slots: int | None = None
    paused: bool = False
    description: str | None = None


class QueueDeclared(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A queue of a pool; those with a lower `priority` number come first."""

    stored: ClassVar[str] = "QueueDeclared"
    pool: str
    name: str
    priority: int = 100
    slots: int | None = None
    paused: bool = False


class QueueDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """What was set for a queue is forgotten."""

    stored: ClassVar[str] = "QueueDeleted"
    pool: str
    name: str


class PoolDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The pool and its queues are gone."""

    stored: ClassVar[str] = "PoolDeleted"
    name: str
    queues: tuple[str, ...] = ()


class LimitDeclared(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A named limit: `slots` at once, or `per_second` with bursts of `burst`."""

    stored: ClassVar[str] = "LimitDeclared"
    name: str
    slots: int | None = None
    per_second: float | None = None
    burst: int = 1


class LimitDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The limit is gone."""

    stored: ClassVar[str] = "LimitDeleted"
    name: str


class AutomationDeclared(Event, frozen=True, omit_defaults=True, kw_only=True):
    """An automation is as `spec` says.

    Attributes:
        reason: why it was paused, where nobody asked for it.
    """

    stored: ClassVar[str] = "AutomationDeclared"
    name: str
    spec: dict[str, Any]
    paused: bool = False
    reason: str | None = None


class AutomationMatched(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Events were met that an automation has to remember, or need not remember any longer.

    Attributes:
        groups: what it remembers of each group of events; None where that is nothing any more.
    """

    stored: ClassVar[str] = "AutomationMatched"
    name: str
    groups: dict[str, dict[str, Any] | None] = {}


class Owed(msgspec.Struct, frozen=True, omit_defaults=True):
    """An action that a firing asks for.

    Attributes:
        do: the action.
        outside: it leaves the journal.
        due_at: not before that.
        lane: what stands in line with it; its automation where nothing is said.
    """

    do: dict[str, Any]
    outside: bool = False
    due_at: int | None = None
    lane: str | None = None


class AutomationFired(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A trigger matched; its actions follow.

    Attributes:
        id: of this firing; the same however often the match is found.
        position: of the event that completed the match, or after which nothing was heard.
        facts: what the actions are told.
        actions: what is to be done, as the automation was when it fired.
        chain: when automations fired, each because of the one before; this firing is the last.
    """

    stored: ClassVar[str] = "AutomationFired"
    name: str
    id: str
    position: int = 0
    facts: dict[str, Any] = {}
    actions: tuple[Owed, ...] = ()
    chain: tuple[int, ...] = ()


class ActionTried(Event, frozen=True, omit_defaults=True, kw_only=True):
    """An attempt at an action that leaves the journal begins, or (with `error`) failed.

    Attributes:
        attempt: from 1.
        due_at: when there is another attempt, unless the action ended by then.
    """

    stored: ClassVar[str] = "ActionTried"
    name: str
    id: str
    action: int
    attempt: int
    due_at: int
    error: str | None = None


class ActionEnded(Event, frozen=True, omit_defaults=True, kw_only=True):
    """One action of a firing was done, or could not be done."""

    stored: ClassVar[str] = "ActionEnded"
    name: str
    id: str
    action: int
    error: str | None = None
    facts: dict[str, Any] = {}


class SilenceStarted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """People are not told of certain things for a while.

    Attributes:
        id: of the silence.
        since: from when.
        until: to when.
        where: which alerts, as in `Trigger.where`.
        by: who wanted it.
    """

    stored: ClassVar[str] = "SilenceStarted"
    id: str
    since: int
    until: int
    where: dict[str, Any]
    reason: str | None = None
    by: str | None = None


class SilenceEnded(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A silence was ended before its time."""

    stored: ClassVar[str] = "SilenceEnded"
    id: str
    by: str | None = None


class AutomationDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The automation is gone."""

    stored: ClassVar[str] = "AutomationDeleted"
    name: str


class Happened(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A fact from a user's own code or from outside, under a name of its own, such as `orders.imported`.

    Attributes:
        about: what it is about, such as the name of a dataset.
        run: the run in which it was told.
        chain: see `RunCreated`.
    """

    stored: ClassVar[str] = "Happened"
    name: str
    about: str | None = None
    facts: dict[str, Any] = {}
    run: str | None = None
    chain: tuple[int, ...] = ()


class BackfillCreated(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Runs for several partitions were asked for."""

    stored: ClassVar[str] = "BackfillCreated"
    id: str
    flow: str
    partitions: int
    pool: str
    slots: int


class BackfillEnded(Event, frozen=True, omit_defaults=True, kw_only=True):
    """All its runs have ended, or it was cancelled."""

    stored: ClassVar[str] = "BackfillEnded"
    id: str
    state: str
    counts: dict[str, int] = {}


class KeyTaken(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A trigger with an idempotency key made this run; it is the only event of the key's stream.

    Attributes:
        run_id: the run that every trigger with the key stands for.
    """

    stored: ClassVar[str] = "KeyTaken"
    deployment: str
    key: str
    run_id: str


class RunsPurged(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Old runs were removed, with all that belonged to them.

    Attributes:
        runs: how many that nobody called from a flow.
        before: they had ended by then; the latest of these times, where it depends on how they ended.
        below: how many runs of subflows besides.
        results: how many files of the result store they referred to.
        first, last: the ids of the first and the last of them; an id begins with the time.
        flows: how many of each flow ended in each state.
        partitions: which partitions of each flow had a completed run among them.
        asked: somebody asked for it.
    """

    stored: ClassVar[str] = "RunsPurged"
    runs: int
    before: int
    below: int = 0
    results: int = 0
    first: str | None = None
    last: str | None = None
    flows: dict[str, dict[str, int]] = {}
    partitions: dict[str, tuple[str, ...]] = {}
    asked: bool = False


PLANS: tuple[type[Event], ...] = (
    DeploymentDeclared,
    DeploymentPaused,
    DeploymentResumed,
    DeploymentDeleted,
    ScheduleMoved,
    PoolDeclared,
    QueueDeclared,
    PoolDeleted,
    QueueDeleted,
    LimitDeclared,
    LimitDeleted,
    AutomationDeclared,
    AutomationMatched,
    AutomationFired,
    ActionTried,
    ActionEnded,
    AutomationDeleted,
    SilenceStarted,
    SilenceEnded,
    Happened,
    BackfillCreated,
    BackfillEnded,
    KeyTaken,
    *WORKFLOWS,
    RunsPurged,
)
