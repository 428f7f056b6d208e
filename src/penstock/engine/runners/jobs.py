"""Submitted steps: queued when what they need has ended, executed once, settled always."""

from __future__ import annotations

import os
import threading
import traceback
from contextvars import copy_context
from typing import Any

from penstock.authoring.futures import PenstockFuture
from penstock.core.context import current_transaction
from penstock.core.extras import LateModule
from penstock.core.interruptions import Interruption
from penstock.core.ports import RemoteTaskRunner
from penstock.core.states import State, StateType
from penstock.engine.arguments import futures_in
from penstock.engine.outcome import Parked, Path, adrive, drive
from penstock.engine.runners.threads import loop_runner
from penstock.engine.tasks import StepCall, aborted_message, recorded_state, run_task

_around: Any = LateModule("penstock.engine.transactions.around")
_halts: Any = LateModule("penstock.engine.waiting.halts")


class Job:
    """One submitted step.

    Where it has to wait for the limit of a tag, it needs no thread meanwhile: it is handed to the runner again.
    """

    __slots__ = ("_begun", "_context", "_path", "_waiting", "call", "future")

    def __init__(self, call: StepCall, future: PenstockFuture[Any]) -> None:
        self.call = call
        self.future = future
        self._context = copy_context()
        self._waiting = 0
        self._begun = False
        self._path: Path[State] | None = None
        call.future = future

    def enqueue(self) -> None:
        """Hand over to the runner as soon as every upstream future has ended."""
        call = self.call
        upstream = [f for f in futures_in((call.args, call.kwargs, call.wait_for)) if not f.done()]
        if not upstream:
            self._ready()
            return
        self._waiting = len(upstream)
        lock = threading.Lock()

        def one_less(_: Any) -> None:
            with lock:
                self._waiting -= 1
                ready = self._waiting == 0
            if ready:
                self._ready()

        for future in upstream:
            future.add_done_callback(one_less)

    def _ready(self) -> None:
        self.call.live.ensure_runner().submit(self)

    def __call__(self) -> None:
        """Execute."""
        self.future.begin()
        waiter = self._context.run(self._execute)
        if waiter is not None:
            waiter.when_ready(self._go_on)

    def _go_on(self) -> None:
        live = self.call.live
        if self._begun and self.call.runner is not None:
            self.call.runner.submit_first(self)
        elif self.future.done() or live.interrupted.is_set():
            self.abandon()
        else:
            live.ensure_runner().submit_first(self)

    def abandon(self) -> None:
        """It will not be executed (any further): the runner was stopped."""
        if self._begun and self.call.runner is not None:  # it has to record how it ends
            self.call.runner.submit_first(self)
            return
        if self._path is not None:
            self._context.run(self._path.close)
        self.call.live.pending.discard(self.future)
        self.future.settle(State(StateType.CANCELLED, None, "The run stopped before this step began.").recorded())

    def _execute(self) -> Any:
        """To the end; or until it has to wait for a limit: then for what is returned."""
        call = self.call
        try:
            if call.task.isasync and call.runner is None:
                state = loop_runner().run(adrive(run_task(call)))
            else:
                self._path = self._path or run_task(call)
                state = drive(self._path, may_park=True)
        except Parked as parked:
            self._begun = parked.begun
            return parked.waiter
        except Interruption as error:
            state = State(StateType.CANCELLED, None, error.reason, error)
        except BaseException as error:
            _leave_if_forked(call, error)
            state = State(StateType.CRASHED, None, aborted_message(error), error)
        self._path = None
        call.live.pending.discard(self.future)
        self.future.settle(state)
        return None


def _leave_if_forked(call: StepCall, error: BaseException) -> None:
    """A child that the task has forked ends here: the worker's loop is its parent's."""
    if os.getpid() == call.live.engine.pid:
        return
    if isinstance(error, SystemExit):
        os._exit(error.code if isinstance(error.code, int) else 0 if error.code is None else 1)
    traceback.print_exception(error)
    os._exit(1)


def submit(call: StepCall) -> PenstockFuture[Any]:
    """A future for this step: settled already when its end is on record, queued otherwise."""
    live = call.live
    future: PenstockFuture[Any] = PenstockFuture(call.id, call.step.key)
    known = recorded_state(call) if live.replay is not None else None
    transaction = current_transaction.get()
    if isinstance(known, State) and transaction is None and not call.task.on_commit_hooks:
        future.settle(known)
        return future
    call.halts = live.root.recorder.state.pausing is not None
    if call.halts:
        _halts.hold_back(live, call.scope)
    if transaction is not None:
        _around.submitted(future)
    live.pending.add(future)
    runner = live.ensure_runner()
    if isinstance(runner, RemoteTaskRunner):
        call.runner = runner
    Job(call, future).enqueue()
    return future
