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

    @abstractmethod
    def block(self) -> Any:
        """Do it in this thread."""

    async def pause(self) -> Any:
        """Do it on the event loop. For what is quick enough, blocking will do."""
        return self.block()


Path = Generator[Wait, Any, R]


def drive(path: Path[R]) -> R:
    """Run to the end in this thread."""
    try:
        wait = next(path)
        while True:
            try:
                answer = wait.block()
            except BaseException as error:
                wait = path.throw(error)
            else:
                wait = path.send(answer)
    except StopIteration as stop:
        result: R = stop.value
        return result


async def adrive(path: Path[R]) -> R:
    """Run to the end on the event loop."""
    try:
        wait = next(path)
        while True:
            try:
                answer = await wait.pause()
            except BaseException as error:
                wait = path.throw(error)
            else:
                wait = path.send(answer)
    except StopIteration as stop:
        result: R = stop.value
        return result
