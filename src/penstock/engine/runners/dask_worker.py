"""On a worker of a Dask cluster: executes tasks for a flow that runs elsewhere.

Tasks come in packs. What they give is saved here: small values go back with the receipt, large ones go into the result
store, and stay in the worker's memory besides, for other tasks. What a task asks of its flow's process goes through a
queue of the scheduler, for workers do not reach that process themselves.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import pickle
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import GeneratorType
from typing import Any

from penstock.core.context import Scope, current_scope, worker
from penstock.core.errors import TaskTimedOut
from penstock.core.events import Saved
from penstock.core.extras import require
from penstock.core.interruptions import RunCancelled
from penstock.core.ports import ResultStore, provide_engine
from penstock.core.states import State
from penstock.engine.deadlines import call_within, limits_around
from penstock.engine.failures import text_of, type_name
from penstock.engine.logs import JournalHandler
from penstock.engine.places import Place, call_user_code
from penstock.engine.runners.dask_orders import Head, Job, Receipt
from penstock.engine.runners.dask_values import arriving
from penstock.engine.runners.pipes import dumps
from penstock.engine.runners.there import EngineThere, LiveThere

_LOOK_SECONDS = 0.25
_ASK_SECONDS = 1.0
_LONGEST_SECONDS = 0.2
_SMALL = 16_384
_prepared: list[bool] = []
_free: list[str] = []
"""Queues for answers that nobody uses."""
_lock = threading.Lock()


_LEFT = Receipt("left")


def run_pack(blob: bytes, held: Iterable[Any] = ()) -> bytes:
    """Execute a pack of tasks, one after the other; gives the pickled receipts."""
    head, jobs = pickle.loads(blob)
    _prepare(head.paths)
    distributed = require("distributed", "dask")
    here = _Here(distributed.get_worker(), distributed.worker.thread_state.key, head)
    values = dict(zip(head.keys, held, strict=True))
    receipts: list[Receipt] = []
    end = time.monotonic() + _LONGEST_SECONDS
    with here:
        for job in jobs:
            left = receipts and time.monotonic() > end
            receipts.append(_LEFT if left else here.execute(job, values))
    return pickle.dumps(receipts, protocol=5)


class _Here:
    """One pack under way."""

    def __init__(self, dask_worker: Any, key: Any, head: Head) -> None:
        self.worker = dask_worker
        self.head = head
        self.key = key
        self.results = _results_of(head.results)
        self.run = _unpickled(head.run)
        self.place = Place()
        self.stopped = False

    def __enter__(self) -> None:
        worker.place = self.place
        _watch.add(self)

    def __exit__(self, *_: object) -> None:
        _watch.remove(self)
        worker.place = None

    def gone(self) -> bool:
        """Nobody wants it any more: the run was cancelled, or its process has died."""
        task = self.worker.state.tasks.get(self.key)
        return task is None or task.state == "cancelled"

    def execute(self, job: Job, values: dict[str, Any]) -> Receipt:
        """Execute one task."""
        if self.stopped:
            return Receipt("stopped")
        lines: list[tuple[int, int, str, str]] = []
        where = {**self.run, **job.facts}
        live = LiveThere(functools.partial(self._ask, job.number, lines), lines.append, where)
        token = current_scope.set(Scope(live, where["key"], where))
        began = time.perf_counter()
        try:
            receipt = self._receipt(job, values)
        finally:
            current_scope.reset(token)
        return receipt._replace(seconds=time.perf_counter() - began, lines=tuple(lines))

    def _receipt(self, job: Job, values: dict[str, Any]) -> Receipt:
        late = TaskTimedOut()
        try:
            fn = _unpickled_function(self.head.functions[job.function])
            given = values[job.arguments] if isinstance(job.arguments, str) else job.arguments
            args, kwargs = arriving(values, self.results, lambda: pickle.loads(given))
            value = _call(fn, args, kwargs, job.seconds, late)
            if type(value) is GeneratorType:
                value = list(value)
            if type(value) is State:
                return Receipt("plain", data=dumps(value, "The result of a task on a cluster"))
            if job.saves or _size(value) <= _SMALL:
                saved, data = self.results.save(value)
            else:
                saved, data = Saved("none"), None
            return Receipt("kept", saved, data, self._keep(value) if data is None else None)
        except BaseException as error:
            if error is late:
                return Receipt("late")
            try:
                raised = pickle.dumps(error)
                pickle.loads(raised)
            except Exception:
                raised = b""
            return Receipt("raised", data=raised, text=f"{type_name(error)}: {text_of(error)}")

    def _keep(self, value: Any) -> str | None:
        """Let a value stay here, for as long as the flow's process may need it."""
        key = f"penstock-value-{uuid.uuid4().hex}"

        async def keep() -> str | None:
            if self.gone():
                return None
            nbytes = self.worker.update_data({key: value})["nbytes"]
            where = {key: [self.worker.address]}
            await self.worker.scheduler.update_data(who_has=where, nbytes=nbytes, client=self.head.client)
            return key

        kept: str | None = self._on_loop(keep)
        return kept

    def _on_loop(self, coroutine: Callable[..., Any], **arguments: Any) -> Any:
        return require("distributed", "dask").utils.sync(self.worker.loop, coroutine, **arguments)

    def _ask(self, number: int, lines: list[tuple[int, int, str, str]], kind: str, payload: bytes) -> Any:
        """Ask the flow's process, and execute what it sends meanwhile. The limits around stand still."""
        scheduler, answers = self.worker.scheduler, self._queue()
        held = limits_around()
        for limit in held:
            limit.hold()
        try:
            asked = (number, answers, kind, payload)
            while True:
                said = pickle.dumps(asked, protocol=5)
                self._on_loop(scheduler.queue_put, name=self.head.asks, data=said, client=answers)
                answer, data = self._answer(answers)
                if answer != "call":
                    _free.append(answers)  # not where it was broken off: an answer may still come
                if answer == "answer":
                    return pickle.loads(data)
                if answer == "refused":
                    raise pickle.loads(data)
                function, job = pickle.loads(data)
                inner = _Here(self.worker, self.key, self.head._replace(functions=(function,)))
                inner.run = self.run
                receipt = inner.execute(job, {})
                asked = (number, answers, "done", pickle.dumps(receipt, protocol=5))
        finally:
            for limit in held:
                limit.go_on()

    def _queue(self) -> str:
        """A queue of the scheduler for answers, which nobody else uses meanwhile."""
        try:
            return _free.pop()
        except IndexError:
            name = f"penstock-answers-{uuid.uuid4().hex}"
            self._on_loop(self.worker.scheduler.queue_create, name=name, client=name)
            return name

    def _answer(self, answers: str) -> tuple[str, bytes]:
        rpc = self.worker.scheduler.queue_get(name=answers, client=answers, timeout=None, batch=False)
        asking = asyncio.run_coroutine_threadsafe(rpc, self.worker.loop.asyncio_loop)
        while True:
            try:
                found: tuple[str, bytes] = pickle.loads(asking.result(_ASK_SECONDS)["value"])
                return found
            except TimeoutError:
                if self.gone():
                    asking.cancel()
                    raise RunCancelled("Nobody waits for this task any more.") from None


