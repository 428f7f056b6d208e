"""The other end of `processes`: executes tasks for a flow that runs in the parent process.

It ends, with all it has started, as soon as the parent is gone: a watcher sees the pipe close.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import pickle
import queue
import signal
import sys
import threading
from functools import partial
from typing import Any

from penstock.core.context import Scope, current_scope
from penstock.core.errors import MissingContextError
from penstock.core.ports import provide_engine
from penstock.core.states import State
from penstock.engine.failures import text_of, type_name
from penstock.engine.live import FlowRun
from penstock.engine.runners.pipes import dumps, receive, send
from penstock.engine.runners.trees import kill_tree


class _Recorder:
    """Stands where the recorder is: log lines go to the parent."""

    def __init__(self, out: int, run_id: str) -> None:
        self._out = out
        self.run_id = run_id

    def log(self, line: Any) -> None:
        send(self._out, ("log", [(line.at, line.level, line.logger, line.message)]))


class _Live:
    """Stands where the live run is."""

    def __init__(self, server: _Server, out: int, where: dict[str, Any]) -> None:
        self.id = where["run_id"]
        self.where = where
        self.alone = where["alone"]
        self.info = FlowRun(**where["run"])
        self.recorder = _Recorder(out, self.id)
        self._server = server

    def hold(self, request: Any) -> Any:
        """Slots or turns: the parent gets and holds them, for its run."""
        from penstock.engine.runners.favours import Borrowed

        return Borrowed(self.ask, self.ask("hold", request))

    def ask(self, kind: str, what: Any) -> Any:
        """Ask the parent for something that it does for its run."""
        return self._server.ask("favour", dumps((kind, what), "What a task in a process asks for"))


class _ChildEngine:
    """Nested tasks: recorded by the parent, executed here."""

    def __init__(self, server: _Server) -> None:
        self._server = server

    def call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        state = self._server.ask("task", dumps((task, args, kwargs, wait_for), "A nested task"))
        if task.isasync:
            return _answer(state, return_state)
        return state if return_state else state.result()

    def submit_task(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Any:
        raise MissingContextError(
            f"{task.name}.submit() was called inside a task that runs in a process.",
            hint="call it directly, or submit it from the flow",
        )

    def call_flow(
        self, flow: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        raise MissingContextError(
            f"The flow {flow.name!r} was called inside a task that runs in a process.",
            hint="call it from the flow",
        )

    def call_wait(self, ask: Any, awaited: bool | None = None) -> Any:
        scope = current_scope.get()
        if scope is None:
            raise MissingContextError(f"{ask.name}() was called outside a task.", hint="call it inside the task")
        value = scope.live.ask("wait", ask)
        return _awaited(value) if (asyncio._get_running_loop() if awaited is None else awaited) else value


async def _awaited(value: Any) -> Any:
    return value


async def _answer(state: State, return_state: bool) -> Any:
    return state if return_state else state.result()


class _Server:
    def __init__(self, incoming: int, outgoing: int) -> None:
        self._out = outgoing
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(incoming,), daemon=True).start()

    def _listen(self, incoming: int) -> None:
        try:
            while True:
                self._inbox.put(receive(incoming))
        except (EOFError, OSError):
            kill_tree(os.getpid(), signal.SIGKILL)
            os._exit(1)

    def ask(self, kind: str, payload: Any = None) -> Any:
        """Ask the parent, and execute what it sends meanwhile."""
        send(self._out, (kind, payload))
        while True:
            message, data, *_ = self._inbox.get()
            if message == "call":
                self.execute(data)
            elif message == "refused":
                raise pickle.loads(data)
            else:
                return pickle.loads(data)

    def execute(self, payload: bytes) -> None:
        """Call the function, and send what it returns or raises."""
        try:
            fn, args, kwargs = pickle.loads(payload)
            where = self.ask("where")
            scope = Scope(_Live(self, self._out, where), where["key"], where)
            token = current_scope.set(scope)
            try:
                value = fn(*args, **kwargs)
                if inspect.iscoroutine(value):
                    value = asyncio.run(value)
            finally:
                current_scope.reset(token)
            answer: tuple[Any, ...] = ("done", dumps(value, "The result of a task in a process"))
        except BaseException as error:
            try:
                data = pickle.dumps(error)
                pickle.loads(data)
            except Exception:
                data = b""
            answer = ("raised", data, f"{type_name(error)}: {text_of(error)}")
        send(self._out, answer)

    def serve(self) -> None:
        """Execute calls until the parent is gone."""
        while True:
            kind, *rest = self._inbox.get()
            if kind == "hello":
                sys.path[:] = rest[0]
                sys.argv[:1] = rest[1]
                os.chdir(rest[2])
            else:
                self.execute(rest[0])


def _close(handle: int) -> None:
    """What a task forks must not hold the pipes open: the parent would wait for it."""
    with contextlib.suppress(OSError):
        os.close(handle)


def main() -> None:
    """Serve the parent that started this process."""
    from penstock.engine.logs import JournalHandler

    logging.getLogger("penstock").setLevel(logging.DEBUG)
    logging.getLogger("penstock.run").addHandler(JournalHandler())
    handles = int(sys.argv[1]), int(sys.argv[2])
    for handle in handles:
        os.set_inheritable(handle, False)
        os.register_at_fork(after_in_child=partial(_close, handle))
    server = _Server(*handles)
    provide_engine(lambda: _ChildEngine(server))
    server.serve()


if __name__ == "__main__":
    main()
