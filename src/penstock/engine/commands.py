"""Commands to runs that other processes may be appending to."""

from __future__ import annotations

import contextlib
from typing import Any

from penstock.core.decisions import (
    Finish,
    Resume,
    RunState,
    TaskState,
    decide_run,
    decide_task,
    evolve_run,
    evolve_task,
)
from penstock.core.errors import InvalidTransition, SequenceConflict
from penstock.core.events import Record, TaskEvent, now_us
from penstock.core.model import RunFilter
from penstock.core.ports import Journal
from penstock.core.states import StateType

ANYBODY = "(anybody)"


def append_command(
    journal: Journal, run_id: str, *commands: Any, steps: Finish | None = None, owner: str | None = ANYBODY
) -> None:
    """Append to a run that another process may be appending to.

    Args:
        journal: where the run lives.
        run_id: the run.
        commands: for the run, in order.
        steps: how to end the steps that have not ended, before the last command.
        owner: who must hold the run for this to be done.

    Raises:
        InvalidTransition: its state does not allow it, or somebody else holds it by now.
    """
    while True:
        state, tasks, seq = RunState(), dict[str, TaskState](), 0
        for stored in journal.load(run_id):
            state, seq = evolve_run(state, stored.event), stored.seq
            if isinstance(stored.event, TaskEvent):
                key = stored.event.step.key
                tasks[key] = evolve_task(tasks.get(key), stored.event)
        if owner != ANYBODY and state.owner != owner:
            raise InvalidTransition("Somebody else holds the run by now.")
        records = []
        for command in commands:
            event = decide_run(state, command)
            state = evolve_run(state, event)
            records.append(Record(event))
        if steps is not None:
            records[-1:-1] = [Record(decide_task(task, steps)) for task in tasks.values() if not task.ended]
        try:
            journal.append(run_id, seq, records)
            return
        except SequenceConflict:
            continue


def end_family(journal: Journal, run_id: str, kind: StateType, message: str, *, owner: str | None = ANYBODY) -> None:
    """Record the end of a run nobody executes, fencing off whoever did; of its steps, and of its subflows first.

    Args:
        journal: where the run lives.
        run_id: the run.
        kind: Cancelled or Crashed.
        message: why.
        owner: who must hold the run for this to be done.

    Raises:
        InvalidTransition: it has ended, or somebody else holds it by now.
    """
    for child in journal.runs(RunFilter(parent_id=run_id, limit=10_000)):
        if not child.ended:
            with contextlib.suppress(InvalidTransition):
                end_family(journal, child.id, kind, message)
    run = journal.run(run_id)
    finish = Finish(now_us(), kind, None, message)
    begun = run is not None and run.attempt > 0
    commands = [Resume(now_us(), "recovery", now_us()), finish] if begun else [finish]
    append_command(journal, run_id, *commands, steps=finish, owner=owner)
