"""Promises about time: found broken by the leading scheduler, and told once.

A broken promise is an event of a stream of its own, named after what it is about, so that it is there once; the run it
is about goes on undisturbed. Runs under way are looked at whenever somebody looks; those that have ended are found by
the events of their ends, from a durable cursor on, so that none ends unseen between two looks or two schedulers.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.core.deployments import Deployment, Promises, of_data
from penstock.core.errors import SequenceConflict
from penstock.core.events import DeadlineMissed, Record
from penstock.core.model import Run, RunFilter, StoredDeployment
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.core.states import FINAL_WORDS

CURSOR = "promises"
PROMISES = ("start", "duration", "finish", "fresh")
_SECOND = 1_000_000
_OPEN = ("Scheduled", "Pending", "Running", "Retrying", "Paused")
_ENDS = ("RunCompleted", "RunFailed", "RunCrashed", "RunCancelled")
_BATCH = 1000
_AT_ONCE = 10
_RECENT = 50  # of the newest completed runs, the one that ended last is how fresh a deployment is

Promised = dict[str, tuple[StoredDeployment, Deployment]]


def check_promises(journal: Journal, now: int) -> int:
    """Tell of every promise that is broken by now and was not told of; returns how many."""
    read = ((stored, of_data(stored.spec)) for stored in journal.deployments())
    promised = {each[0].name: each for each in read if each[1].promises != Promises()}
    told = 0
    for run in _runs(journal, promised):
        told += _check(journal, promised, run, now)
    for stored, deployment in promised.values():
        told += _check_fresh(journal, stored, deployment, now)
    return told


def _runs(journal: Journal, promised: Promised) -> Iterable[Run]:
    """Runs under way, and those that have ended since the last time."""
    for name in promised:
        yield from journal.runs(RunFilter(deployment=name, states=_OPEN, limit=_BATCH))
    position, head = journal.cursor(CURSOR), journal.head()
    if not promised:
        if position and head > position + _BATCH:
            journal.move_cursor(CURSOR, position, head)
        return
    if not position:  # the first promise of this journal
        for name, (stored, _) in promised.items():
            ended = journal.runs(RunFilter(deployment=name, states=tuple(FINAL_WORDS), limit=_BATCH))
            yield from (run for run in ended if run.created_at >= stored.updated_at)
        journal.move_cursor(CURSOR, 0, head)
        return
    for _ in range(_AT_ONCE):
        head = journal.head()
        rows = journal.read(position, _BATCH, _ENDS) if head > position else []
        for row in rows:
            run = journal.run(row.stream)
            if run is not None and run.deployment in promised:
                yield run
        reached = rows[-1].position if len(rows) == _BATCH else max(head, position)
        if reached > position and not journal.move_cursor(CURSOR, position, reached):
            return  # somebody else looks after them
        position = reached
        if len(rows) < _BATCH:
            return


def _check(journal: Journal, promised: Promised, run: Run, now: int) -> int:
    promises = promised[run.deployment or ""][1].promises
    due = run.scheduled_at or run.due_at or run.created_at
    kept = {
        "start": (_after(due, promises.start_seconds), run.started_at),
        "duration": (_after(run.started_at, promises.duration_seconds), run.ended_at),
        "finish": (_after(due, promises.finish_seconds), run.ended_at),
    }
    told = 0
    for promise, (deadline, at) in kept.items():
        if deadline is not None and deadline < (at if at is not None else run.ended_at or now):
            told += _tell(journal, run.deployment or "", run, promise, deadline, now)
    return told


def _check_fresh(journal: Journal, stored: StoredDeployment, deployment: Deployment, now: int) -> int:
    if deployment.promises.fresh_seconds is None or stored.paused:
        return 0
    completed = journal.runs(RunFilter(deployment=deployment.name, states=("Completed",), limit=_RECENT))
    latest = max(completed, key=lambda run: (run.ended_at or 0, run.id), default=None)
    since = latest.ended_at if latest else stored.updated_at
    deadline = _after(since, deployment.promises.fresh_seconds)
    if deadline is None or deadline >= now:
        return 0
    return _tell(journal, deployment.name, latest, "fresh", deadline, now)


def _after(start: int | None, seconds: float | None) -> int | None:
    return None if start is None or seconds is None else start + int(seconds * _SECOND)


def _tell(journal: Journal, deployment: str, run: Run | None, promise: str, deadline: int, now: int) -> int:
    about = run.id if run is not None else f"{deployment}@{deadline}"
    event = DeadlineMissed(
        at=now, promise=promise, deadline=deadline, deployment=deployment, run_id=run.id if run is not None else None
    )
    try:
        journal.append(stream_of("promise", f"{about}/{promise}"), 0, [Record(event)])
    except SequenceConflict:
        return 0
    return 1
