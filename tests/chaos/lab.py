"""Starts worker processes, waits for them, and tells how they ended."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from tests import patience

ROOT = Path(__file__).resolve().parents[2]
HANGS_AFTER = 90.0
"""Longer than any worker takes on a busy machine; some make 100 MB, or start interpreters of their own."""
until = partial(patience.until, seconds=HANGS_AFTER)


class Ended(NamedTuple):
    """How a worker ended: the exit code (negative for a signal), what it returned or raised, what it printed."""

    code: int
    answer: dict[str, Any]
    errors: str

    @property
    def killed(self) -> bool:
        """SIGKILL ended it."""
        return self.code == -signal.SIGKILL

    @property
    def value(self) -> Any:
        """What it returned."""
        assert "value" in self.answer, f"{self.answer or 'no answer'} (exit {self.code})\n{self.errors}"
        return self.answer["value"]


class Worker(NamedTuple):
    """A process at work."""

    pid: int
    answer: Path
    errors: Path

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def until_stopped(self) -> None:
        """Wait until SIGSTOP has stopped it."""
        until(lambda: state_of_process(self.pid) in ("T", None), "the process stops")
        assert state_of_process(self.pid) == "T", "the process ended before it was stopped"


def state_of_process(pid: int) -> str | None:
    """R, S, T (stopped), ...; None when it is gone or only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else state


class Gate:
    """Lets many processes go at the same moment."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._handle = open(path, "w")  # noqa: SIM115 - closing it is what opens the gate
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def open(self) -> None:
        """Let them go."""
        self._handle.close()


class Lab:
    """Talks to the zygote.

    Args:
        folder: of the workers.
        modules: what the zygote has imported when it forks.
    """

    def __init__(self, folder: Path, modules: Sequence[str] = ("tests.chaos.workers",)) -> None:
        self.folder = folder
        self._numbers = count(1)
        self._live: list[Worker] = []
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        self._zygote = subprocess.Popen(
            [sys.executable, "-W", "error", str(Path(__file__).with_name("zygote.py")), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: value for name, value in environ.items() if not name.startswith("PENSTOCK_")},
        )

    def start(self, work: Callable[..., Any], environ: dict[str, str] | None = None, **kwargs: Any) -> Worker:
        """Fork a worker that calls this function of a test module with arguments that JSON can hold."""
        number = next(self._numbers)
        answer, errors = self.folder / f"{number}.answer", self.folder / f"{number}.errors"
        pid = self._ask(
            do="start",
            call=f"{work.__module__}:{work.__qualname__}",
            kwargs=kwargs,
            environ=environ or {},
            folder=str(self.folder),
            answer=str(answer),
            errors=str(errors),
        )
        worker = Worker(pid, answer, errors)
        self._live.append(worker)
        return worker

    def wait(self, worker: Worker) -> Ended:
        """Wait for its end; a worker that hangs is shown and killed."""
        try:
            code = self._ask(do="wait", pid=worker.pid)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):  # it may end just now
                worker.signal(signal.SIGUSR1)
                select.select([], [], [], 0.5)
                worker.signal(signal.SIGKILL)
            self._read()
            self._live.remove(worker)
            raise AssertionError(f"the worker hangs:\n{worker.errors.read_text()}") from None
        self._live.remove(worker)
        answer = json.loads(worker.answer.read_text()) if worker.answer.exists() else {}
        return Ended(
            code, answer, worker.errors.read_text() if worker.errors.exists() else ""
        )  # killed at once: no file

    def run(self, work: Callable[..., Any], environ: dict[str, str] | None = None, **kwargs: Any) -> Ended:
        """Start, and wait."""
        return self.wait(self.start(work, environ, **kwargs))

    def _ask(self, **request: Any) -> int:
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(request).encode() + b"\n")
        self._zygote.stdin.flush()
        return self._read(HANGS_AFTER)

    def _read(self, seconds: float | None = None) -> int:
        assert self._zygote.stdout is not None
        if not select.select([self._zygote.stdout], [], [], seconds)[0]:
            raise TimeoutError
        line = self._zygote.stdout.readline()
        assert line, "the zygote is gone"
        return int(json.loads(line))

    def rest(self) -> None:
        """Kill what a failed test left behind."""
        for worker in list(self._live):
            with contextlib.suppress(ProcessLookupError):
                worker.signal(signal.SIGKILL)
            self.wait(worker)

    def close(self) -> None:
        """End the zygote."""
        assert self._zygote.stdin is not None
        self.rest()
        self._zygote.stdin.close()
        self._zygote.wait(HANGS_AFTER)
        assert self._zygote.stdout is not None
        self._zygote.stdout.close()