def _size(value: Any) -> int:
    """About how many bytes a value takes."""
    estimate = getattr(value, "estimated_size", None)  # of polars, which Dask does not know
    return int(estimate() if callable(estimate) else require("dask.sizeof", "dask").sizeof(value))


def _call(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float | None, late: TaskTimedOut) -> Any:
    if inspect.iscoroutinefunction(fn) or getattr(fn, "isasync", False):
        awaited = functools.partial(asyncio.run, _awaited(fn, args, kwargs, seconds, late))
        if asyncio._get_running_loop() is None:
            return call_user_code(awaited, (), {})
        with ThreadPoolExecutor(1) as beside:  # an async task has called another one
            return beside.submit(copy_context().run, awaited).result()
    if seconds is None:
        return call_user_code(fn, args, kwargs)
    return call_within(seconds, late, fn, *args, **kwargs)


async def _awaited(
    fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float | None, late: TaskTimedOut
) -> Any:
    try:
        async with asyncio.timeout(seconds) as timer:
            return await fn(*args, **kwargs)
    except TimeoutError:
        if timer.expired():
            raise late from None
        raise


class _Watch:
    """Stops tasks that nobody wants any more: a thread that looks at the packs under way."""

    def __init__(self) -> None:
        self._packs: set[_Here] = set()
        self._lock = threading.Lock()
        self._work_to_do = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, pack: _Here) -> None:
        """A pack begins."""
        with self._lock:
            self._packs.add(pack)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, name="penstock-watch", daemon=True)
                self._thread.start()
        self._work_to_do.set()

    def remove(self, pack: _Here) -> None:
        """A pack has ended."""
        with self._lock:
            self._packs.discard(pack)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                packs = [*self._packs]
                if not packs:
                    self._work_to_do.clear()
            for pack in packs:
                if pack.gone():
                    pack.stopped = True
                    pack.place.interrupt(RunCancelled)
            if not packs:
                self._work_to_do.wait()


_watch = _Watch()
_engine = EngineThere()


def _prepare(paths: tuple[str, ...]) -> None:
    """Once for a process: log lines are kept, nested tasks ask, modules of the project are found."""
    with _lock:
        sys.path += [path for path in paths if path not in sys.path and os.path.isdir(path)]
        if _prepared:
            return
        runs = logging.getLogger("penstock.run")
        if not any(isinstance(handler, JournalHandler) for handler in runs.handlers):
            logging.getLogger("penstock").setLevel(logging.DEBUG)
            runs.addHandler(JournalHandler())
            runs.propagate = False
        others: list[Any] = []
        others.append(provide_engine(lambda: _engine if _is_here() else others[0]()))
        _prepared.append(True)


def _is_here() -> bool:
    scope = current_scope.get()
    return scope is not None and isinstance(scope.live, LiveThere)


@functools.lru_cache(maxsize=64)
def _unpickled_function(data: bytes) -> Any:
    return pickle.loads(data)


@functools.lru_cache(maxsize=64)
def _unpickled(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = pickle.loads(data)
    return found


@functools.lru_cache(maxsize=64)
def _results_of(data: bytes) -> ResultStore:
    found: ResultStore = pickle.loads(data)
    return found
