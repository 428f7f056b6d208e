"""What is read back from a journal: runs, task runs and log lines. Times are microseconds (UTC)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from penstock.core.events import Saved, Waiting
from penstock.core.ids import owner_is_dead
from penstock.core.states import FINAL_WORDS


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a flow.

    Attributes:
        due_at: from then on a worker may take it; None when there is nothing to take.
        scheduled_at: the due instant it stands for.
        interval_start, interval_end: the data it is about.
        crashes: how often its process died under a worker.
        waiting: what it waits for while it is Paused.
        pause_requested: somebody asked it to pause, and nobody has let it go on since.
        cause: what made it: schedule, backfill, api, cli, automation; None for a plain call.
    """

    id: str
    name: str
    flow: str
    state: str
    state_name: str
    message: str | None = None
    flow_version: str | None = None
    entrypoint: str | None = None
    parameters: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    parent_key: str | None = None
    root_id: str | None = None
    origin_id: str | None = None
    origin: str | None = None
    from_step: str | None = None
    attempt: int = 0
    created_at: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    owner: str | None = None
    lease_until: int | None = None
    cancel_requested: bool = False
    deployment: str | None = None
    pool: str | None = None
    queue: str | None = None
    priority: int = 0
    due_at: int | None = None
    scheduled_at: int | None = None
    partition: str | None = None
    interval_start: int | None = None
    interval_end: int | None = None
    crashes: int = 0
    waiting: Waiting | None = None
    cause: str | None = None
    pause_requested: bool = False

    @property
    def ended(self) -> bool:
        """It has its one final state."""
        return self.state in FINAL_WORDS

    def lost(self, now: int) -> bool:
        """True when nobody executes this unfinished run any more.

        On the machine that ran it, a dead process is noticed at once; elsewhere, when its lease has expired.
        """
        if self.ended or self.owner is None:
            return False
        if owner_is_dead(self.owner):
            return True
        return self.lease_until is not None and self.lease_until < now

    def shown_state(self, now: int) -> str:
        """The state to show people: a run whose process is gone is shown as Crashed."""
        return "Crashed" if self.lost(now) else self.state


