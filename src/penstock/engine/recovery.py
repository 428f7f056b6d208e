"""What happens to runs afterwards: found, resumed, forked, cancelled, deleted."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

import msgspec

from penstock.authoring.loading import load_flow
from penstock.authoring.registry import declared_flows
from penstock.core.decisions import (
    Answer,
    RequestCancel,
    Reschedule,
)
from penstock.core.errors import (
    FlowNotFound,
    InvalidTransition,
    NotWaiting,
    RunNotFound,
    RunNotResumable,
)
from penstock.core.events import ON_REQUEST, Record, RunCreated, Stored, TaskEvent, now_us
from penstock.core.extras import LateModule
from penstock.core.ids import child_run_id, new_run_id, new_run_name, owner_is_dead, owner_pid
from penstock.core.model import Run, RunFilter
from penstock.core.ports import Journal
from penstock.core.ports.reading import Reading
from penstock.core.states import StateType
from penstock.engine.commands import append_command, end_family
from penstock.engine.local import LocalEngine
from penstock.engine.replay import split_key
from penstock.engine.runners.trees import kill_tree

_carrying: Any = LateModule("penstock.engine.transactions.carrying")
_MAX_DEPTH = 50


def find_run(journal: Reading, wanted: str) -> Run:
    """One run by its id, by the beginning or end of its id, or by its name.

    Raises:
        RunNotFound: none fits, or more than one does.
    """
    exact = journal.run(wanted)
    if exact is not None:
        return exact
    found = journal.find(wanted, limit=6) if wanted else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise RunNotFound(f"There is no run {wanted!r}.")
    named = ", ".join(f"{run.id} ({run.name})" for run in found[:5])
    raise RunNotFound(f"{wanted!r} fits more than one run: {named}.", hint="give more of the id")


def flow_of(run: Run, flow: Any = None) -> Any:
    """The flow a run was made of: the one given, one declared in this process, or the recorded entrypoint's.

    Raises:
        RunNotResumable: it cannot be found from here.
    """
    if flow is not None:
        return flow
    if run.entrypoint is not None:
        try:
            return load_flow(run.entrypoint)
        except FlowNotFound as error:
            raise RunNotResumable(
                f"The flow {run.flow!r} of run {run.name} is not where it was ({error.message})",
                hint="bring the file back, or resume from Python: penstock.resume(RUN_ID, flow=my_flow)",
            ) from error
    declared = declared_flows().get(run.flow)
    if declared is not None:
        return declared
    raise RunNotResumable(
        f"The flow {run.flow!r} was defined inside a function or an interactive session, so it cannot be loaded here.",
        hint="resume it from Python: penstock.resume(RUN_ID, flow=my_flow)",
    )


def resume(engine: LocalEngine, run_id: str, flow: Any = None, *, return_state: bool = False) -> Any:
    """Go on with a run: recorded steps give their results, the others are executed.

    A run that has not ended goes on under its own id. An ended one stays as it is, and a new run takes over its
    completed steps.

    Returns:
        The flow's value (a coroutine for an async flow).

    Raises:
        RunNotResumable: it completed, its process is alive, or its flow cannot be found.
    """
    run, flow = prepare_resume(engine, run_id, flow)
    return engine.resume(run.id, flow, return_state, run.owner)


def prepare_resume(engine: LocalEngine, run_id: str, flow: Any = None) -> tuple[Run, Any]:
    """The run that will go on (the same, or a new one that takes over the steps of an ended run), and its flow."""
    run = find_run(engine.journal, run_id)
    if run.parent_id is not None and not run.ended:
        raise RunNotResumable(
            f"Run {run.name} is a subflow of run {run.root_id}.",
            hint=f"resume that: penstock runs resume {run.root_id}",
        )
    if run.state == "Completed":
        raise RunNotResumable(
            f"Run {run.name} completed, so there is nothing to resume.",
            hint="to run it again from some step: penstock runs fork ID --from STEP",
        )
    flow = flow_of(run, flow)
    if run.ended:
        return fork(engine.journal, run, from_step=None, origin="resume"), flow
    ours = run.owner == engine.owner and not engine.keeper.keeps(run.id)
    if run.owner is not None and not ours and not run.lost(now_us()):
        pid = owner_pid(run.owner)
        who = f"process {pid} on this machine" if pid else "a process on another machine"
        waits = run.waiting is not None and run.waiting.kind != "sleep"
        hint = "answer it: penstock runs answer" if waits else "wait for it, or stop it first: penstock runs cancel"
        raise RunNotResumable(f"Run {run.name} is still being executed by {who}.", hint=f"{hint} {run.id}")
    if run.pause_requested:  # whoever goes on with it wants it to
        with contextlib.suppress(NotWaiting):
            append_command(engine.journal, run.id, Answer(now_us(), ON_REQUEST))
    return run, flow


def fork(
    journal: Journal,
    run: Run,
    from_step: str | None,
    origin: str = "fork",
    *,
    pool: str | None = None,
    new_id: str | None = None,
    key: str | None = None,
) -> Run:
    """A new run that takes over completed steps of another one.

    Args:
        journal: where both live.
        run: the other run, ended or not.
        from_step: this step, and every one called after it, is executed anew; None takes over all that completed.
        origin: `fork` or `resume`; or `retry`, which takes over nothing but the parameters.
        pool: the workers of this pool execute it, from now on; None where whoever makes it does that.
        new_id: the new run's id, where whoever makes it knows.
        key: an idempotency key that stands for it.

    Raises:
        RunNotResumable: there is no such step.
        SequenceConflict: there is a run with the new id already.
    """
    records = list(journal.load(run.id))
    if not records:
        raise RunNotFound(f"Run {run.name} was removed meanwhile.")
    ordinal = _ordinal_of(records, run, from_step)
    if origin == "retry":
        records = records[:1]
    new_id = new_id or new_run_id()
    extra: dict[str, Any] = {"origin_id": run.id, "origin": origin, "from_step": from_step, "key": key}
    if pool is not None:
        extra |= {"pool": pool, "queue": run.queue or "default"}
    _carry(journal, records, new_id, ordinal, extra, 0)
    if pool is not None:  # not before everything is there that it takes over
        append_command(journal, new_id, Reschedule(now_us(), now_us()))
    made = journal.run(new_id)
    assert made is not None
    return made


def _ordinal_of(records: list[Stored], run: Run, from_step: str | None) -> int | None:
    if from_step is None:
        return None
    places = {
        split_key(s.event.step.key)[0]: s.event.step.ordinal
        for s in records
        if isinstance(s.event, TaskEvent) and s.event.step.parent is None
    }
    wanted = from_step if "#" in from_step else f"{from_step}#1"
    if wanted not in places:
        known = ", ".join(sorted(places, key=places.__getitem__)[:20]) or "none"
        raise RunNotResumable(f"Run {run.name} has no step {from_step!r}.", hint=f"its steps are: {known}")
    return places[wanted]


def _carry(
    journal: Journal,
    records: list[Stored],
    new_id: str,
    ordinal: int | None,
    extra: dict[str, Any],
    depth: int,
) -> None:
    """Write the new run's beginning and the records of the steps it takes over, subflows that had not ended too."""
    first = records[0]
    assert isinstance(first.event, RunCreated)
    top: dict[str, Any] = {"name": new_run_name()} if depth == 0 else {}
    if depth == 0:  # whoever makes it executes it, and it stands for no due instant of a schedule
        top |= dict.fromkeys(("pool", "queue", "due_at", "schedule", "next_due", "key"))
    if depth == 0 and first.event.parent_id is not None:
        top |= {"parent_id": None, "parent_key": None, "root_id": None}
    created = msgspec.structs.replace(first.event, at=now_us(), **{**top, **extra})
    kept = [Record(created, first.data)]
    children: list[tuple[str, str]] = []
    carried = _carrying.Carried(records, ordinal)
    for key, stored in _last_events(records).items():
        event = stored.event
        assert isinstance(event, TaskEvent)
        if ordinal is not None and event.step.parent is None and event.step.ordinal >= ordinal:
            continue
        if ordinal is not None and event.step.parent is not None and _dropped(event.step.key, records, ordinal):
            continue
        if carried.is_undone(key):
            continue
        base, _ = split_key(key)
        taken = carried.events_of(stored)
        for each in taken:
            step = msgspec.structs.replace(each.event.step, key=base)
            kept.append(Record(msgspec.structs.replace(each.event, step=step), each.data))
        if not taken and event.child is not None:
            children.append((event.child, child_run_id(new_id, base, 1)))
    for start in range(0, len(kept), 5000):
        journal.append(new_id, start, kept[start : start + 5000])
    if depth >= _MAX_DEPTH:
        return
    for old_child, new_child in children:
        below = list(journal.load(old_child))
        if below:
            root = extra.get("root_id", new_id)
            _carry(journal, below, new_child, None, {"parent_id": new_id, "root_id": root}, depth + 1)


