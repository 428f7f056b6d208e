"""What is known of a run while it is executed: a tree of its steps, kept from the engine's events.

`take` is called by the engine, in whatever thread, and only queues; `catch_up` is called by whoever draws. Many calls
of one task are kept as counts, so that a hundred thousand of them cost no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from penstock.core.context import current_scope
from penstock.core.events import (
    ErrorInfo,
    Event,
    RunCreated,
    RunEnded,
    RunResumed,
    RunRetrying,
    RunStarted,
    TaskEnded,
    TaskEvent,
    TaskRetrying,
    TaskStarted,
)
from penstock.core.model import Run, TaskRun
from penstock.core.states import STATE_AFTER

_BAD = ("Failed", "Crashed", "Cancelled")
SINGLE = 3
"""A task that is called more often than that in one place is shown as one line with counts."""


class Call:
    """One call of a task or of a subflow.

    Attributes:
        allowed: attempts there may be, or None where that is not known yet.
        again_at: when the next attempt begins (microseconds), while it waits for it.
        kept: it was on record before this process began.
        child: id of the subflow's run.
    """

    __slots__ = ("again_at", "allowed", "attempt", "child", "ended", "groups", "kept", "key", "message", "name",
                 "started", "state")  # fmt: skip

    def __init__(self, key: str, name: str) -> None:
        self.key = key
        self.name = name
        self.state = "Running"
        self.attempt = 1
        self.allowed: int | None = None
        self.started: int | None = None
        self.ended: int | None = None
        self.again_at: int | None = None
        self.message: str | None = None
        self.kept = False
        self.child: str | None = None
        self.groups: dict[str, Group] = {}


class Group:
    """All calls of one task from one place.

    Attributes:
        total: how many calls were made, begun or not, where that is known.
        spread: several were under way at once, so that `total` says how far it is; a loop's next call comes later.
    """

    __slots__ = ("calls", "counts", "ended", "failed", "kept", "open", "retries", "spread", "started", "task",
                 "total")  # fmt: skip

    def __init__(self, task: str) -> None:
        self.task = task
        self.calls: list[Call] = []
        self.open: dict[str, Call] = {}
        self.failed: list[Call] = []
        self.counts: dict[str, int] = {}
        self.total = 0
        self.kept = 0
        self.retries = 0
        self.spread = False
        self.started: int | None = None
        self.ended: int | None = None

    @property
    def done(self) -> int:
        """How many calls have ended."""
        return sum(self.counts.values())

    @property
    def begun(self) -> int:
        """How many calls have begun."""
        return self.done + len(self.open)

    @property
    def collapsed(self) -> bool:
        """Shown as one line."""
        return max(self.total, self.begun) > SINGLE


class Node:
    """A run: the one that is executed, or a subflow's."""

    __slots__ = ("again_at", "attempt", "calls", "ended", "error", "flow", "groups", "id", "message", "name", "parent",
                 "started", "state")  # fmt: skip

    def __init__(self, run_id: str, flow: str = "", name: str = "", parent: str | None = None) -> None:
        self.id = run_id
        self.flow = flow
        self.name = name
        self.parent = parent
        self.state = "Pending"
        self.attempt = 1
        self.started: int | None = None
        self.ended: int | None = None
        self.again_at: int | None = None
        self.message: str | None = None
        self.error: ErrorInfo | None = None
        self.groups: dict[str, Group] = {}
        self.calls: dict[str, Call] = {}


