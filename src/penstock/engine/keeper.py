"""The keeper: one thread that looks after the runs of a process.

It extends leases, so that nobody takes a living run over; notices when somebody asked for a run to stop, or took it
over; and writes starts of steps and log lines that no commit has carried along.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from penstock.core.errors import PenstockError
from penstock.core.events import now_us
from penstock.core.interruptions import Interruption, RunCancelled, RunFenced
from penstock.engine.live import Host, LiveRun
from penstock.engine.signals import noted, remind
from penstock.engine.together import look

_FLUSH_SECONDS = 0.1
_LOOK_SECONDS = 0.5
_AGAIN_SECONDS = 2.0


class Keeper:
    """Looks after live runs until there are none."""

    def __init__(self, engine: Host) -> None:
        self._engine = engine
        self._runs: dict[str, LiveRun] = {}
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._extended_us = now_us()
        self.checks: list[Callable[[bool], None]] = []
        """Called when the leases have been extended; with True if they had expired before."""

    def add(self, live: LiveRun) -> None:
        """Look after a run from now on."""
        with self._lock:
            if not self._runs:
                self._extended_us = now_us()
            self._runs[live.id] = live
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep, name="penstock-keeper", daemon=True)
                self._thread.start()
        self._wake.set()

    def unwinds(self, live: LiveRun) -> None:
        """This run is on its way out: interrupting it again would only lose the record of its end."""
        try:
            with self._lock:
                live.unwinding = True
        except BaseException:  # the interruption itself, sent while this thread waited for the lock
            with self._lock:
                live.unwinding = True
            if live.interruption is None:
                raise

    def remove(self, live: LiveRun) -> None:
        """This run has ended."""
        try:
            with self._lock:
                self._runs.pop(live.id, None)
        except BaseException:
            with self._lock:
                self._runs.pop(live.id, None)
            if live.root.interruption is None:
                raise

    def keeps(self, run_id: str) -> bool:
        """True when this run is executed by this process."""
        with self._lock:
            return run_id in self._runs

    def lapsed(self) -> bool:
        """Whether the leases of this process may have expired, since they were extended the last time."""
        return now_us() - self._extended_us > self._engine.lease_us

    def stop(self, live: LiveRun, reason: Interruption) -> None:
        """End a run here as if it were somebody else's: nothing more is recorded, and it can be resumed."""
        live.recorder.fail(reason)
        self._interrupt(live.root, reason)

    def runs(self) -> list[LiveRun]:
        """The runs it looks after."""
        with self._lock:
            return list(self._runs.values())

    def _keep(self) -> None:
        looked = extended = time.monotonic()
        tried_us = now_us()
        while True:
            runs = self.runs()
            if not runs:
                self._wake.wait()
                self._wake.clear()
                looked = extended = time.monotonic()
                tried_us = now_us()
            time.sleep(_FLUSH_SECONDS)
            runs = self.runs()
            now = time.monotonic()
            try:
                self._flush(runs)
                if now - looked >= _LOOK_SECONDS:
                    looked = now
                    self._look(runs)
                third = self._engine.lease_us // 3
                if now - extended >= third / 1_000_000 or now_us() - tried_us >= third:  # also when the machine slept
                    extended, tried_us = now, now_us()
                    self._extend(runs)
            except (PenstockError, Interruption):
                continue

    def _flush(self, runs: list[LiveRun]) -> None:
        older_than = now_us() - int(_FLUSH_SECONDS * 1_000_000)
        for live in runs:
            remind(live)
            try:
                live.recorder.flush(older_than)
            except RunFenced as fenced:
                self._interrupt(live.root, fenced)

    def _look(self, runs: list[LiveRun]) -> None:
        asked = self._engine.journal.requested([live.id for live in runs])
        for live in runs:
            what = asked.get(live.id)
            if what == "cancel":
                self._interrupt(live.root, RunCancelled(self._why_cancelled(live)))
            elif what == "pause" and live.recorder.state.pausing is None:
                self._take_in(live)

    def _why_cancelled(self, live: LiveRun) -> str:
        """What whoever asked for it has said; it is to stop, whether or not that can be read."""
        with suppress(Exception, Interruption):
            look(live.recorder)
        return live.recorder.state.cancel_reason or "The run was cancelled on request."

    def _take_in(self, live: LiveRun) -> None:
        """See what was appended to a run by others; its flow comes upon it at its next step."""
        try:
            look(live.recorder)
        except RunFenced as fenced:
            self._interrupt(live.root, fenced)

    def _extend(self, runs: list[LiveRun]) -> None:
        lapsed, now = self.lapsed(), now_us()
        until = now + self._engine.lease_us
        held = self._engine.journal.extend_leases([live.id for live in runs], self._engine.owner, until)
        still = {live.id for live in self.runs()}
        for live in runs:
            if live.id not in held and live.id in still and not live.recorder.state.ended:
                self._interrupt(
                    live.root, RunFenced(f"Run {live.id} was taken over by another process; this one stops.")
                )
        for check in self.checks:
            check(lapsed)
        self._extended_us = now

    def _interrupt(self, root: LiveRun, reason: Interruption) -> None:
        now = time.monotonic()
        with self._lock:
            if root.id in self._runs and not root.unwinding and now - root.told >= _AGAIN_SECONDS:
                root.told = now
                root.interruption = root.interruption or reason
                root.interrupted.set()
                for live in [live for live in self._runs.values() if live.root is root]:
                    live.stop_runner(kill=True)
                wake(root)


def wake(live: LiveRun) -> None:
    """Raise the interruption where the run's own code is: on its loop, in the main thread, or in another."""
    loop = live.loop
    if loop is not None and not loop.is_closed() and live.cancel_async is not None:
        loop.call_soon_threadsafe(live.cancel_async)
    elif live.thread == threading.main_thread().ident and hasattr(signal, "pthread_kill"):
        if not noted:  # else it was sent already, and the next one would be taken for impatience
            signal.pthread_kill(live.thread, live.wake_signal)
    elif live.place is not None:
        live.place.interrupt(type(live.interruption or Interruption()))