def _last_events(records: list[Stored]) -> dict[str, Stored]:
    """The last event of each call, whatever generation, in the order of the records."""
    found: dict[str, Stored] = {}
    for stored in records:
        if isinstance(stored.event, TaskEvent):
            base, _ = split_key(stored.event.step.key)
            found.pop(base, None)
            found[base] = stored
    return found


def _dropped(key: str, records: list[Stored], ordinal: int) -> bool:
    """True for a nested step whose outermost step is executed anew."""
    outer = key.split("/")[0]
    return any(
        isinstance(s.event, TaskEvent) and s.event.step.key == outer and s.event.step.ordinal >= ordinal
        for s in records
    )


def cancel(journal: Journal, run_id: str, *, grace_seconds: float = 10.0, reason: str | None = None) -> Run:
    """Stop a run and everything it has started.

    Its process is asked first. If it has not stopped after the grace time and it is on this machine, its process tree
    is killed and the run is recorded as Cancelled from here. A run that nobody executes is recorded at once.

    Raises:
        RunNotFound, InvalidTransition: it does not exist, or has ended.
    """
    wanted = find_run(journal, run_id)
    if wanted.ended:
        raise InvalidTransition(
            f"Run {wanted.name} has ended ({wanted.state}).", hint="an ended run needs no cancelling"
        )
    run = _root_of_waiting(journal, wanted) or wanted
    append_command(journal, run.id, RequestCancel(now_us(), reason))
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        now_run = find_run(journal, run.id)
        if now_run.ended:
            return find_run(journal, wanted.id)
        if now_run.owner is None or now_run.lost(now_us()):
            break
        time.sleep(0.05)
    last = find_run(journal, run.id)
    if last.owner is not None and owner_is_dead(last.owner) is False:
        pid = owner_pid(last.owner)
        if pid is not None and pid != os.getpid() and last.state != "Pending":  # else its worker holds it
            kill_tree(pid, signal.SIGKILL)
    elif last.owner is not None and not last.lost(now_us()):
        raise InvalidTransition(
            f"Run {run.name} was asked to stop, but its process (on another machine) has not answered yet.",
            hint="look again in a moment: penstock runs show ID",
        )
    how = "while it waited" if last.owner is None else "and its process had to be killed or was gone"
    with contextlib.suppress(InvalidTransition):
        end_family(journal, run.id, StateType.CANCELLED, reason or f"The run was cancelled, {how}.")
    return find_run(journal, wanted.id)


def _root_of_waiting(journal: Journal, run: Run) -> Run | None:
    """The run that a subflow run waits with, where no process executes them; they are stopped and deleted as one."""
    if run.parent_id is None or run.owner is not None or run.ended:
        return None
    root = journal.run(run.root_id or run.parent_id)
    return root if root is not None and not root.ended else None


def delete(journal: Journal, run_id: str) -> int:
    """Remove an ended (or lost) run, with its subflow runs, logs and events.

    Raises:
        InvalidTransition: it is being executed.
    """
    run = find_run(journal, run_id)
    if not run.ended and not run.lost(now_us()) and run.owner is not None:
        raise InvalidTransition(
            f"Run {run.name} is being executed.", hint=f"stop it first: penstock runs cancel {run.id}"
        )
    root = _root_of_waiting(journal, run)
    if root is not None:
        raise InvalidTransition(
            f"Run {run.name} is a part of run {root.name}, which waits.",
            hint=f"delete that: penstock runs delete {root.id}",
        )
    family, queue = [], [run.id]
    while queue:
        family.append(queue.pop())
        queue += [child.id for child in journal.runs(RunFilter(parent_id=family[-1], limit=10_000))]
    journal.delete(family)
    return len(family)
