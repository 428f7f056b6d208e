"""What every contender shares: a clock for the task bodies, a side-effect file, one line of JSON.

Kept free of costly imports, because fresh processes are what some topics measure.
"""

import os
import sys
from array import array
from time import monotonic, perf_counter

TICKS = array("d")
STEPS = 10
FATAL_STEP = 5


def tick() -> None:
    """Note that a task body ran; the distance between ticks is what one task costs."""
    TICKS.append(perf_counter())


def number(position: int) -> int:
    """Return a whole-number argument of the command line."""
    return int(sys.argv[position])


def home() -> str:
    """Return the folder this contender may write to."""
    return os.environ["BENCH_HOME"]


def effect(step: int) -> None:
    """Leave a mark outside the process, and die without warning in the fatal step of a first attempt."""
    with open(os.path.join(home(), "effects"), "a", encoding="ascii") as marks:
        marks.write(f"{step}\n")
    if step == FATAL_STEP and "die" in sys.argv:
        import signal

        os.kill(os.getpid(), signal.SIGKILL)


def mark(key: object) -> None:
    """Tell a waiting `plant.Marks` that a task body has begun, and when. Clocks of processes are the same clock."""
    began = monotonic()
    pipe = os.open(os.path.join(home(), "marks"), os.O_WRONLY)
    os.write(pipe, f"{key} {began}\n".encode())  # so short a line is written whole
    os.close(pipe)


def report(**fields: object) -> None:
    """Print the answer of this process."""
    import json

    print(json.dumps(fields), flush=True)


def report_ticks(**fields: object) -> None:
    """Print what the ticks say: tasks executed, seconds a task, and the memory peak of this process in MB."""
    import statistics
    from itertools import pairwise

    peak = peak_mb()  # before this report takes memory of its own
    gaps = [later - earlier for earlier, later in pairwise(TICKS)]
    report(
        executed=len(TICKS),
        task_seconds=(TICKS[-1] - TICKS[0]) / len(gaps),
        task_seconds_p50=statistics.median(gaps),
        peak_mb=peak,
        **fields,
    )


def peak_mb() -> float:
    """Return the peak resident memory of this process in MB.

    Linux's VmHWM is asked before ru_maxrss, which counts the parent that the process was forked from as well.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
