"""Tasks in processes of their own: true parallelism, and an end that is certain.

Each worker thread of the runner owns one child process (`python -m penstock.engine.runners.child`, with this Python)
in a process group of its own, and talks to it over a pair of pipes. The function and its arguments go there as a
pickle (cloudpickle, so that functions of scripts and closures work); the result, log lines and calls of nested tasks
come back. All recording stays in the flow's process. A task that is out of time, or cancelled, is killed together
with everything it started; the next task gets a new child.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from penstock.core.context import current_scope
from penstock.core.errors import CrashedRun
from penstock.core.interruptions import Interruption, RunCancelled
from penstock.core.ports import RemoteTaskRunner, current_engine
from penstock.engine.runners.favours import Favours
from penstock.engine.runners.pipes import dumps, receive, send
from penstock.engine.runners.there import where
from penstock.engine.runners.threads import ThreadPoolTaskRunner
from penstock.engine.runners.trees import kill_tree

_here = threading.local()


class ProcessPoolTaskRunner(ThreadPoolTaskRunner, RemoteTaskRunner):
    """Runs submitted tasks in child processes.

    Arguments and results are pickled. Tasks that a task calls run in the same child, and are recorded like any other.

    Args:
        max_workers: how many processes at most; default one for each processor.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        super().__init__(max_workers or os.cpu_count() or 1)
        self._children: set[Child] = set()
        self._guard = threading.Lock()

    def invoke(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float | None,
        late: Any,
    ) -> Any:
        """See `TaskRunner.invoke`."""
        serving = getattr(_here, "serving", None)
        if serving is not None:
            return serving.call(fn, args, kwargs, seconds, late)
        child = self._child()
        _here.serving = child
        try:
            return child.call(fn, args, kwargs, seconds, late)
        finally:
            _here.serving = None
            if not child.alive:
                self._drop(child)

    def _child(self) -> Child:
        child: Child | None = getattr(_here, "child", None)
        if child is None or not child.alive:
            child = _here.child = Child()
            with self._guard:
                self._children.add(child)
        return child

    def _drop(self, child: Child) -> None:
        child.kill()
        with self._guard:
            self._children.discard(child)

    def stop(self, kill: bool = False) -> None:
        """See `TaskRunner.stop`."""
        with self._guard:
            children, self._children = self._children, set()
        for child in children:
            child.kill() if kill else child.close()
        super().stop(kill)


class _Late(Interruption):
    """A time limit has passed: of the call that runs, or of one around it."""

    def __init__(self, late: Any) -> None:
        super().__init__("The task around this step ran out of time.")
        self.late = late


class Child:
    """One child process and the pipes to it."""

    def __init__(self) -> None:
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        environment = {**os.environ, "PENSTOCK_CHILD": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock.engine.runners.child", str(to_child), str(from_child)],
            pass_fds=(to_child, from_child),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
        )
        os.close(to_child)
        os.close(from_child)
        self.alive = True
        self._killed = False
        self._limits: list[tuple[float, Any]] = []
        self._favours = Favours()
        send(self._out, ("hello", list(sys.path), sys.argv[:1], os.getcwd()))

    def call(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float | None,
        late: Any,
    ) -> Any:
        """Execute there, and serve what it asks for meanwhile."""
        payload = dumps((fn, args, kwargs), "The arguments of a task in a process")
        self._limits.append((math.inf if seconds is None else time.monotonic() + seconds, late))
        before = self._favours.mark()
        try:
            send(self._out, ("call", payload))
            while True:
                self._wait()
                kind, *rest = receive(self._in)
                if kind == "done":
                    return pickle.loads(rest[0])
                if kind == "raised":
                    raise error_of(rest[0], rest[1])
                self._serve(kind, rest)
        except _Late as expired:
            if expired.late is late:
                raise late from None
            raise
        except (EOFError, BrokenPipeError, ConnectionError):
            raise self._vanished() from None
        finally:
            self._limits.pop()
            self._favours.leave_since(before)

    def _wait(self) -> None:
        """Until it says something, or the nearest limit of the calls under way has passed."""
        limit, late = min(self._limits, key=lambda entry: entry[0])
        if limit == math.inf:
            return
        left = limit - time.monotonic()
        if left <= 0 or not select.select([self._in], [], [], left)[0]:
            self._too_late(late)

    def _too_late(self, late: Any) -> NoReturn:
        self.kill()
        self._killed = False
        raise _Late(late)

    def _vanished(self) -> BaseException:
        self.alive = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what it has left behind
        code = self.process.wait()
        if self._killed:
            return RunCancelled("The run was cancelled; its process tasks were killed.")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return CrashedRun(f"The process of the task ended with {how} before it gave a result.")

    def _serve(self, kind: str, rest: list[Any]) -> None:
        """What a task asks of the flow's process: to keep log lines, to run another task, to tell where it is."""
        scope = current_scope.get()
        if kind == "log" and scope is not None:
            log_again(rest[0])
        elif kind == "where":
            info = where(scope)
            send(self._out, ("answer", dumps(info, "The run's context")))
        elif kind == "task":
            try:
                task, args, kwargs, wait_for = pickle.loads(rest[0])
                state = current_engine().call_task(task, args, kwargs, wait_for, True)
                answer = dumps(state, "The state of a nested task")
            except Exception as error:
                send(self._out, ("refused", dumps(error, "An error")))
            else:
                send(self._out, ("answer", answer))
        elif kind == "favour":
            self._oblige(*pickle.loads(rest[0]))

    def _oblige(self, kind: str, what: Any) -> None:
        limit, late = min(self._limits, key=lambda entry: entry[0])
        began = time.monotonic()
        try:
            answer = self._favours.hold(what, limit) if kind == "hold" else getattr(self._favours, kind)(what)
        except Exception as error:
            send(self._out, ("refused", dumps(error, "An error")))
            return
        except BaseException:  # the child still waits for its answer, and is of no use any more
            self.kill()
            raise
        finally:
            if kind == "wait":  # the limits stand still meanwhile
                waited = time.monotonic() - began
                self._limits = [(deadline + waited, each) for deadline, each in self._limits]
        if kind == "hold" and answer is None:
            self._too_late(late)
        send(self._out, ("answer", dumps(answer, "An answer")))

    def close(self) -> None:
        """Let it end by itself: it does when its pipe closes."""
        self.alive = False
        for handle in (self._out, self._in):
            with contextlib.suppress(OSError):
                os.close(handle)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it and everything it has started, now."""
        self._killed = True
        self.alive = False
        if self.process.poll() is None:
            kill_tree(self.process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)


def log_again(lines: Iterable[tuple[int, int, str, str]]) -> None:
    """Log what was logged elsewhere: when (microseconds), level, logger and message."""
    for at, level, logger, message in lines:
        if not logging.getLogger(logger).isEnabledFor(level):
            continue
        record = logging.makeLogRecord({"name": logger, "levelno": level, "msg": message})
        record.levelname, record.created = logging.getLevelName(level), at / 1_000_000
        logging.getLogger(logger).handle(record)


def error_of(data: bytes, text: str) -> BaseException:
    """The exception that a task has raised elsewhere."""
    try:
        error = pickle.loads(data)
        if isinstance(error, SystemExit):  # some packages have it pickled without its code
            return SystemExit(*error.args)
        if isinstance(error, BaseException):
            return error
    except Exception:
        pass
    return CrashedRun(f"The task raised an exception that cannot be brought back: {text}")
