"""The things that take time: calling user code, waiting before a retry, waiting for other steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from penstock.authoring.futures import Latch
from penstock.core.clock import Clock, clock
from penstock.core.ports import RemoteTaskRunner
from penstock.engine.deadlines import Limit, call_within, limited
from penstock.engine.outcome import Path, Wait
from penstock.engine.places import call_user_code
from penstock.engine.signals import awaiting, exposed, noted, raise_noted


class Call(Wait):
    """Call user code.

    Args:
        timeout: seconds, and the exception that says they are over.
        runner: who calls it if not this process itself (for a submitted task).
    """

    __slots__ = ("args", "fn", "kwargs", "late", "runner", "seconds")

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float | None = None,
        late: BaseException | None = None,
        runner: RemoteTaskRunner | None = None,
    ) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.seconds = seconds
        self.late = late
        self.runner = runner

    def block(self) -> Any:
        """In this thread (or in the runner's process, which keeps the time itself)."""
        if self.runner is not None:
            return self.runner.invoke(self.fn, self.args, self.kwargs, self.seconds, self.late)
        if self.seconds is None or self.late is None:
            return call_user_code(self.fn, self.args, self.kwargs)
        return call_within(self.seconds, self.late, self.fn, *self.args, **self.kwargs)

    @awaiting
    async def pause(self) -> Any:
        """Awaited on this loop."""
        import asyncio

        if self.seconds is None or self.late is None:
            return await self.fn(*self.args, **self.kwargs)
        timer = asyncio.timeout(self.seconds)
        try:
            async with timer:
                with limited(_on_loop(self.seconds, timer)):
                    value = await self.fn(*self.args, **self.kwargs)
        except TimeoutError:
            if timer.expired():
                raise self.late from None
            raise
        if timer.expired():  # the task has swallowed its cancellation
            raise self.late
        return value


class Away(Wait):
    """Wait for what a runner has executed elsewhere."""

    __slots__ = ("waiter",)

    parks = True
    begun = True

    def __init__(self, waiter: Any) -> None:
        self.waiter = waiter

    def block(self) -> None:
        """In this thread."""
        self.waiter.wait()


def called(call: Call) -> Path[Any]:
    """What a call gives. No thread is held while a runner has it executed, if the runner can do that."""
    runner = call.runner
    sent = None if runner is None else runner.begin(call.fn, call.args, call.kwargs, call.seconds, call.late)
    if sent is None:
        return (yield call)
    yield Away(sent)
    return sent.outcome()


def _on_loop(seconds: float, timer: Any) -> Limit:
    """The limit that a timer of the running loop keeps."""
    import asyncio

    loop = asyncio.get_running_loop()

    def reschedule() -> None:
        with suppress(RuntimeError):  # the code has ended
            timer.reschedule(None if limit.deadline == math.inf else loop.time() + limit.left)

    def changed() -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(reschedule)

    limit = Limit(seconds, None, changed)
    return limit


class Sleep(Wait):
    """Wait some seconds, or until the run is interrupted."""

    __slots__ = ("interrupted", "seconds")

    def __init__(self, seconds: float, interrupted: Latch) -> None:
        self.seconds = seconds
        self.interrupted = interrupted

    @exposed
    def block(self) -> None:
        """Sleep in this thread."""
        if noted:
            raise_noted()
        interrupted: Any = self.interrupted
        clock().wait(interrupted, self.seconds)

    async def pause(self) -> None:
        """Sleep on the loop, looking up now and then."""
        import asyncio
        import time

        if type(clock()) is not Clock:  # a clock of a test, on which waiting takes no time
            return self.block()
        end = time.monotonic() + self.seconds
        while not self.interrupted.is_set() and (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.2))


class Futures(Wait):
    """Wait for other steps to end."""

    __slots__ = ("futures",)

    def __init__(self, futures: Iterable[Any]) -> None:
        self.futures = futures

    @exposed
    def block(self) -> None:
        """Block this thread (a worker gives up its place meanwhile)."""
        if noted:
            raise_noted()
        for future in self.futures:
            future.wait()

    async def pause(self) -> None:
        """Await them."""
        for future in self.futures:
            await future.wait_async()


class Commit(Wait):
    """Commit to a journal that is across a network, without holding up an event loop."""

    __slots__ = ("args", "remote", "write")

    def __init__(self, remote: bool, write: Callable[..., Any], *args: Any) -> None:
        self.remote = remote
        self.write = write
        self.args = args

    def block(self) -> Any:
        """Commit in this thread."""
        return self.write(*self.args)

    async def pause(self) -> Any:
        """Commit on another thread if it takes long. It is awaited even by who is cancelled: nobody may be in doubt."""
        if not self.remote:
            return self.write(*self.args)
        import asyncio

        writing = asyncio.get_running_loop().run_in_executor(None, copy_context().run, self.write, *self.args)
        cancelled = None
        while not writing.done():
            try:
                await asyncio.wait([writing])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None and writing.exception() is None:
            raise cancelled
        return writing.result()