class Progress:
    """The tree of everything this process executes for one run.

    Args:
        run_id: the run, where it exists already.

    Attributes:
        counts: how many steps have ended in this process, by state.
        retries: how many attempts of steps failed and were followed by another.
        kept: how many steps were on record before.
    """

    def __init__(self, run_id: str | None = None) -> None:
        self.root_id = run_id
        self.runs: dict[str, Node] = {}
        self.counts: dict[str, int] = {}
        self.retries = 0
        self.kept = 0
        self.events: deque[tuple[str, Event, int | None]] = deque()
        self._lives: dict[str, Any] = {}

    @property
    def root(self) -> Node | None:
        """The run that is executed."""
        return self.runs.get(self.root_id) if self.root_id else None

    def take(self, run_id: str, event: Event) -> None:
        """Queue an event. Called by the engine where it happens, so that the scope around it tells what may come."""
        allowed = None
        if isinstance(event, TaskRetrying) or (
            isinstance(event, TaskStarted) and (event.attempt > 1 or run_id not in self._lives)
        ):
            scope = current_scope.get()
            if scope is not None and scope.live is not None:
                if scope.live.id == run_id:
                    self._lives[run_id] = scope.live
                if scope.key == event.step.key and scope.info is not None:
                    allowed = scope.info[0].task.retries + 1
        self.events.append((run_id, event, allowed))

    def catch_up(self) -> list[tuple[str, Event]]:
        """Take in what has been queued; gives it back."""
        taken = []
        while self.events:
            run_id, event, allowed = self.events.popleft()
            self.apply(run_id, event, allowed)
            taken.append((run_id, event))
        return taken

    def measure(self) -> None:
        """See how many calls were made so far, begun or not."""
        for run_id, live in list(self._lives.items()):
            node = self.runs.get(run_id)
            if node is None:
                continue
            calls = live.scope.calls
            for group in node.groups.values():
                group.total = calls.get(group.task, 0)
                group.spread |= group.total > group.begun + 1

    def apply(self, run_id: str, event: Event, allowed: int | None = None) -> None:
        """Take in one event."""
        node = self.runs.get(run_id)
        if node is None:
            node = self.runs[run_id] = Node(run_id)
            if self.root_id is None:
                self.root_id = run_id
        if isinstance(event, TaskEvent):
            self._step(node, event, allowed)
        elif isinstance(event, RunCreated):
            node.flow, node.name, node.parent = event.flow, event.name, event.parent_id
        elif isinstance(event, (RunStarted, RunResumed)):
            node.state, node.again_at = "Running", None
            node.attempt = event.attempt if isinstance(event, RunStarted) else node.attempt
            node.started = node.started or event.at
        elif isinstance(event, RunRetrying):
            node.state, node.again_at = "Retrying", event.at + int(event.delay * 1_000_000)
            node.error = event.error
        elif isinstance(event, RunEnded):
            node.state, node.ended, node.message = STATE_AFTER[event.stored], event.at, event.message
            node.error, node.again_at = event.error, None
            self._lives.pop(run_id, None)

    def _step(self, node: Node, event: TaskEvent, allowed: int | None) -> None:
        step = event.step
        above = node.calls.get(step.parent) if step.parent else None
        if step.parent and above is None:
            return
        groups = above.groups if above is not None else node.groups
        group = groups.get(step.task)
        if group is None:
            group = groups[step.task] = Group(step.task)
        call = group.open.get(step.key)
        if call is None:
            call = Call(step.key, step.name)
            call.started = event.started or event.at
            group.open[step.key] = node.calls[step.key] = call
            group.spread |= len(group.open) > 1
            group.started = group.started or call.started
            if len(group.calls) <= SINGLE:
                group.calls.append(call)
        call.attempt = event.attempt
        call.allowed = allowed or call.allowed
        call.child = event.child or call.child
        call.name = step.name
        if isinstance(event, TaskStarted):
            call.state, call.again_at = "Running", None
        elif isinstance(event, TaskRetrying):
            call.state, call.again_at = "Retrying", event.at + int(event.delay * 1_000_000)
            call.message = told_of(event.error)
            group.retries += 1
            self.retries += 1
        elif isinstance(event, TaskEnded):
            self._ended(node, group, call, event)

    def _ended(self, node: Node, group: Group, call: Call, event: TaskEnded) -> None:
        call.state, call.ended, call.again_at = STATE_AFTER[event.stored], event.at, None
        call.message = told_of(event.error) or event.message
        group.open.pop(call.key, None)
        group.counts[call.state] = group.counts.get(call.state, 0) + 1
        self.counts[call.state] = self.counts.get(call.state, 0) + 1
        group.ended = event.at
        if call.state != "Completed" and len(group.failed) < SINGLE:
            group.failed.append(call)
        if call not in group.calls:
            node.calls.pop(call.key, None)
            if call.child is not None:
                self.runs.pop(call.child, None)

    def restore(self, run: Run, steps: Iterable[TaskRun], *, goes_on: bool, state: str = "Pending") -> None:
        """Take in what is on record.

        Args:
            run: the run.
            steps: its steps, callers before what they called.
            goes_on: the run is about to be executed; only completed steps count, for no event will tell of them.
            state: to show for the run.
        """
        node = self.runs[run.id] = Node(run.id, run.flow, run.name, run.parent_id)
        node.attempt, node.state = max(run.attempt, 1), state
        if not goes_on:
            node.started, node.ended = run.started_at, run.ended_at
        for step in sorted(steps, key=lambda found: found.key.count("/")):
            if step.state == "Completed" or not goes_on:
                self._restore_step(node, step, goes_on)

    def _restore_step(self, node: Node, step: TaskRun, goes_on: bool) -> None:
        above = node.calls.get(step.parent) if step.parent else None
        if step.parent and above is None:
            return
        groups = above.groups if above is not None else node.groups
        group = groups.setdefault(step.task, Group(step.task))
        call = Call(step.key, step.name)
        call.state, call.kept, call.child = step.state, goes_on, step.child_id
        call.started, call.ended, call.attempt = step.started_at, step.ended_at, step.attempt
        if step.message:
            call.message = step.message.removeprefix("Task run encountered an exception ").split("\n")[0]
        if call.ended is None and node.state == "Crashed":
            call.state, call.message = "Crashed", "it was running when the process ended"
        if not goes_on:
            group.started = min(filter(None, [group.started, call.started]), default=None)
            group.ended = max(filter(None, [group.ended, call.ended]), default=None)
            group.retries += call.attempt - 1
        if call.state in ("Running", "Retrying"):
            group.open[call.key] = call
        else:
            group.counts[call.state] = group.counts.get(call.state, 0) + 1
        if call.state in _BAD and len(group.failed) < SINGLE:
            group.failed.append(call)
        if goes_on:
            group.kept += 1
            self.kept += 1
        if len(group.calls) <= SINGLE or not goes_on:
            group.calls.append(call)
            node.calls[step.key] = call


def told_of(error: ErrorInfo | None) -> str | None:
    """An error in one line."""
    if error is None:
        return None
    first = error.text.strip().split("\n")[0]
    return f"{error.type}: {first}" if first else error.type
