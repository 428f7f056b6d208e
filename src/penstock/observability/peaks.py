"""The most memory that this process had."""

from __future__ import annotations

import resource
import sys
import threading
import tracemalloc

_LOOK_SECONDS = 0.02


class Peak:
    """The most from now until `ended`.

    The kernel keeps the most since the process began. Where that grows meanwhile, it is the answer, exactly. Where it
    does not, the process had more at some time before; then memory is what was seen every 20 ms.
    """

    def __init__(self) -> None:
        self._before = _highest()
        self._began = self._seen = _now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="penstock-memory", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self._seen = max(self._seen, _now())

    def ended(self) -> tuple[int, int]:
        """The most, and how much more that is than at the beginning (bytes)."""
        self._stop.set()
        self._thread.join()
        highest = _highest()
        most = highest if highest > self._before else max(self._seen, _now())
        return most, max(0, most - self._began)


class Traced:
    """The most memory of Python objects that are made from now until `ended`.

    Tracing is begun where nobody traces yet, and ended then.
    """

    _lock = threading.Lock()
    _users = 0
    _ours = False

    def __init__(self) -> None:
        with Traced._lock:
            Traced._users += 1
            if not tracemalloc.is_tracing():
                tracemalloc.start()
                Traced._ours = True
            if Traced._users == 1 and Traced._ours:
                tracemalloc.reset_peak()
            self._began = tracemalloc.get_traced_memory()[0]

    def ended(self) -> int:
        """The most (bytes)."""
        with Traced._lock:
            most = tracemalloc.get_traced_memory()[1] - self._began if tracemalloc.is_tracing() else 0
            Traced._users -= 1
            if Traced._users == 0 and Traced._ours:
                tracemalloc.stop()
                Traced._ours = False
        return max(0, most)


def _highest() -> int:
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def _now() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:  # no such file here: what is known is the most so far
        return _highest()
