"""Limits on how much happens at once, or in a second: over all runs, processes and machines of one journal."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import Token
from types import TracebackType
from typing import Any, Literal, TypeVar

from penstock.core.context import current_scope
from penstock.core.errors import BadLimit, NotThereYet
from penstock.engine.limits.acquisition import leave, off_the_loop, take, take_async
from penstock.engine.limits.wishes import (
    Holding,
    Request,
    around,
    check_rate,
    checked_count,
    checked_names,
    checked_seconds,
    current_task,
)
from penstock.engine.signals import noted, raise_noted, shielded

F = TypeVar("F", bound=Callable[..., Any])


class Slot(int):
    """What `concurrency` gives: a fencing token.

    Of two that ever held the same slot, the later one has the higher number. So whatever is written to can refuse a
    writer that was taken for dead, lost its slot, and comes back.

    Attributes:
        tickets: the number for each limit; the slot itself is the one that was drawn last.
    """

    tickets: dict[str, int]
    _verify: Callable[[], None]

    def check(self) -> None:
        """Ask the journal whether the slot is still held.

        Raises:
            Interruption: it is not, and this run is to stop.
        """
        self._verify()


class concurrency:
    """Hold slots of limits inside a `with` or `async with` block, in a flow or a task.

    Slots are given in the order in which they were asked for, and come back when the block is left, in whatever way:
    also when its process is killed. With several names they are taken one after the other, in the order of the names.

    Args:
        names: of one or several limits. One that is not declared holds nobody back (and says so in the log).
        occupy: how many slots of each.
        timeout_seconds: how long to wait; None for as long as it takes.
        max_retries: Prefect's; use timeout_seconds.
        lease_duration: Prefect's, and not needed: a slot lasts as long as its run is alive.
        strict: a limit that is not declared is an error.
        holder: Prefect's, and not needed: the journal knows which run and step hold a slot.
        raise_on_lease_renewal_failure: Prefect's, and not needed: who has lost his slot is always stopped.

    Raises:
        LimitTimedOut: no slot came in time (it is a TimeoutError).
        LimitNotFound: with strict, a limit is not declared.
        BadLimit: so many slots can never be had.
        MissingContextError: there is no run around it.

    Example:
        with concurrency("database", occupy=2) as slot:
            load(rows, fence=slot)
    """

    def __init__(
        self,
        names: str | Iterable[str],
        occupy: int = 1,
        timeout_seconds: float | None = None,
        max_retries: int | None = None,
        lease_duration: float = 300,
        strict: bool = False,
        holder: Any = None,
        raise_on_lease_renewal_failure: bool | None = None,
    ) -> None:
        if max_retries is not None:
            raise NotThereYet(
                "concurrency(max_retries=...) is not there: nobody retries, because slots are waited for in a queue.",
                hint="say how long to wait, with timeout_seconds (0 for not at all)",
            )
        self._request = Request(checked_names(names), checked_count(occupy), checked_seconds(timeout_seconds), strict)
        self._held: Any = None
        self._token: Token[tuple[Holding, ...]] | None = None

    @shielded
    def __enter__(self) -> Slot:
        self._once()
        held = take(self._request)
        try:
            if noted:
                raise_noted()
            return self._entered(held)
        except BaseException:
            held.leave()
            raise

    @shielded
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        try:
            leave(self._exit())
        finally:
            if noted:
                raise_noted()
        return False

    async def __aenter__(self) -> Slot:
        self._once()
        return self._entered(await take_async(self._request))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        held = self._exit()
        lost = await off_the_loop(held.remote, held.leave)
        if lost is not None:
            raise lost
        return False

    def __call__(self, fn: F) -> F:
        """As a decorator: every call of the function, sync or async, holds the slots."""
        again = functools.partial(self._copy)
        if inspect.iscoroutinefunction(fn):

            async def acall(*args: Any, **kwargs: Any) -> Any:
                async with again():
                    return await fn(*args, **kwargs)

            return functools.wraps(fn)(acall)  # type: ignore[return-value]

        def call(*args: Any, **kwargs: Any) -> Any:
            with again():
                return fn(*args, **kwargs)

        return functools.wraps(fn)(call)  # type: ignore[return-value]

    def _copy(self) -> concurrency:
        request = self._request
        return concurrency(request.names, request.occupy, request.timeout_seconds, strict=request.strict)

    def _once(self) -> None:
        if self._held is not None:
            raise BadLimit("This concurrency() was entered already.", hint="write concurrency(...) at each `with`")

    def _entered(self, held: Any) -> Slot:
        self._held = held
        thread, task = threading.get_ident(), current_task()
        mine = tuple(Holding(limit, occupy, thread, task) for limit, occupy in held.wish.slots)
        self._token = around.set(around.get() + mine)
        return slot_of(held)

    def _exit(self) -> Any:
        held, self._held = self._held, None
        if self._token is not None:
            with suppress(ValueError):  # left in another context than it was entered in
                around.reset(self._token)
        return held


def rate_limit(
    names: str | Iterable[str],
    occupy: int = 1,
    per_second: float | None = None,
    burst: int | None = None,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> Any:
    """Wait for a turn of rate limits. In async code it gives something to await.

    Turns are spaced evenly over everybody who asks. A turn that nobody uses is not kept, except for a burst.

    Args:
        names: of one or several rate limits.
        occupy: how many turns of each.
        per_second: the rate, where it is not declared; a declared one keeps its own.
        burst: how many turns may be used at once after a quiet time, where it is not declared; 1 when left out.
        timeout_seconds: how long to wait at most. A turn that comes later is not waited for at all.
        strict: a limit that is neither declared nor given a rate is an error.

    Raises:
        LimitTimedOut: the turn would come too late (it is a TimeoutError).
        LimitNotFound: with strict, there is no such limit.
        MissingContextError: there is no run around it.

    Example:
        rate_limit("geocoder", per_second=10)
    """
    asked = _rate(names, occupy, per_second, burst, timeout_seconds, strict)
    if in_async_code():
        return _turn_async(asked)
    _turn(asked)
    return None


def sync_rate_limit(
    names: str | Iterable[str],
    occupy: int = 1,
    per_second: float | None = None,
    burst: int | None = None,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """Wait for a turn of rate limits, in this thread; see `penstock.rate_limit`."""
    _turn(_rate(names, occupy, per_second, burst, timeout_seconds, strict))


async def async_rate_limit(
    names: str | Iterable[str],
    occupy: int = 1,
    per_second: float | None = None,
    burst: int | None = None,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """Wait for a turn of rate limits while the event loop goes on; see `penstock.rate_limit`."""
    await _turn_async(_rate(names, occupy, per_second, burst, timeout_seconds, strict))


def _rate(
    names: str | Iterable[str],
    occupy: int,
    per_second: float | None,
    burst: int | None,
    timeout_seconds: float | None,
    strict: bool,
) -> Request:
    check_rate(per_second, burst)
    return Request(
        checked_names(names), checked_count(occupy), checked_seconds(timeout_seconds), strict, True, per_second, burst
    )


@shielded
def _turn(request: Request) -> None:
    try:
        leave(take(request))
    finally:
        if noted:
            raise_noted()


async def _turn_async(request: Request) -> None:
    await take_async(request)


def slot_of(held: Any) -> Slot:
    """The fencing token of what is held."""
    names = [limit for limit, _ in held.wish.slots]
    slot = Slot(held.tickets[-1] if names else 0)
    slot.tickets = dict(zip(names, held.tickets, strict=True))
    slot._verify = held.verify
    return slot


def in_async_code() -> bool:
    """Whether the task or flow around this code is async, and its event loop runs in this thread."""
    asyncio = sys.modules.get("asyncio")
    scope = current_scope.get()
    if asyncio is None or scope is None or asyncio._get_running_loop() is None:
        return False
    declared = scope.info[0].task if isinstance(scope.info, tuple) else getattr(scope.live, "flow", None)
    return bool(getattr(declared, "isasync", True))
