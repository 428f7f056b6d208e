"""The same counting in processes of this machine: threads of one process stand in each other's way.

They are worth their start for large files only. Each is a Python of its own, which ends with this one; a stretch whose
process is killed is counted by another one.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from penstock.core.errors import PenstockError, SourceUnavailable
from penstock.core.packed import compression_of
from penstock.engine.runners.pipes import receive, send
from penstock.processing.logs.stretches import Counted

LARGE = 256 << 20
"""Files of so many bytes in all are worth other processes."""

_TRIES = 2
_BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from penstock.processing.logs.over_processes import attend; attend()"


def worth(files: Sequence[str]) -> bool:
    """Whether there is so much to read, all of it in plain files, that processes are worth their start."""
    if not sys.executable:
        return False
    size = 0
    for path in files:
        with contextlib.suppress(OSError):
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                return False
            size += found.st_size
    return size >= LARGE and not any(_packed(path) for path in files)


def _packed(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return compression_of(file.read(4)) != "none"
    except OSError:
        return True  # whoever reads it, says why it cannot be read


class Helpers:
    """Processes that count; see `stretches.Hands`.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "penstock-logs")
        self._idle = SimpleQueue[_Helper]()
        self._made = [_Helper() for _ in range(count)]
        for helper in self._made:
            self._idle.put(helper)

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        """See `Hands.submit`."""
        return self._pool.submit(self._do, work, args)

    def _do(self, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        # What was asked for earlier has been begun earlier, so that waiting for it ends.
        known = [arg.result() if isinstance(arg, Future) else arg for arg in args]
        helper = self._idle.get()
        try:
            return helper.do(work, known)
        finally:
            self._idle.put(helper)

    def result(self, path: str, asked: Future[list[Counted]]) -> list[Counted]:
        """See `Hands.result`."""
        try:
            return asked.result()
        except EOFError:
            hint = "where memory is short, a smaller chunk_size takes less"
            told = f"The processes that read {path} died, {_TRIES} in a row."
            raise SourceUnavailable(told, hint=hint) from None

    def close(self, waiting: Sequence[Future[Any]]) -> None:
        """See `Hands.close`."""
        for asked in waiting:
            asked.cancel()
        for helper in self._made:
            helper.stop()
        self._pool.shutdown()
        for helper in self._made:
            helper.end()


class _Helper:
    """One process, started when it is needed, and again when it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()
        self._closed = False

    def do(self, work: Callable[..., Any], args: Sequence[Any]) -> Any:
        """Have work done there.

        Raises:
            EOFError: the process was killed, each time.
        """
        for _ in range(_TRIES):
            try:
                talk = self._there()
                send(talk[0], (work, tuple(args)))
                good, answer = receive(talk[1])
            except (OSError, EOFError):
                self.end()
                continue
            if good:
                return answer
            raise answer
        raise EOFError

    def _there(self) -> tuple[int, int]:
        """Where to write to it, and to read from it."""
        with self._guard:
            if self._closed:
                raise EOFError
            process = self._process = self._process or _started()
            assert process.stdin is not None
            assert process.stdout is not None
            return process.stdin.fileno(), process.stdout.fileno()

    def end(self) -> None:
        """Kill it, and leave nothing of it open."""
        with self._guard:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def stop(self) -> None:
        """Kill it, whatever it does; nothing can be asked of it any more."""
        with self._guard:
            self._closed = True
            if self._process is not None:
                self._process.kill()  # whoever waits for an answer, waits no more


def _started() -> subprocess.Popen[bytes]:
    one = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", _BEGIN, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **one},
        process_group=0,  # Ctrl-C is for the process it belongs to, which decides
    )


def attend() -> None:
    """In a process of its own: do what comes in, until nothing can come any more."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what is printed is no answer
    while True:
        try:
            work, args = receive(0)
        except EOFError:
            return
        try:
            done = (True, work(*args))
        except PenstockError as error:
            done = (False, error)
        except Exception as error:
            done = (False, error.with_traceback(None))
        send(answers, done)
