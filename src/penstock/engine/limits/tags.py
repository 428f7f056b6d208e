"""Limits of tags: an attempt of a tagged task waits for slots and turns of the limits `tag:NAME` that are declared."""

from __future__ import annotations

from contextlib import suppress
from contextvars import Token
from typing import TYPE_CHECKING

from penstock.core.model import Limit
from penstock.engine.limits.slots import TAG
from penstock.engine.limits.waiters import Rate, Waiter, Wish
from penstock.engine.limits.wishes import Holding, around
from penstock.engine.outcome import Path, Wait
from penstock.engine.waits import Commit

if TYPE_CHECKING:
    from penstock.engine.tasks import StepCall


class InLine(Wait):
    """Wait until a waiter has what it wants."""

    __slots__ = ("waiter",)

    parks = True

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter

    def block(self) -> None:
        """In this thread, which gives up its place in a pool."""
        self.waiter.wait()

    async def pause(self) -> None:
        """Awaited on the loop."""
        await self.waiter.wait_async()


class Admission:
    """What one attempt of a step holds because of its tags."""

    __slots__ = ("_remote", "_token", "_waiter")

    def __init__(self, waiter: Waiter, remote: bool) -> None:
        self._waiter = waiter
        self._remote = remote
        held = tuple(Holding(limit, occupy, 0, None) for limit, occupy in waiter.wish.slots)
        self._token: Token[tuple[Holding, ...]] | None = around.set(around.get() + held) if held else None

    def end(self) -> Path[None]:
        """The attempt has ended: others may have the slots."""
        self._forget()
        lost = yield Commit(self._remote, self._waiter.leave)
        if lost is not None:
            raise lost

    def drop(self) -> None:
        """Give back, without saying more: something stronger ended the attempt."""
        self._forget()
        self._waiter.leave()

    def _forget(self) -> None:
        if self._token is not None:
            with suppress(ValueError):  # a coroutine that is cleared away, in another context
                around.reset(self._token)
            self._token = None


def admission(call: StepCall) -> Path[Admission | None]:
    """Wait for the limits of a step's tags; None where none of them is limited."""
    live = call.live
    slots = live.engine.slots
    if slots.stale():
        yield Commit(live.remote, slots.refresh)
    wish = _wish(call.step.tags, slots.tagged) if slots.tagged else None
    if wish is None:
        return None
    waiter = Waiter(slots, live, call.step.key, wish, None, call.abandoned)
    try:
        if not (yield Commit(live.remote, slots.enter, waiter)):
            yield InLine(waiter)
            waiter.check()
        return Admission(waiter, live.remote)
    except BaseException:
        waiter.leave()
        raise


def _wish(tags: tuple[str, ...], limits: dict[str, Limit]) -> Wish | None:
    """Slots that the code around does not hold already: a step that was called by their holder runs under them."""
    mine = [limits[TAG + tag] for tag in tags if TAG + tag in limits]
    if not mine:
        return None
    held = {holding.limit for holding in around.get()}
    slots = tuple((limit.name, 1) for limit in mine if limit.slots is not None and limit.name not in held)
    rates = tuple(Rate(limit.name, 1) for limit in mine if limit.per_second is not None)
    return Wish(slots, rates) if slots or rates else None
