"""What is known of an event: its own fields, and the run or the deployment it is about."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec

from penstock.core.events import RunCreated, Stored, TaskEvent, stored_name
from penstock.core.model import Run
from penstock.core.plans import Happened
from penstock.core.ports import Journal
from penstock.core.states import STATE_AFTER
from penstock.orchestrator.emitting import CHAINED, FIRST, LAST, chain_of_run

_KEPT_RUNS = 10_000
_LONGEST = 2_000
_LEFT_OUT = ("at", "shown", "chain", "spec", "result", "owner", "lease_until")
_MOST_ITEMS = 200
_OF_RUN = ("flow", "deployment", "tags", "partition", "parameters")


class Facts:
    """Tells what is known of events. What never changes of a run is asked for once."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._runs: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._chains: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    def of(self, stored: Stored) -> dict[str, Any]:
        """The facts of an event, as plain data."""
        event = stored.event
        name = stored_name(event)[0]
        facts: dict[str, Any] = {
            "event": event.name if isinstance(event, Happened) else name,
            "at": moment(event.at),
            "position": stored.position,
            "stream": stored.stream,
        }
        fields = msgspec.to_builtins(event)
        if not isinstance(event, Happened):
            fields = _cut(fields)
        facts |= {field: value for field, value in fields.items() if field not in _LEFT_OUT}
        if name in STATE_AFTER:
            facts["state"] = STATE_AFTER[name]
        if isinstance(facts.get("error"), dict):
            facts["error"].pop("trace", None)  # long, and not for those who are notified
        if isinstance(event, TaskEvent):
            facts["task"] = event.step.task
        if isinstance(event, RunCreated):
            facts["state"] = "Scheduled" if event.due_at is not None else "Pending"
            facts["parameters"] = _cut(event.shown)
        self._add_run(facts, stored)
        kind, slash, about = stored.stream.partition("/")
        if slash and kind == "deployment":
            facts.setdefault("deployment", about)
        return facts

    def _add_run(self, facts: dict[str, Any], stored: Stored) -> None:
        run_id = run_of(stored)
        if run_id is None:
            return
        run = self.run(run_id)
        facts["run"] = {**run, "state": facts["state"]} if "state" in facts else run
        if "/" not in stored.stream:
            facts.setdefault("name", run.get("name"))
        for name in _OF_RUN:
            if facts.get(name) is None and run.get(name) is not None:
                facts[name] = run[name]

    def run(self, run_id: str) -> dict[str, Any]:
        """What never changes of a run."""
        known = self._runs.get(run_id)
        if known is None:
            found = self._journal.run(run_id)
            known = {"id": run_id} if found is None else _of_run(found)
            self._keep(run_id, known)
        return known

    def learn(self, page: Iterable[Stored]) -> None:
        """Ask for the runs that these events are about, all at once."""
        new = {run_id for each in page if (run_id := run_of(each)) is not None and run_id not in self._runs}
        for run in self._journal.runs_of(sorted(new)):
            self._keep(run.id, _of_run(run))

    def _keep(self, run_id: str, known: dict[str, Any]) -> None:
        self._runs[run_id] = known
        if len(self._runs) > _KEPT_RUNS:
            self._runs.popitem(last=False)

    def chain_of(self, stored: Stored) -> tuple[int, ...]:
        """When automations fired, each because of the one before, until this event came about."""
        chain: tuple[int, ...] = getattr(stored.event, "chain", ())
        run_id = run_of(stored)
        if chain or run_id is None:
            return chain
        root = self.run(run_id).get("root_id") or run_id
        if self.run(root).get("cause") not in CHAINED:
            return ()
        if root not in self._chains:
            self._chains[root] = chain_of_run(self._journal, root)
            if len(self._chains) > _KEPT_RUNS:
                self._chains.popitem(last=False)
        return self._chains[root]


def run_of(stored: Stored) -> str | None:
    """The run that an event is about, if it is about one."""
    if "/" not in stored.stream:
        return stored.stream
    event: Any = stored.event
    found = getattr(event, "run_id", None) or getattr(event, "run", None)
    return str(found) if found else None


def _of_run(run: Run) -> dict[str, Any]:
    facts = {
        "id": run.id,
        "name": run.name,
        "flow": run.flow,
        "flow_version": run.flow_version,
        "deployment": run.deployment,
        "tags": list(run.tags),
        "partition": run.partition,
        "parameters": _cut(run.parameters),
        "parent_id": run.parent_id,
        "root_id": run.root_id,
        "scheduled_at": moment(run.scheduled_at) if run.scheduled_at is not None else None,
        "cause": run.cause,
    }
    return {name: value for name, value in facts.items() if value is not None}


def moment(micros: int) -> str:
    """`2026-01-31T13:03:22.123456Z`."""
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=min(max(micros, FIRST), LAST))
    return at.isoformat(timespec="microseconds") + "Z"


def _cut(value: Any) -> Any:
    """A value with its long texts, lists and dicts cut short."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[:_LONGEST] + "..."
    if isinstance(value, dict):
        return {key: _cut(each) for key, each in list(value.items())[:_MOST_ITEMS]}
    return [_cut(each) for each in value[:_MOST_ITEMS]] if isinstance(value, list) else value
