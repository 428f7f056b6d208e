"""Where a worker's processes come from: it has imported a flow once, and forks a process for each of its runs.

It has one thread, so that forking it is safe; code that starts threads while it is imported is noticed, and then each
run is a fresh process instead. Over its socket it is told which runs to begin, and tells when they are over.
A process may execute several runs, one after another, where the worker wants that; one that a run has left changed
executes no other.
It ends when the worker is gone; the runs that are under way go on, as they hold their own leases.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Any

from penstock.app import import_journal, load_settings
from penstock.authoring.loading import load_flow
from penstock.core.errors import ParameterError, PenstockError
from penstock.core.events import (
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunStarted,
    Step,
    TaskCompleted,
    TaskStarted,
    decode_kind,
    now_us,
)
from penstock.core.ids import new_run_id
from penstock.engine.failures import text_of, type_name
from penstock.journal.memory import MemoryJournal
from penstock.orchestrator.execution import Executor
from penstock.orchestrator.orders import Begin, Begun, Ended, NotReady, Ready, encode, read_order

_CHUNK = 1 << 16
_BEGAN = time.time() - 0.1


class _Child:
    """A process of this one.

    Attributes:
        run_id: the run it executes; None while it waits for another.
        channel: over which it is given another run; None where it executes only one.
    """

    def __init__(self, run_id: str, channel: socket.socket | None) -> None:
        self.run_id: str | None = run_id
        self.channel = channel


class Nursery:
    """The loop of the process.

    Args:
        channel: to the worker.
        entrypoint: where the flow is.
        runs: how many runs a process may execute, one after another.
    """

    def __init__(self, channel: socket.socket, entrypoint: str, runs: int = 1) -> None:
        self._channel = channel
        self._entrypoint = entrypoint
        self._runs = runs
        self._children: dict[int, _Child] = {}
        self._idle: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._heard = b""

    def serve(self) -> None:
        """Import the flow, then begin runs until the worker is gone."""
        try:
            warm(load_flow(self._entrypoint))
        except PenstockError as error:
            self._tell(NotReady(str(error)))
            return
        except BaseException as error:
            self._tell(NotReady(f"{type_name(error)}: {text_of(error)}"))
            return
        alone = threading.active_count() == 1 and _threads() <= 1
        self._tell(Ready(alone, sources()))
        gc.collect()
        gc.freeze()  # what is shared with the children stays shared
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        wake, woken = socket.socketpair()
        for end in (wake, woken, self._channel):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._channel, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = [key.data for key, _ in self._selector.select() if key.data is not None]
            with contextlib.suppress(BlockingIOError):
                woken.recv(4096)
            for pid in ready:
                self._done(pid)
            if not self._orders():
                return
            self._reap()

    def _orders(self) -> bool:
        while True:
            try:
                heard = self._channel.recv(_CHUNK)
            except BlockingIOError:
                return True
            except ConnectionError:  # the worker was killed
                return False
            if not heard:
                return False
            *lines, self._heard = (self._heard + heard).split(b"\n")
            for line in lines:
                self._begin(read_order(line))

    def _begin(self, order: Begin) -> None:
        while self._idle:
            pid = self._idle.pop()
            child = self._children[pid]
            assert child.channel is not None
            try:
                child.channel.sendall(encode(order) + b"\n")
            except OSError:  # it has died; see `_reap`
                continue
            child.run_id = order.run_id
            self._tell(Begun(order.run_id, pid))
            return
        ours, theirs = socket.socketpair() if self._runs > 1 else (None, None)
        pid = os.fork()
        if pid == 0:
            if ours is not None:
                ours.close()
            self._child(order, theirs)
        if ours is not None and theirs is not None:
            theirs.close()
            self._selector.register(ours, selectors.EVENT_READ, pid)
        self._children[pid] = _Child(order.run_id, ours)
        self._tell(Begun(order.run_id, pid))

    def _child(self, order: Begin, channel: socket.socket | None) -> None:
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._channel.close()
            self._selector.close()
            for child in self._children.values():
                if child.channel is not None:
                    child.channel.close()
            code = _execute(self._entrypoint, order, channel, self._runs)
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
        except PenstockError as error:
            print(f"penstock: {error}", file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _done(self, pid: int) -> None:
        """A process has executed its run and may have another; or it has closed its end."""
        child = self._children.get(pid)
        if child is None or child.channel is None:
            return
        try:
            told = child.channel.recv(1)
        except OSError:
            told = b""
        if told and child.run_id is not None:
            run_id, child.run_id = child.run_id, None
            self._idle.append(pid)
            self._tell(Ended(run_id, pid, told[0]))
        elif not told:
            self._forget(pid, child)

    def _forget(self, pid: int, child: _Child) -> None:
        if pid in self._idle:
            self._idle.remove(pid)
        if child.channel is not None:
            self._selector.unregister(child.channel)
            child.channel.close()
            child.channel = None

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                continue
            if child.channel is not None:
                self._done(pid)  # it may have said that the run is over
            self._forget(pid, child)
            del self._children[pid]
            if child.run_id is not None:
                self._tell(Ended(child.run_id, pid, os.waitstatus_to_exitcode(status)))

    def _tell(self, message: Any) -> None:
        self._channel.setblocking(True)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(encode(message) + b"\n")
        self._channel.setblocking(False)


def _execute(entrypoint: str, order: Begin, channel: socket.socket | None, runs: int) -> int:
    """Execute a run, and those that follow on the channel; returns the exit code."""
    with Executor(entrypoint) as executor, contextlib.ExitStack() as stack:
        code = executor.run(order.run_id, order.takes_over)
        if channel is None:
            return code
        lines = stack.enter_context(channel.makefile("rb"))
        for _ in range(runs - 1):
            if not executor.spotless():
                break
            sys.stdout.flush()
            sys.stderr.flush()
            channel.sendall(bytes([code]))
            line = lines.readline()
            if not line:
                return 0
            order = read_order(line)
            code = executor.run(order.run_id, order.takes_over)
        return code


def warm(flow: Any) -> None:
    """Have ready what every run needs, so that its process need not make it: decoders, statements, the signature."""
    for kind in (RunCreated, RunClaimed, RunStarted, TaskStarted, TaskCompleted, RunCompleted):
        decode_kind(kind.stored, kind.version)
    import_journal(load_settings())
    with contextlib.suppress(ParameterError):
        flow.validated(flow.parameters((), {}))
    journal = MemoryJournal()
    run_id = new_run_id()
    try:
        now = now_us()
        created = RunCreated(at=now, flow=flow.name, name="warm", due_at=now, pool="warm", entrypoint="")
        journal.append(run_id, 0, [Record(created, b"{}"), Record(RunStarted(at=now, owner="", lease_until=now))])
        step = Step("warm#1", "warm", "warm", 1)
        journal.append(run_id, 2, [Record(TaskCompleted(at=now, step=step)), Record(RunCompleted(at=now))])
        journal.run(run_id)
        list(journal.load(run_id))
    finally:
        journal.close()


def sources() -> dict[str, float]:
    """The files of the user's own modules, and when each was changed last; 0 where that was after this process began.

    Such a file may have been changed after it was read.
    """
    import sysconfig

    found = {}
    here = os.path.dirname(os.path.dirname(__file__))
    library = tuple({os.path.join(os.path.realpath(path), "") for path in (here, *sysconfig.get_paths().values())})
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not file or not file.endswith(".py"):
            continue
        path = os.path.realpath(file)
        if not path.startswith(library):
            with contextlib.suppress(OSError):
                changed = os.stat(path).st_mtime
                found[path] = changed if changed < _BEGAN else 0.0
    return found


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def main(arguments: list[str]) -> int:
    """`nursery FD ENTRYPOINT RUNS` serves; `nursery run RUN_ID ENTRYPOINT OWNER` executes one run."""
    if arguments[0] == "run":
        with Executor(arguments[2]) as executor:
            return executor.run(arguments[1], arguments[3])
    for number in (signal.SIGINT, signal.SIGTERM):  # the worker handles them; when it is gone, so is this
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(arguments[0])) as channel:
        Nursery(channel, arguments[1], int(arguments[2])).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
