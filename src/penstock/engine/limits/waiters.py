"""Somebody who wants slots or turns: waits until they are his, and gives the slots back, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.authoring.futures import Latch
from penstock.core.clock import now_us
from penstock.core.context import worker
from penstock.core.errors import LimitTimedOut
from penstock.core.interruptions import Interruption
from penstock.engine.logs import engine_logger
from penstock.engine.signals import exposed, noted, raise_noted

if TYPE_CHECKING:
    from penstock.engine.limits.slots import Slots

_SLICE_SECONDS = 1.0
"""A thread that waits looks up so often: only then an exception that was sent to it arrives."""
_LONG_SECONDS = 30
"""Who has waited so long says so in the log, once."""


class Rate(NamedTuple):
    """Turns of a rate limit that are wanted; `per_second` and `burst` are for one that is not declared."""

    limit: str
    amount: float
    per_second: float | None = None
    burst: int | None = None


class Wish(NamedTuple):
    """What is wanted: slots of these limits, one after the other, and then turns of these rates.

    Attributes:
        most: how many slots a limit has that is not declared; None for no end of them.
    """

    slots: tuple[tuple[str, int], ...] = ()
    rates: tuple[Rate, ...] = ()
    most: int | None = None


class Waiter:
    """One acquisition.

    Attributes:
        live, step: the run and the step it is for.
        wish: what is wanted.
        deadline: when to give up (microseconds); None for never.
        tickets: drawn so far, for the first slots of the wish.
        has: how many of them are admitted.
        turn: when its turns have come; None while they are not reserved.
        in_line: the doorman asks for it, and nobody else.
        granted: everything was had.
        left: it wants nothing any more.
        lost: its slots were given to somebody else, and its run was told.
        told: that it waits for long.
        ready: granted, or there is an `error`, or there is no use in waiting any longer.
    """

    __slots__ = (
        "_abandoned", "_slots", "_tell", "deadline", "error", "granted", "has", "in_line", "left", "live", "lost",
        "ready", "since", "step", "tickets", "told", "turn", "wish",
    )  # fmt: skip

    def __init__(
        self,
        slots: Slots,
        live: Any,
        step: str | None,
        wish: Wish,
        deadline: int | None,
        abandoned: Callable[[], bool],
    ) -> None:
        self._slots = slots
        self._abandoned = abandoned
        self._tell: list[Callable[[], None]] = []
        self.live = live
        self.step = step
        self.wish = wish
        self.deadline = deadline
        self.tickets: list[int] = []
        self.has = 0
        self.turn: int | None = None
        self.in_line = self.granted = self.left = self.lost = self.told = False
        self.since = now_us()
        self.ready = Latch()
        self.error: BaseException | None = None

    @property
    def remote(self) -> bool:
        """Its journal is across a network."""
        return bool(self.live.remote)

    def gone(self) -> bool:
        """There is no use in waiting any longer."""
        return self.left or self.live.interrupted.is_set() or self._abandoned()

    def check(self) -> None:
        """Raise what there is to raise: an error, or that the run or the step is over."""
        if self.error is not None:
            raise self.error
        self.live.check_interrupted()
        if self._abandoned():
            raise Interruption(f"{self.step or 'The run'} has ended, and does not wait for anything any more.")

    def forget(self, ticket: int) -> None:
        """This one is gone."""
        with suppress(ValueError):
            self.tickets.remove(ticket)

    def tear_off(self) -> list[int]:
        """Its tickets, which it has no more. Whoever asks at the same time gets others, or none."""
        taken: list[int] = []
        while self.tickets:
            try:
                taken.append(self.tickets.pop())
            except IndexError:
                break
        return taken

    def settle(self, error: BaseException | None = None, granted: bool = False) -> None:
        """For the doorman: the waiting is over."""
        self.error = error
        self.granted = granted
        self.in_line = False
        self.ready.set()
        self._tell_all()
        if self.left:  # and what was drawn since then, nobody else gives back
            self.granted = False
            self._slots.give_back(self)

    def when_ready(self, tell: Callable[[], None]) -> None:
        """Call this once, from any thread, when the waiting is over."""
        self._tell.append(tell)
        if self.ready.is_set():
            self._tell_all()

    def _tell_all(self) -> None:
        while True:
            try:
                tell = self._tell.pop()
            except IndexError:
                return
            tell()

    def wait(self) -> None:
        """Wait in this thread, which gives up its place in a pool meanwhile.

        Raises:
            LimitTimedOut: it is too late.
            Interruption: the run is to stop.
        """
        seat = getattr(worker, "seat", None)
        if seat is None:
            self._wait()
            return
        seat.leave()
        try:
            self._wait()
        finally:
            seat.rejoin(at_once=not self.granted)

    @exposed
    def _wait(self) -> None:
        if noted:
            raise_noted()
        while not self.ready.wait(self._patience()):
            self._look_up()
        self.check()

    async def wait_async(self) -> None:
        """Wait while the event loop goes on; see `wait`."""
        import asyncio

        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def wake() -> None:
            if not over.done():
                over.set_result(None)

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake)

        seat = getattr(worker, "seat", None)
        if seat is not None:
            seat.leave()
        try:
            self.when_ready(tell)
            while not self.ready.is_set():
                self._look_up()
                await asyncio.wait([over], timeout=self._patience())
        finally:
            if seat is not None:
                seat.rejoin(at_once=True)
        self.check()

    def _patience(self) -> float:
        if self.deadline is None:
            return _SLICE_SECONDS
        return min(_SLICE_SECONDS, max(0.0, (self.deadline - now_us()) / 1_000_000))

    def _look_up(self) -> None:
        self.check()
        if self.deadline is not None and now_us() >= self.deadline and not self.ready.is_set():
            raise self.too_late()
        if not self.told and now_us() - self.since >= _LONG_SECONDS * 1_000_000:
            self.told = True
            self._tell_of_waiting()

    def _tell_of_waiting(self) -> None:
        """So that two that wait for each other are not left in silence."""
        if self.has < len(self.wish.slots):
            limit = self.wish.slots[self.has][0]
            engine_logger().info(
                "Has waited %d s for a slot of %r; who holds them: penstock limits show %s",
                _LONG_SECONDS, limit, limit,
            )  # fmt: skip

    def too_late(self) -> LimitTimedOut:
        """The error of a wait in vain."""
        waited = max(0, now_us() - self.since) / 1_000_000
        if self.has < len(self.wish.slots):
            limit, occupy = self.wish.slots[self.has]
            what = f"a slot of {limit!r}" if occupy == 1 else f"{occupy} slots of {limit!r}"
            hint = f"`penstock limits show {limit}` tells who holds them; wait longer, or allow more"
        else:
            named = ", ".join(repr(rate.limit) for rate in self.wish.rates)
            what, hint = f"a turn of {named}", "its turn comes later than that; wait longer, or allow a higher rate"
        return LimitTimedOut(f"{what[0].upper()}{what[1:]} did not come in time (waited {waited:.3g} s).", hint=hint)

    def verify(self) -> None:
        """Ask the journal whether everything is still held.

        Raises:
            SlotLost: it is not, and the run is to stop.
        """
        self.check()
        if not self._slots.holds(self):
            raise self._slots.lose(self)

    def leave(self) -> BaseException | None:
        """Give back what it has, and want nothing more; returns why the run is to stop, if it is."""
        self.left = True
        lost = self._slots.give_back(self)
        if self.in_line:
            self._slots.doorman.wake()  # which may have drawn another ticket just now
        return lost
