"""Metrics of how things are at this moment: what waits, who works, what this process needs."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path

from penstock.core.clock import now_us
from penstock.core.ports import Journal
from penstock.core.release import VERSION
from penstock.core.states import FINAL_WORDS
from penstock.observability.metrics import Registry

_MOST = 10_000
_SILENT_US = 60_000_000
_BEGAN = time.time()


class Gauges:
    """How a journal and this process are.

    Args:
        journal: what is asked.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def text(self) -> str:
        """All of them, as of now, for Prometheus."""
        registry = Registry()
        registry.gauge("penstock_info", "Which Penstock this is.", ("version",)).set(1, version=VERSION)
        self._runs(registry)
        self._pools(registry)
        self._workers(registry)
        self._rest(registry)
        of_process(registry)
        return registry.text()

    def _runs(self, registry: Registry) -> None:
        runs = registry.gauge("penstock_runs", f"Runs that have not ended; at most {_MOST:,} are counted.", ("state",))
        for state, count in self._journal.run_counts(now_us(), _MOST).items():
            if state not in FINAL_WORDS:
                runs.set(count, state=state)

    def _pools(self, registry: Registry) -> None:
        waiting = registry.gauge("penstock_pool_waiting_runs", "Runs that are due and not taken.", ("pool",))
        running = registry.gauge("penstock_pool_running_runs", "Runs that a worker holds.", ("pool",))
        slots = registry.gauge(
            "penstock_pool_slots", "Runs that a pool may have at once, where that is limited.", ("pool",)
        )
        paused = registry.gauge("penstock_pool_paused", "Whether a pool is paused.", ("pool",))
        for pool in self._journal.pools():
            waiting.set(pool.waiting, pool=pool.name)
            running.set(pool.running, pool=pool.name)
            paused.set(pool.paused, pool=pool.name)
            if pool.slots is not None:
                slots.set(pool.slots, pool=pool.name)

    def _workers(self, registry: Registry) -> None:
        workers = registry.gauge("penstock_workers", "Workers heard of within a minute.", ("pool",))
        slots = registry.gauge("penstock_worker_slots", "Runs that these may execute at once.", ("pool",))
        busy = registry.gauge("penstock_worker_busy_slots", "Runs that these execute.", ("pool",))
        for worker in self._journal.workers():
            if now_us() - worker.seen_at < _SILENT_US:
                workers.add(1, pool=worker.pool)
                slots.add(worker.slots, pool=worker.pool)
                busy.add(worker.running, pool=worker.pool)

    def _rest(self, registry: Registry) -> None:
        due = self._journal.next_schedule()
        lag = registry.gauge("penstock_schedule_lag_seconds", "For how long the longest due schedule has waited.")
        lag.set(max(0.0, (now_us() - due) / 1e6) if due is not None else 0.0)
        if self._journal.kind == "sqlite":
            files = [Path(f"{self._journal.location}{end}") for end in ("", "-wal")]
            size = sum(file.stat().st_size for file in files if file.exists())
            registry.gauge("penstock_journal_bytes", "What the journal's files take, with SQLite.").set(size)


def of_process(registry: Registry) -> None:
    """What this process needs, under the names that every Prometheus client gives it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = registry.counter("process_cpu_seconds_total", "Processor time of this process.")
    seconds.add(used.ru_utime + used.ru_stime)
    registry.gauge("process_start_time_seconds", "When this process began, since 1970.").set(_BEGAN)
    registry.gauge("process_threads", "Threads of this process.").set(threading.active_count())
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        registry.gauge("process_resident_memory_bytes", "Memory of this process.").set(pages * resource.getpagesize())
        registry.gauge("process_open_fds", "Open files of this process.").set(len(os.listdir("/proc/self/fd")))
        registry.gauge("process_max_fds", "Files that it may open.").set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