class TaskRun(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run."""

    run_id: str
    key: str
    name: str
    task: str
    state: str
    state_name: str
    message: str | None = None
    parent: str | None = None
    ordinal: int = 0
    attempt: int = 1
    started_at: int | None = None
    ended_at: int | None = None
    tags: tuple[str, ...] = ()
    child_id: str | None = None


class Member(NamedTuple):
    """A run as retention sees it: one that nobody called from a flow, or one of the runs below it.

    Attributes:
        rows: how many rows of the largest tables are about it.
        position: of its newest record.
    """

    id: str
    ended: bool
    rows: int
    position: int


class LogLine(msgspec.Struct, frozen=True):
    """One line a run logged."""

    run_id: str
    key: str | None
    at: int
    level: int
    logger: str
    message: str
    id: int = 0


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to list, newest first.

    Attributes:
        states: state words; empty for any.
        flow: the flow's name.
        deployment: the deployment's name.
        tags: every one of them.
        any_tags: at least one of these; None for any or none.
        pool: of this pool. No index tells these runs: it goes with a condition that few runs fulfil.
        parameters: names and values (as text), every one of them.
        text: words of the run's name, its flow's or deployment's name or its message, every one of them; the last may
            be the beginning of a word. A name of two words that Penstock has made up is looked for as a whole.
        since, until: created from, and before, these times (microseconds).
        partition: the partition.
        before: only runs whose id sorts before this one (keyset paging: pass the last id of the page).
        children: also list the runs of subflows.
        parent_id: only the subflow runs of this run.
        limit: at most so many.
    """

    states: tuple[str, ...] = ()
    flow: str | None = None
    deployment: str | None = None
    tags: tuple[str, ...] = ()
    any_tags: tuple[str, ...] | None = None
    pool: str | None = None
    parameters: dict[str, str] = {}
    text: str = ""
    since: int | None = None
    until: int | None = None
    partition: str | None = None
    before: str | None = None
    children: bool = False
    parent_id: str | None = None
    limit: int = 50


class RunKey(NamedTuple):
    """What runs are sorted by."""

    id: str
    name: str = ""
    started_at: int | None = None
    ended_at: int | None = None


class FlowSummary(msgspec.Struct, frozen=True):
    """What the journal knows about a flow."""

    flow: str
    runs: int
    last_run_id: str
    last_state: str
    last_created_at: int
    entrypoint: str | None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker asks its pool for.

    Attributes:
        pool: the pool.
        queues: of these queues only; empty for all.
        owner: who will hold the leases.
        now: what is due by then.
        lease_until: when the leases end.
        limit: at most so many runs.
    """

    pool: str
    owner: str
    now: int
    lease_until: int
    limit: int
    queues: tuple[str, ...] = ()


class DueSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that is due, with its deployment."""

    deployment: str
    name: str
    spec: dict[str, Any]
    fired_until: int | None
    next_due: int
    declared: dict[str, Any]


class StoredDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as the journal has it.

    Attributes:
        spec: see `core.deployments.Deployment`.
        schedules: their names, what they are, and when each is due next.
    """

    name: str
    flow: str
    spec: dict[str, Any]
    pool: str
    queue: str
    concurrency: int | None
    paused: bool
    updated_at: int
    schedules: tuple[StoredSchedule, ...] = ()


class StoredSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule of a deployment."""

    deployment: str
    name: str
    spec: dict[str, Any]
    paused: bool
    fired_until: int | None
    next_due: int | None


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A work pool.

    Attributes:
        slots: at most so many runs at once; None for no limit.
        waiting: runs that are due and not taken.
        running: runs that are taken and whose lease holds.
    """

    name: str
    slots: int | None = None
    paused: bool = False
    description: str | None = None
    queues: tuple[Queue, ...] = ()
    waiting: int = 0
    running: int = 0


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue of a pool; a lower priority number comes first."""

    pool: str
    name: str
    priority: int = 100
    slots: int | None = None
    paused: bool = False


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process, as it last reported itself."""

    id: str
    pool: str
    queues: tuple[str, ...]
    slots: int
    running: int
    state: str
    started_at: int
    seen_at: int


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A named limit.

    Attributes:
        slots: at most so many at once.
        per_second, burst: at most so many in a second, and at once.
        taken: slots that live runs hold now.
        waiting: how many wait for one.
    """

    name: str
    slots: int | None = None
    per_second: float | None = None
    burst: int = 1
    taken: int = 0
    waiting: int = 0


class Ticket(msgspec.Struct, frozen=True):
    """A place in the queue of a limit; those at the front hold the slots.

    Attributes:
        id: the ticket's number. Of two holders of one slot the later one has the higher number.
        lease_until: until when its run is the owner's; None where it is not any more.
    """

    id: int
    limit: str
    run_id: str
    owner: str
    step: str | None
    occupy: int
    at: int
    lease_until: int | None

    def lost(self, now: int) -> bool:
        """True when nobody executes its run any more."""
        return self.lease_until is None or self.lease_until < now or bool(owner_is_dead(self.owner))


class Cached(msgspec.Struct, frozen=True, kw_only=True):
    """A result that other runs may use."""

    key: str
    task: str
    run_id: str
    step: str
    created_at: int
    expires_at: int | None
    saved: Saved
    data: bytes | None = None


class CacheFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which cached results: those that meet every condition; without one, all.

    Attributes:
        keys: under one of these.
        prefix: under a key that begins so.
        task: made by this task.
        made_before: made before this time (microseconds).
        expired_by: of no use any more at this time.
    """

    keys: tuple[str, ...] | None = None
    prefix: str | None = None
    task: str | None = None
    made_before: int | None = None
    expired_by: int | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """Something a run left to look at; `data` is its content as JSON, or `size` tells how much that is."""

    id: str
    kind: str
    run_id: str
    at: int
    key: str | None = None
    step: str | None = None
    description: str | None = None
    data: bytes = b""
    size: int = 0


class StoredAutomation(msgspec.Struct, frozen=True, kw_only=True):
    """An automation as the journal has it."""

    name: str
    spec: dict[str, Any]
    paused: bool
    fired_at: int | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an automation tells people.

    Attributes:
        key: the same when it has to be sent again.
        level: info, warning or error.
        facts: what is known of the event.
        count: it stands for so many.
        thread: alerts of the same text here belong together; the id of a run.
        resolves: the automation of whose alerts it is the end.
        more: what else people look for, by name.
        log: the last lines of what failed.
        link: a page about it.
    """

    key: str
    at: int
    automation: str
    title: str
    message: str
    level: str
    facts: dict[str, Any]
    count: int = 1
    thread: str | None = None
    resolves: str | None = None
    more: dict[str, str] = {}
    log: str | None = None
    link: str | None = None


class RememberedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What an automation remembers of a group of events between two of them."""

    automation: str
    group: str
    state: dict[str, Any]


class OwedAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action of a firing that has not ended.

    Attributes:
        firing: its id.
        action: which of the firing's actions.
        do: the action.
        facts: what it is told.
        fired_at: when the automation fired.
        chain: see `AutomationFired`.
        attempt: how many attempts were begun.
        under_way: the last of them is not known to have failed.
        lane: what stands in line with it.
    """

    firing: str
    action: int
    automation: str
    do: dict[str, Any]
    facts: dict[str, Any]
    fired_at: int
    chain: tuple[int, ...]
    due_at: int
    attempt: int = 0
    under_way: bool = False
    lane: str = ""


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of a flow for several partitions.

    Attributes:
        id: its name, and the name of its queue.
        pool: whose workers execute its runs; one of its own where the command does that itself.
        slots: so many of its runs at once.
        state: Running, Completed, Failed (some of its runs did not complete) or Cancelled.
    """

    id: str
    flow: str
    pool: str
    slots: int
    partitions: int
    state: str
    created_at: int
    ended_at: int | None = None

    @property
    def ended(self) -> bool:
        """All its runs have ended."""
        return self.state != "Running"
