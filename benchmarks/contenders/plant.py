"""What the topics with a scheduler and workers share: their processes, marks of task bodies, and the four measurements.

A contender's program starts the processes of its tool with `Plant`, says how a run is asked for, and leaves the
measuring to `trigger`, `drain`, `Seen` and `soak`. CPU and memory are read from /proc: these topics need Linux.
"""

import ctypes
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from math import ceil, sqrt
from time import monotonic
from typing import Any
from urllib.request import urlopen

from common import home, report

Ask = Callable[[str], object]
Done = Callable[[], int]
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SUBREAPER = 36
WARM_UPS = 2
LATE_SECONDS = 1.0
SOAK_BATCH = 50
T_95 = {3: 3.18, 5: 2.57, 8: 2.31, 10: 2.23, 15: 2.13, 20: 2.09, 30: 2.04, 50: 2.01, 100: 1.98}


class Plant:
    """The processes of a tool. Orphans are adopted, so that all that they use is found, and all of them are ended."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        signal.signal(signal.SIGTERM, self._stopped)
        self.pid = os.getpid()
        self._patience = 8.0
        self.outside = 0
        """A server that this program did not start, and whose CPU time counts as well: the id of its main process."""

    def __enter__(self) -> "Plant":
        return self

    def __exit__(self, *_: object) -> None:
        """Ask all to end, the eldest first, and end by force what has not done so."""
        for number, patience in ((signal.SIGTERM, self._patience), (signal.SIGKILL, 5.0)):
            deadline = monotonic() + patience
            for pid in descendants(self.pid) if number == signal.SIGKILL else children(self.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            while monotonic() < deadline and descendants(self.pid):
                with suppress(ChildProcessError):
                    os.waitpid(-1, os.WNOHANG)
                time.sleep(0.02)

    def _stopped(self, *_: object) -> None:
        """Leave no process behind when the harness ends this one, which it does not wait long for."""
        self._patience = 0.5
        sys.exit("error: stopped")

    def start(self, *command: str, **variables: str) -> "subprocess.Popen[bytes]":
        """Start a process; what it says goes to a log in the home."""
        with open(os.path.join(home(), "plant.log"), "ab") as log:
            return subprocess.Popen(
                command,
                cwd=home(),
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def cpu_seconds(self) -> float:
        """Return the CPU time that all of them have used so far, dead ones included, without this program's own."""
        mine = _times(self.pid)[2:]
        others = [_times(pid) for pid in descendants(self.pid)]
        others += [_times(pid) for pid in (self.outside, *descendants(self.outside))] if self.outside else []
        return (sum(mine) + sum(sum(each) for each in others)) / TICKS_PER_SECOND

    def memory_kb(self) -> float:
        """Return the resident memory of all that live."""
        return sum(_resident_kb(pid) for pid in descendants(self.pid))


def command(name: str) -> str:
    """Return the path of a command of this environment."""
    return os.path.join(os.path.dirname(sys.executable), name)


def answering(path: str, process: "subprocess.Popen[bytes]", limit: float = 120.0) -> None:
    """Wait until a server on this contender's port answers."""
    url = f"http://127.0.0.1:{os.environ['BENCH_PORT']}{path}"
    deadline = monotonic() + limit
    while monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"error: its server ended with exit code {process.returncode}")
        with suppress(OSError), urlopen(url, timeout=5) as response:
            if response.status == 200:
                return
        time.sleep(0.2)
    sys.exit(f"error: its server did not answer within {limit:.0f} s")


class Marks:
    """Receives what `common.mark` tells, through a named pipe."""

    def __init__(self) -> None:
        path = os.path.join(home(), "marks")
        os.mkfifo(path)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._rest = b""
        self._found: list[tuple[str, float]] = []

    def next(self, limit: float) -> tuple[str, float] | None:
        """Return the next mark and its moment; None when none has come for so many seconds."""
        deadline = monotonic() + limit
        while not self._found:
            if not select.select([self._pipe], [], [], max(0.0, deadline - monotonic()))[0]:
                return None
            *lines, self._rest = (self._rest + os.read(self._pipe, 1 << 16)).split(b"\n")
            for line in lines:
                key, _, moment = line.decode().rpartition(" ")
                self._found.append((key, float(moment)))
        return self._found.pop(0)

    def expect(self, key: str, limit: float) -> float:
        """Return the moment of a mark that has to be the next one."""
        found = self.next(limit)
        if found is None:
            sys.exit(f"error: nothing had begun {limit:.0f} s after it was asked for")
        if found[0] != key:
            sys.exit(f"error: {found[0]} began, and {key} was asked for")
        return found[1]


def trigger(ask: Ask, times: int, *, limit: float = 60.0, pause: float = 0.5) -> None:
    """Measure from asking for a run to the first line of its task; one run after another.

    The pauses between are random, so that a tool which looks for work now and then is met at any moment.
    """
    marks, dice, waits = Marks(), random.Random(1), []
    for number in range(-WARM_UPS, times):
        asked = monotonic()
        ask(str(number))
        waits.append(marks.expect(str(number), limit) - asked)
        time.sleep(pause + dice.random())
    waits = waits[WARM_UPS:]
    report(
        executed=times,
        p50=percentile(waits, 50),
        p95=percentile(waits, 95),
        p99=percentile(waits, 99),
        worst=max(waits),
    )


