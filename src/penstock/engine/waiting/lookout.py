"""Waits that a thread or an event loop is in, and the one thread that wakes them when something may have changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from penstock.authoring.futures import Latch
from penstock.core.clock import Clock, clock, now_us
from penstock.core.context import Scope, worker
from penstock.core.errors import PenstockError
from penstock.core.interruptions import Interruption
from penstock.core.ports import Journal, Watch
from penstock.engine.outcome import Wait
from penstock.engine.signals import exposed, noted, raise_noted
from penstock.engine.together import look

_LOOK_SECONDS = 0.5
_GAP_SECONDS = 0.02
_IDLE_SECONDS = 5.0


class Held(Wait):
    """One wait. It is over for whoever is in it when the time has come, or when it is woken, to look what is new.

    Attributes:
        live, scope, key: the run, where it is called from, and the step that waits.
        until: when it is over anyway (microseconds); None for never.
        asks: an answer ends it.
        leaves: tells whether its process is not needed any more; asked from the lookout's thread.
    """

    __slots__ = ("_gate", "_tell", "asks", "key", "leaves", "live", "scope", "until")

    def __init__(
        self, live: Any, scope: Scope, key: str, until: int | None, asks: bool, leaves: Callable[[], bool]
    ) -> None:
        self.live = live
        self.scope = scope
        self.key = key
        self.until = until
        self.asks = asks
        self.leaves = leaves
        self._gate = Latch()
        self._tell: Callable[[], None] | None = None

    def arm(self) -> None:
        """From now on, being woken is not missed."""
        self._gate = Latch()

    def wake(self) -> None:
        """Let whoever waits look what is new; from any thread."""
        self._gate.set()
        tell = self._tell
        if tell is not None:
            tell()

    def abandoned(self) -> bool:
        """The step around it has ended, though its code still runs."""
        scope, running = self.scope, self.live.recorder.running
        return scope.closed or (scope.key is not None and scope.key not in running)

    def stirs(self) -> bool:
        """Whether there is something to look at."""
        recorder = self.live.recorder
        if self.live.interrupted.is_set() or recorder.fault is not None or self.abandoned():
            return True
        if self.until is not None and now_us() >= self.until:
            return True
        return self.key in recorder.answers or self.leaves()

    def _left(self) -> float | None:
        return None if self.until is None else max(0.0, (self.until - now_us()) / 1_000_000)

    def block(self) -> None:
        """Wait in this thread, which gives up its place in a pool meanwhile."""
        seat = getattr(worker, "seat", None)
        if seat is None:
            self._block()
            return
        seat.leave()
        try:
            self._block()
        finally:
            seat.rejoin(at_once=self.live.interrupted.is_set())

    @exposed
    def _block(self) -> None:
        if noted:
            raise_noted()
        gate: Any = self._gate
        clock().wait(gate, self._left())

    async def pause(self) -> None:
        """Wait while the event loop goes on."""
        import asyncio

        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def settle() -> None:
            if not over.done():
                over.set_result(None)

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle)

        gate: Any = self._gate
        self._tell = tell
        left = self._left()
        seat = getattr(worker, "seat", None)
        if seat is not None:
            seat.leave()
        try:
            if gate.is_set():
                return
            if type(clock()) is not Clock and left is not None:  # a clock of a test: only it knows when time is up
                threading.Thread(target=_ring_after, args=(gate, left, tell), daemon=True).start()
                left = None
            await asyncio.wait([over], timeout=left)
        finally:
            self._tell = None
            if seat is not None:
                seat.rejoin(at_once=True)


def _ring_after(gate: Any, seconds: float, tell: Callable[[], None]) -> None:
    clock().wait(gate, seconds)
    tell()


class Lookout:
    """Wakes those who wait, from a thread of its own while there are any.

    It watches the journal for answers, and looks twice a second for what nobody tells: that the clock was set, that
    the run is to stop, or that nothing else is under way in a run that a worker executes.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waits: list[Held] = []
        self._lock = threading.Lock()
        self._at_work = False
        self._busy = 0.0
        self._watch: Watch | None = None

    def add(self, held: Held) -> None:
        """Wake this one from now on."""
        with self._lock:
            self._waits.append(held)
            if not self._at_work:
                self._at_work, self._busy = True, time.monotonic()
                threading.Thread(target=self._serve, name="penstock-lookout", daemon=True).start()
                return
        watch = self._watch
        if watch is not None:
            watch.wake()

    def remove(self, held: Held) -> None:
        """It is over."""
        with self._lock, suppress(ValueError):
            self._waits.remove(held)

    def _serve(self) -> None:
        watch: Watch | None = None
        try:
            with suppress(OSError, PenstockError):
                watch = self._watch = self._journal.watch()
            while self._goes_on():
                self._look(list(self._waits))
                if watch is None:
                    time.sleep(_LOOK_SECONDS)
                elif watch.wait(_LOOK_SECONDS):
                    time.sleep(_GAP_SECONDS)  # whatever else happens at this moment is seen by the same look
        finally:
            if watch is not None:
                watch.close()

    def _goes_on(self) -> bool:
        """Somebody waits, or did a moment ago."""
        with self._lock:
            now = time.monotonic()
            if self._waits:
                self._busy = now
            elif now - self._busy >= _IDLE_SECONDS:
                self._at_work, self._watch = False, None
            return self._at_work

    def _look(self, waits: list[Held]) -> None:
        for recorder in {id(each.live.recorder): each.live.recorder for each in waits if each.asks}.values():
            with suppress(Exception, Interruption):  # whoever waits comes upon it, and says so
                look(recorder)
        for held in waits:
            if held.stirs():
                held.wake()
