"""Metrics of everything that a journal records, by all processes and over restarts.

Whoever wants them reads the events since the last time and adds them up; the sums are kept in the journal, with the
position that they are of, so that every server gives the same and none counts anything twice. Events that retention
removed before anybody asked are not counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.core import typed
from penstock.core.datasets import CheckFailed, CheckPassed, DatasetWritten
from penstock.core.errors import JournalError
from penstock.core.events import (
    DeadlineMissed,
    Event,
    RunCompleted,
    RunCrashed,
    RunCreated,
    RunEnded,
    RunFailed,
    RunStopped,
    Stored,
    TaskCompleted,
    TaskCrashed,
    TaskEnded,
    TaskFailed,
    TaskStopped,
)
from penstock.core.plans import ActionEnded, AutomationFired
from penstock.core.ports import Journal
from penstock.core.states import STATE_AFTER
from penstock.core.webhooks import WebhookReceived
from penstock.observability.metrics import SECONDS, Registry

BOOKMARK = "metrics"
_PAGE = 2_000
_FAR = 1_000
"""So many events about other things are not looked through again."""
_ATTEMPTS = 4
_MOST_NAMES = 500
ENDS: tuple[type[Event], ...] = (
    RunCompleted, RunFailed, RunCrashed, RunStopped, TaskCompleted, TaskFailed, TaskCrashed, TaskStopped,
)  # fmt: skip
"""Events that end a run or a task run."""

_KINDS: tuple[type[Event], ...] = (
    RunCreated, *ENDS, DatasetWritten, WebhookReceived, AutomationFired, ActionEnded, CheckPassed, CheckFailed,
    DeadlineMissed,
)  # fmt: skip
_TYPES = tuple(kind.stored for kind in _KINDS)


class _Kept(msgspec.Struct):
    position: int
    sums: dict[str, list[tuple[list[str], list[float]]]]


class Recorded:
    """What a journal records, added up.

    Args:
        journal: whose events.
        seconds: reading takes no longer than that each time; what is left comes the next time.
    """

    def __init__(self, journal: Journal, seconds: float = 1.0) -> None:
        self._journal = journal
        self._seconds = seconds
        self._lock = threading.Lock()
        self._seq = -1
        self._position = 0
        self.registry = registry = Registry()
        self._created = registry.counter("penstock_runs_created_total", "Runs that were made.", ("flow", "cause"))
        self._ended = registry.counter("penstock_runs_ended_total", "Runs that have ended.", ("flow", "state"))
        self._run_seconds = registry.histogram(
            "penstock_run_duration_seconds", "From the first start of a run to its end.", ("flow",), SECONDS
        )
        self._tasks = registry.counter(
            "penstock_task_runs_ended_total", "Task runs that have ended.", ("task", "state")
        )
        self._task_seconds = registry.histogram(
            "penstock_task_run_duration_seconds", "From the start of a task run to its end.", ("task",), SECONDS
        )
        self._rows = registry.counter("penstock_rows_written_total", "Rows written to datasets.", ("dataset",))
        self._rejected = registry.counter("penstock_rows_rejected_total", "Records put into quarantine.", ("dataset",))
        self._checks = registry.counter("penstock_checks_total", "Checks of datasets.", ("verdict",))
        self._webhooks = registry.counter(
            "penstock_webhook_deliveries_total", "Requests to webhooks.", ("hook", "status")
        )
        self._fired = registry.counter(
            "penstock_automations_fired_total", "Times that automations fired.", ("automation",)
        )
        self._actions = registry.counter(
            "penstock_automation_actions_total", "Actions of automations that have ended; sending is one.", ("outcome",)
        )
        self._missed = registry.counter(
            "penstock_deadlines_missed_total", "Promises about time not kept.", ("promise",)
        )
        self._behind = registry.gauge("penstock_metrics_events_behind", "Positions of the journal not added up yet.")
        self._names: dict[str, set[str]] = {}

    def text(self) -> str:
        """All of them, as of now, for Prometheus."""
        with self._lock:
            self.catch_up()
            return self.registry.text()

    def catch_up(self) -> None:
        """Add up what happened since.

        Raises:
            JournalError: the journal cannot be read.
        """
        until = time.monotonic() + self._seconds
        for _ in range(_ATTEMPTS):
            self._restore()
            read = self._read(until)
            if not read:
                break
            kept = _Kept(self._position, self._sums())
            if self._journal.keep_bookmark(BOOKMARK, self._seq, msgspec.json.encode(kept)):
                self._seq += 1
                break
        self._behind.set(max(0, self._journal.head() - self._position))

    def _sums(self) -> dict[str, Any]:
        kept: dict[str, Any] = self.registry.kept()
        kept.pop("penstock_metrics_events_behind", None)
        return kept

    def _restore(self) -> None:
        """Go on where whoever asked last has stopped; the first one begins with what comes from now on."""
        found = self._journal.bookmark(BOOKMARK)
        if found is None:
            self._seq, self._position = 0, self._journal.head()
            self.registry.restore({})
            self._journal.keep_bookmark(BOOKMARK, 0, msgspec.json.encode(_Kept(self._position, {})))
            found = self._journal.bookmark(BOOKMARK)
        if found is None or found.seq == self._seq:
            return
        try:
            kept = typed.from_json(found.data, _Kept)
        except msgspec.MsgspecError as error:
            raise JournalError(
                "The sums of the metrics cannot be read.", hint="an older Penstock kept them?"
            ) from error
        self._seq, self._position = found.seq, kept.position
        self.registry.restore(kept.sums)
        self._names = {}

    def _read(self, until: float) -> bool:
        """Whether there was anything to keep."""
        before, found = self._position, False
        while True:
            head = self._journal.head()  # asked for first: what is not on the page was not there up to here
            page = self._journal.read(self._position, _PAGE, _TYPES)
            if page:
                self._add(page)
                self._position, found = page[-1].position, True
            if len(page) < _PAGE:
                self._position = max(self._position, head)
                break
            if time.monotonic() > until:
                break
        return found or self._position - before >= _FAR

    def _add(self, page: Sequence[Stored]) -> None:
        ended = {each.stream: each.event for each in page if isinstance(each.event, RunEnded)}
        runs = {run.id: run for run in self._journal.runs_of(list(ended))} if ended else {}
        for stored in page:
            event = stored.event
            if isinstance(event, TaskEnded):
                self._task(event)
            elif isinstance(event, RunEnded):
                self._run(event, runs.get(stored.stream))
            else:
                self._other(event)

    def _run(self, event: RunEnded, run: Any) -> None:
        flow = self._named("flow", run.flow) if run is not None else "(removed)"
        self._ended.add(flow=flow, state=STATE_AFTER[event.stored])
        if run is not None and run.started_at is not None:
            self._run_seconds.observe(max(0, event.at - run.started_at) / 1e6, flow=flow)

    def _task(self, event: TaskEnded) -> None:
        task = self._named("task", event.step.task)
        self._tasks.add(task=task, state=STATE_AFTER[event.stored])
        if event.started:
            self._task_seconds.observe(max(0, event.at - event.started) / 1e6, task=task)

    def _other(self, event: Event) -> None:
        match event:
            case RunCreated():
                self._created.add(flow=self._named("flow", event.flow), cause=event.cause or "call")
            case DatasetWritten():
                dataset = self._named("dataset", event.place)
                self._rows.add(max(0, event.landed), dataset=dataset)
                self._rejected.add(max(0, event.rejected), dataset=dataset)
            case CheckPassed() | CheckFailed():
                self._checks.add(verdict="passed" if isinstance(event, CheckPassed) else "failed")
            case WebhookReceived():
                self._webhooks.add(hook=self._named("hook", event.hook), status=event.status)
            case AutomationFired():
                self._fired.add(automation=self._named("automation", event.name))
            case ActionEnded():
                self._actions.add(outcome="failed" if event.error else "done")
            case DeadlineMissed():
                self._missed.add(promise=event.promise)

    def _named(self, label: str, name: str) -> str:
        """The name, or (others): a label has at most so many values."""
        known = self._names.setdefault(label, set())
        if name not in known:
            if not known:
                known |= self._values(label)
            if name not in known and len(known) >= _MOST_NAMES:
                return "(others)"
            known.add(name)
        return name

    def _values(self, label: str) -> set[str]:
        sums: Mapping[str, Any] = self.registry.kept()
        return {key[0] for name in _OF_LABEL[label] for key, _ in sums[name]}


_OF_LABEL = {
    "flow": ("penstock_runs_created_total", "penstock_runs_ended_total"),
    "task": ("penstock_task_runs_ended_total",),
    "dataset": ("penstock_rows_written_total",),
    "hook": ("penstock_webhook_deliveries_total",),
    "automation": ("penstock_automations_fired_total",),
}
