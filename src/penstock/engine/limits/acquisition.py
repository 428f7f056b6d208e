"""Getting what is asked of limits, for the run and the step around, in a thread or on an event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from penstock.core.clock import now_us
from penstock.core.context import Scope, current_scope
from penstock.core.errors import MissingContextError, WrongProcess
from penstock.core.interruptions import Interruption
from penstock.engine.limits.waiters import Waiter, Wish
from penstock.engine.limits.wishes import Request, held_here, wish_of
from penstock.engine.places import engine_code


def take(request: Request, scope: Scope | None = None) -> Any:
    """Get what is asked for, in this thread; whoever gets it calls its `leave`.

    Args:
        request: what.
        scope: of the step it is for, where that is executed in another process; else this code's.
    """
    scope = scope or _scope(request)
    away = getattr(scope.live, "hold", None)
    if away is not None:  # this is the process of a task; its run is another's
        return away(request)
    slots = _slots(scope)
    waiter: Waiter | None = None
    try:
        with engine_code():
            waiter = _waiter(scope, wish_of(slots.journal, request, held_here()), request.timeout_seconds)
            granted = slots.enter(waiter)
        if not granted:
            waiter.wait()
    except BaseException:
        if waiter is not None:
            leave(waiter)
        raise
    return waiter


async def take_async(request: Request) -> Any:
    """Get what is asked for, while the event loop goes on; see `take`."""
    import asyncio

    scope = _scope(request)
    away = getattr(scope.live, "hold", None)
    if away is not None:
        return away(request)
    slots = _slots(scope)
    here = held_here()
    waiter: Waiter | None = None
    try:
        wish = await off_the_loop(scope.live.remote, lambda: wish_of(slots.journal, request, here))
        waiter = _waiter(scope, wish, request.timeout_seconds)
        if not await off_the_loop(scope.live.remote, functools.partial(slots.enter, waiter)):
            await waiter.wait_async()
    except BaseException:
        if waiter is not None and scope.live.remote:
            asyncio.get_running_loop().run_in_executor(None, waiter.leave)
        elif waiter is not None:
            waiter.leave()
        raise
    return waiter


async def off_the_loop(remote: bool, work: Callable[[], Any]) -> Any:
    """On another thread, where the journal is across a network."""
    if not remote:
        return work()
    import asyncio

    return await asyncio.to_thread(work)


def leave(held: Any) -> None:
    """Give back, whatever breaks in; and stop where what was held had been lost."""
    try:
        with engine_code():
            lost = held.leave()
    except BaseException:
        held.leave()
        raise
    if lost is not None:
        raise lost


def _slots(scope: Scope) -> Any:
    live = scope.live
    if live.recorder.state.ended:
        raise MissingContextError(
            f"Run {live.id} has ended, and holds nothing any more.",
            hint="hooks that need a slot or a turn belong to tasks, or call them at the end of the flow itself",
        )
    return live.engine.slots


def _waiter(scope: Scope, wish: Wish, timeout_seconds: float | None) -> Waiter:
    live, key = scope.live, scope.key
    deadline = None if timeout_seconds is None else now_us() + int(timeout_seconds * 1_000_000)

    def abandoned() -> bool:
        return scope.closed or (key is not None and key not in live.recorder.running)

    return Waiter(live.engine.slots, live, key, wish, deadline, abandoned)


def _scope(request: Request) -> Scope:
    name = "rate_limit" if request.rate else "concurrency"
    scope = current_scope.get()
    if scope is None:
        raise MissingContextError(
            f"{name}() was called outside a run, and only a live run can hold anything.",
            hint="call it inside a flow or a task",
        )
    if scope.foreign:
        raise WrongProcess()
    if scope.closed:
        raise Interruption(f"{scope.key} has ended; {name}() from its abandoned thread is refused.")
    return scope
