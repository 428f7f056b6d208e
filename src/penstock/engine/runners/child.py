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
from penstock.core.ports import provide_engine
from penstock.engine.failures import text_of, type_name
from penstock.engine.runners.pipes import dumps, receive, send
from penstock.engine.runners.there import EngineThere, LiveThere
from penstock.engine.runners.trees import kill_tree


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

    def _log(self, line: tuple[int, int, str, str]) -> None:
        send(self._out, ("log", [line]))

    def execute(self, payload: bytes) -> None:
        """Call the function, and send what it returns or raises."""
        try:
            fn, args, kwargs = pickle.loads(payload)
            where = self.ask("where")
            scope = Scope(LiveThere(self.ask, self._log, where), where["key"], where)
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
    engine = EngineThere(server.ask)
    provide_engine(lambda: engine)
    server.serve()


if __name__ == "__main__":
    main()
