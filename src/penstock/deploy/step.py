"""One step of a run that is executed elsewhere, in a process of its own: `python -m penstock.deploy.step`.

The process is told on stdin what to do, as one line of JSON (see `StepOrder`), and whoever told it keeps stdin open:
when that is closed, nobody waits for the step any more, and it ends. It plays the run again as far as its step, with
the outcomes of the steps before, executes the step once, and leaves its outcome for the others.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.authoring.loading import load_flow
from penstock.authoring.registry import forget
from penstock.core import typed
from penstock.core.engines import OutsideLine
from penstock.core.errors import PenstockError
from penstock.core.events import (
    ArtifactSaved,
    Record,
    RunCreated,
    RunEnded,
    TaskEnded,
    TaskEvent,
    TaskRetrying,
    now_us,
)
from penstock.core.ids import derived_run_id, run_name_of
from penstock.core.ports import Journal
from penstock.core.ports.running import engine_in_use
from penstock.core.release import VERSION
from penstock.core.states import State
from penstock.core.workflows import of_data
from penstock.deploy.lines import Said, within, written
from penstock.deploy.orders import (
    BROKEN,
    COMPLETED,
    FAILED,
    NOT_REACHED,
    TRY_AGAIN,
    VERDICT,
    WHOLE,
    Misfit,
    StepOrder,
    refuse_other_version,
)
from penstock.deploy.outcomes import Outcomes, outcome
from penstock.deploy.replaying import AwayEngine, Elsewise, StepEnded, StepEngine
from penstock.engine.local import LocalEngine
from penstock.engine.scheduled import execute
from penstock.engine.workflows import flow_of
from penstock.journal.memory import MemoryJournal
from penstock.journal.sqlite import SqliteJournal

_NO_SUSPENSION = 10.0**9


def run_step(order: StepOrder, flow: Any = None) -> int:
    """Do what was ordered; returns what the process ends with.

    Args:
        order: what.
        flow: instead of the one that the order names.

    Raises:
        PenstockError: it could not be begun, or its outcome could not be kept.
    """
    refuse_other_version(order.deployment, order.penstock)
    if not order.run:
        order = msgspec.structs.replace(order, run=derived_run_id(order.at // 1000, *order.reference))
    if order.folder is not None:
        try:
            os.chdir(order.folder)
        except OSError as error:
            told = f"{order.folder}, where {order.deployment} was deployed, is no folder here: {error.strerror}."
            raise Misfit(told, hint="bring the project to every worker, in the same place") from None
    outcomes = Outcomes(order.results)
    flow = flow or _flow_of(order)
    return _whole(order, outcomes, flow) if order.step == WHOLE else _part(order, outcomes, flow)


def _flow_of(order: StepOrder) -> Any:
    if order.workflow is None:
        if order.entrypoint is None:
            raise Misfit("The order names neither a flow nor a workflow.")
        return load_flow(order.entrypoint)
    return flow_of(of_data(order.workflow))


def _created(order: StepOrder, flow: Any, results: Any) -> Record:
    saved, data = results.save(order.parameters)
    event = RunCreated(
        at=now_us(),
        flow=flow.name,
        name=run_name_of(order.run),
        parameters=saved,
        tags=order.tags,
        deployment=order.deployment,
        pool="",
        scheduled_at=order.due,
        interval=order.interval,
        flow_version=flow.version,
    )
    return Record(event, data)


def _engine(journal: Journal, outcomes: Outcomes) -> AwayEngine:
    return AwayEngine(journal, outcomes.results, suspend_seconds=_NO_SUSPENSION)


def _ended(engine: LocalEngine, order: StepOrder, flow: Any, takes_over: str | None = None) -> State:
    found = execute(engine, order.run, flow, takes_over)
    if flow.isasync and not isinstance(found, State):
        import asyncio

        found = asyncio.run(found)
    state: State = found
    return state


def _whole(order: StepOrder, outcomes: Outcomes, flow: Any) -> int:
    """Execute the flow as a whole. Where outcomes are in a folder, a second process goes on where the first one was."""
    file = Path(order.results) / "journals" / f"{order.run}.db" if "://" not in order.results else None
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    journal: Journal = SqliteJournal(file) if file is not None else MemoryJournal()
    try:
        before = journal.run(order.run)
        if before is None:
            journal.append(order.run, 0, [_created(order, flow, outcomes.results)])
        engine = _engine(journal, outcomes)
        with engine_in_use(engine):
            state = _ended(engine, order, flow, before.owner if before is not None else None)
        _keep(outcomes, order, [Record(s.event, s.data) for s in journal.load(order.run) if _is_told(s.event)])
    finally:
        journal.close()
    for each in file.parent.glob(f"{order.run}.*") if file is not None else ():  # it ended: another time begins anew
        each.unlink(missing_ok=True)
    return COMPLETED if state.is_completed() else FAILED


def _is_told(event: Any) -> bool:
    return isinstance(event, (TaskEvent, ArtifactSaved, RunEnded))


def _part(order: StepOrder, outcomes: Outcomes, flow: Any) -> int:
    own = None if order.step == VERDICT else order.step
    journal = MemoryJournal()
    records, known, tried = _taken(order, outcomes, own)
    journal.append(order.run, 0, [_created(order, flow, outcomes.results), *records])
    seen = len(records) + 1
    if own is not None:
        _wait_for_turn(tried)
        flow = _unhooked(flow)
    local = _engine(journal, outcomes)
    engine = StepEngine(local, known, own, set(order.steps))
    try:
        with engine_in_use(engine):
            state = _ended(local, order, flow)
    except StepEnded as ended:
        return _told(order, outcomes, journal, seen, ended)
    except Elsewise as error:
        raise Misfit(error.reason, hint="deploy the flow again") from None
    if engine.elsewise is not None:
        raise Misfit(engine.elsewise.reason, hint="deploy the flow again")
    if own is not None:
        return _passed_by(order, state)
    new = [Record(s.event, s.data) for s in journal.load(order.run, seen)]
    _keep(outcomes, order, [record for record in new if _is_told(record.event)])
    return COMPLETED if state.is_completed() else FAILED


def _taken(order: StepOrder, outcomes: Outcomes, own: str | None) -> tuple[list[Record], set[str], list[Record]]:
    """What the steps of the run have left: their records, the keys of those that ended, and own earlier attempts."""
    records: list[Record] = []
    known: set[str] = set()
    tried: list[Record] = []
    for step, found in outcomes.of_run(order.run):
        if step not in order.steps:
            continue
        ended = any(isinstance(event, TaskEnded) and event.step.key == step for event, _ in found.records)
        if step == own:  # it ended in a process that was executed before, and is asked for again
            tried = [] if ended else [r for r in found.records if isinstance(r.event, TaskRetrying)]
        elif ended:
            known.add(step)
            records += found.records
    return [*records, *tried], known, tried


def _wait_for_turn(tried: Sequence[Record]) -> None:
    """The delay before this attempt, as far as the engine has not waited already."""
    if tried and isinstance(last := tried[-1].event, TaskRetrying):
        left = last.at / 1_000_000 + last.delay - time.time()
        if left > 0:
            time.sleep(left)


def _unhooked(flow: Any) -> Any:
    """The flow without what is to be done once in a run."""
    quiet = flow.with_options(on_running=[], on_completion=[], on_failure=[], on_crashed=[], on_cancellation=[])
    forget(quiet)
    return quiet


def _told(order: StepOrder, outcomes: Outcomes, journal: Journal, seen: int, ended: StepEnded) -> int:
    """Leave the outcome of the step for the others."""
    found = [
        Record(s.event, s.data)
        for s in journal.load(order.run, seen)
        if (isinstance(s.event, TaskEvent) and within(s.event.step.key, order.step))
        or (isinstance(s.event, ArtifactSaved) and within(s.event.step, order.step))
    ]
    state = ended.state
    if not state.is_completed():
        logging.getLogger("penstock.engine").error("%s", _reason(found, state))
    last = next((e for e, _ in reversed(found) if isinstance(e, TaskEnded) and e.step.key == order.step), None)
    tried = outcomes.get(order.run, order.step)
    earlier = [r for r in tried.records if isinstance(r.event, TaskRetrying)] if tried is not None else []
    if ended.delay is not None and last is not None:
        again = TaskRetrying(
            at=last.at, step=last.step, attempt=last.attempt, started=last.started, delay=ended.delay, error=last.error
        )
        _keep(outcomes, order, [*earlier, Record(again)])
        return TRY_AGAIN
    _keep(outcomes, order, [*earlier, *found])
    return COMPLETED if state.is_completed() else FAILED


def _reason(found: list[Record], state: State) -> str:
    last = next((e for e, _ in reversed(found) if isinstance(e, TaskEnded)), None)
    trace = last.error.trace if last is not None and last.error is not None else ""
    return f"{state.message or state.name}\n{trace}".strip()


def _passed_by(order: StepOrder, state: State) -> int:
    if state.is_completed():
        raise Misfit(
            f"The flow ended without a call of {order.step}, which it made when it was deployed.",
            hint="a flow that decides by what its tasks or parameters give is one operator: deploy it again",
        )
    print(written(OutsideLine(at=now_us(), level=30, message=f"not reached: {state.message}", step=order.step)))
    return NOT_REACHED


def _keep(outcomes: Outcomes, order: StepOrder, records: list[Record]) -> None:
    outcomes.put(order.run, order.step, outcome(VERSION, records))


def _listen(handler: logging.Handler) -> None:
    top = logging.getLogger("penstock")
    for other in list(top.handlers):
        top.removeHandler(other)
    top.addHandler(handler)
    top.propagate = False
    for name in ("run", "engine"):
        logging.getLogger(f"penstock.{name}").setLevel(logging.INFO)


def _end_with_parent() -> None:
    """Whoever waits for this process keeps its stdin open; nobody does any more: end, with all that was started."""

    def listen() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        if os.getpgid(0) == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(BROKEN)

    threading.Thread(target=listen, name="penstock-parent", daemon=True).start()


def main() -> int:
    """What the process does."""
    try:
        order = typed.from_json(sys.stdin.buffer.readline(), StepOrder)
    except msgspec.MsgspecError as error:
        print(f"penstock: this is no order: {error}", file=sys.stderr, flush=True)
        return BROKEN
    _end_with_parent()
    _listen(Said(order.step if order.step in order.steps else None, everything=order.step == WHOLE))
    try:
        return run_step(order)
    except PenstockError as error:
        message = f"{error.message} Hint: {error.hint}" if error.hint else error.message
        step = order.step if order.step in order.steps else None
        print(written(OutsideLine(at=now_us(), level=logging.ERROR, message=message, step=step)), flush=True)
        return BROKEN
    except Exception:  # a fault of Penstock's own: whoever looks for it needs the whole of it
        traceback.print_exc(file=sys.stdout)
        return BROKEN


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)