def drain(plant: Plant, ask: Ask, runs: int, begin: Callable[[], object], done: Done, *, limit: float = 60.0) -> None:
    """Queue runs while nobody takes them, then let them be taken.

    Measured is from the first line of the first run until the last one is on record as completed. Then marks are
    waited for: a run that is executed twice may come late.
    """
    marks, before, started = Marks(), done(), monotonic()
    for number in range(runs):
        ask(str(number))
    queued = monotonic() - started
    begin()
    seen: Counter[str] = Counter()
    found = marks.next(limit)
    if found is None:
        sys.exit(f"error: no run had begun after {limit:.0f} s")
    cpu, first = plant.cpu_seconds(), found[1]
    while found is not None:
        seen[found[0]] += 1
        found = marks.next(limit) if len(seen) < runs else None
    recorded = len(settled(lambda: range(done() - before), runs, every=0.02))
    elapsed, cpu = monotonic() - first, plant.cpu_seconds() - cpu
    while (found := marks.next(LATE_SECONDS)) is not None:
        seen[found[0]] += 1
    report(
        executed=len(seen),
        doubled=sum(seen.values()) - len(seen),
        missing=runs - len(seen),
        recorded=recorded,
        queue_seconds=queued / runs,
        run_seconds=elapsed / runs,
        cpu_seconds=cpu / runs,
        wall_seconds=elapsed,
    )


def settled(look: Callable[[], Any], wanted: int, *, patience: float = 10.0, every: float = 0.2) -> Any:
    """Look until so many are there, or no more have come for so many seconds; return what is there."""
    found, changed = look(), monotonic()
    while len(found) < wanted and monotonic() - changed < patience:
        time.sleep(every)
        now = look()
        if len(now) != len(found):
            found, changed = now, monotonic()
    return found


def idle_share(plant: Plant, seconds: float) -> float:
    """Return the share of one core that is used while nothing is due."""
    cpu, began = plant.cpu_seconds(), monotonic()
    time.sleep(seconds)
    return (plant.cpu_seconds() - cpu) / (monotonic() - began)


class Seen:
    """Looks at a growing number, such as the last position of a table, and keeps when it was seen to have grown."""

    def __init__(self, look: Callable[[], int], every: float = 0.01) -> None:
        self._look = look
        self._every = every
        self._positions: list[int] = []
        self._moments: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Seen":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        last = -1
        while not self._over.wait(self._every):
            found = self._look()
            if found != last:
                last = found
                self._positions.append(found)
                self._moments.append(time.time())

    def lags(self, prefix: str, made: list[tuple[int, float]], expected: int) -> dict[str, float]:
        """Return what is reported of runs: given their positions and the instants they were due."""
        if len(made) != expected:
            sys.exit(f"error: {len(made)} runs were made of the {expected} that were due")
        found = [self._moments[bisect_left(self._positions, position)] - due for position, due in made]
        return {
            f"{prefix}_p50": percentile(found, 50),
            f"{prefix}_p99": percentile(found, 99),
            f"{prefix}_max": max(found),
        }


def soak(plant: Plant, ask: Ask, runs: int, *, limit: float = 60.0) -> None:
    """Execute runs in batches, and read the memory between them, when none is under way.

    The first fifth of the batches is not counted: what is loaded late and caches that fill are no leak. Reported is
    the slope of a straight line through the rest, in KB for 1,000 runs, with its confidence interval of 95 %.
    """
    marks, points, done = Marks(), [], 0
    started = monotonic()
    while done < runs:
        batch = min(SOAK_BATCH, runs - done)
        for number in range(done, done + batch):
            ask(str(number))
        for _ in range(batch):
            if marks.next(limit) is None:
                sys.exit(f"error: a run had not begun after {limit:.0f} s")
        done += batch
        time.sleep(0.5)  # until the processes of the last runs have ended
        points.append((done / 1000, plant.memory_kb()))
    kept = points[len(points) // 5 :]
    slope, margin = regression(kept)
    report(
        executed=done,
        kb_per_1000=slope,
        kb_low=slope - margin,
        kb_high=slope + margin,
        first_mb=kept[0][1] / 1024,
        last_mb=kept[-1][1] / 1024,
        seconds=monotonic() - started,
    )


def regression(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope of the line of least squares, and the half width of its confidence interval of 95 %."""
    if len(points) < 3:
        sys.exit("error: too few points for a slope")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    slope, intercept = statistics.linear_regression(xs, ys)
    middle = statistics.fmean(xs)
    residues = sum((y - intercept - slope * x) ** 2 for x, y in points)
    spread = sum((x - middle) ** 2 for x in xs)
    freedom = len(points) - 2
    factor = next((T_95[known] for known in sorted(T_95, reverse=True) if known <= freedom), 12.71)
    return slope, factor * sqrt(residues / freedom / spread)


def percentile(values: list[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, or adopted."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += [int(each) for each in file.read().split()]
    return found


def descendants(pid: int) -> list[int]:
    """Return all processes that come from a process, without itself."""
    found = children(pid)
    for each in found:
        found += children(each)
    return found


def parent(pid: int) -> int:
    """Return the process that started a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def _times(pid: int) -> tuple[int, int, int, int]:
    """Return a process's CPU time: user and system, its own and that of its children that have ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0, 0, 0, 0
    return int(fields[11]), int(fields[12]), int(fields[13]), int(fields[14])


def _resident_kb(pid: int) -> float:
    with suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("VmRSS"):
                return float(line.split()[1])
    return 0.0
