"""What the contenders of data share: a clock, the memory of all processes, and when how many changes had come."""

import os
import resource
import sys
from time import monotonic, perf_counter

from common import home, peak_mb, report


def source() -> str:
    """What is to be read: a path, or an address."""
    return os.environ["BENCH_SOURCE"]


def inside(*names: str) -> str:
    """A path in the home of this contender."""
    return os.path.join(home(), *names)


class Watch:
    """Runs from its making to `tell`, which prints the answer of this process."""

    def __init__(self) -> None:
        self._cpu, self._began = cpu_seconds(), perf_counter()

    @property
    def cpu(self) -> float:
        """The CPU time until now."""
        return cpu_seconds() - self._cpu

    def tell(self, **fields: object) -> None:
        """Print how long it took, its CPU time, the largest memory peak of any process, and more.

        A tool whose processes still run tells their CPU time and memory itself, instead of these.
        """
        numbers = {"seconds": perf_counter() - self._began, "cpu_seconds": self.cpu}
        report(**{**numbers, "peak_mb": max(peak_mb(), children_peak_mb()), **fields})


def cpu_seconds() -> float:
    """The CPU time of this process, and of those that it has started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def children_peak_mb() -> float:
    """The largest memory peak of a process that this one has started and that has ended, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6


class Arrivals:
    """When how many changes had come. The clock is one that all processes share."""

    def __init__(self) -> None:
        self.count = 0
        self._lines: list[str] = []

    def add(self, changes: int) -> None:
        """So many more are where they belong."""
        self.count += changes
        self._lines.append(f"{self.count} {monotonic()}\n")

    def save(self) -> None:
        """Leave them where the harness looks."""
        with open(inside("arrivals"), "w", encoding="ascii") as lines:
            lines.writelines(self._lines)
