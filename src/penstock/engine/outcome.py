"""One path for sync and async.

The engine's logic is written once, as generators that yield what takes time: a `Wait`. Two drivers run them. `drive`
does each wait in the calling thread, `adrive` on the event loop. Nothing else in the engine knows which it is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from typing import Any, TypeVar

R = TypeVar("R")


class Wait:
    """Something that takes time, done in either of two ways."""

    __slots__ = ()

    parks = False
    """It may take very long, and has a `waiter` that tells when it is over; see `drive`."""
    begun = False
    """The step runs meanwhile: who leaves the path there has to drive it to its end."""

    @abstractmethod
    def block(self) -> Any:
        """Do it in this thread."""

    async def pause(self) -> Any:
        """Do it on the event loop. For what is quick enough, blocking will do."""
        return self.block()


Path = Generator[Wait, Any, R]


class _Closed(BaseException):
    """Stands for a GeneratorExit of the user's code, which would close the path instead of going up in it."""


class Parked(Exception):
    """A path was left at a wait that may take very long."""

    def __init__(self, wait: Any) -> None:
        self.waiter = wait.waiter
        self.begun = wait.begun


def drive(path: Path[R], may_park: bool = False) -> R:
    """Run to the end in this thread.

    Args:
        path: the path.
        may_park: leave it where it would have to wait for very long; it can be driven on when that is over.

    Raises:
        Parked: it was left.
    """
    try:
        wait = next(path)
        while True:
            if may_park and wait.parks:
                raise Parked(wait)
            try:
                answer = wait.block()
            except BaseException as error:
                wait = path.throw(_goes_up(error))
            else:
                wait = path.send(answer)
    except StopIteration as stop:
        result: R = stop.value
        return result
    except _Closed as closed:
        raise closed.args[0] from None


async def adrive(path: Path[R]) -> R:
    """Run to the end on the event loop."""
    try:
        wait = next(path)
        while True:
            try:
                answer = await wait.pause()
            except BaseException as error:
                wait = path.throw(_goes_up(error))
            else:
                wait = path.send(answer)
    except StopIteration as stop:
        result: R = stop.value
        return result
    except _Closed as closed:
        raise closed.args[0] from None


def _goes_up(error: BaseException) -> BaseException:
    return _Closed(error) if type(error) is GeneratorExit else error


def what_ended(error: BaseException) -> BaseException:
    """The exception itself, where another stands for it on the path."""
    found: BaseException = error.args[0] if isinstance(error, _Closed) else error
    return found
