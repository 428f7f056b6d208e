"""A run at a place where its flow may stay for long, and whether that needs the process."""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from penstock.engine.together import look

if TYPE_CHECKING:
    from penstock.core.context import Scope
    from penstock.engine.live import LiveRun


class Standing(ABC):
    """What stands still: a run, and the runs around it.

    Attributes:
        line: these runs, the outermost first.
        recorders: theirs.
        key: what it waits for.
        until: when that is over anyway (microseconds); None for never.
        let_go: the process is not needed any more, and that is on record.
        told: people were told.
    """

    key = ""
    until: int | None = None

    def __init__(self, live: LiveRun, scope: Scope) -> None:
        self.live = live
        self.line = [*reversed([*live.around()]), live]
        self.recorders = [each.recorder for each in self.line]
        self.let_go = False
        self.told = False
        self._main = self._in_main_path(scope)

    @abstractmethod
    def turn(self, let_go: bool) -> Any:
        """See whether it is over, and record that; else record that it stands, if that is not on record yet.

        Args:
            let_go: the process is not needed meanwhile.

        Returns:
            What came of it, once it is over; None while it is not.
        """

    @abstractmethod
    def tell(self) -> None:
        """Say in the log why it stands."""

    def break_off(self, error: BaseException) -> None:  # noqa: B027  # for most that is nothing
        """Something ended it that is no end of its own."""

    def _refresh(self, recorders: Iterable[Any], flush_until: int | None) -> None:
        """Write what waits to be written before that time, and take in what others have appended."""
        if flush_until is not None:
            for each in self.recorders:
                each.flush(flush_until)
        for each in recorders:
            look(each)

    def _in_main_path(self, scope: Scope) -> bool:
        """Called by the flow itself (or by a subflow it called itself), in its own thread."""
        root = self.line[0]
        return root.suspends and is_of_flow(self.live, scope) and threading.get_ident() == root.thread

    def may_let_go(self) -> bool:
        """Whether the process is not needed meanwhile: it takes long, and nothing else is under way."""
        if not self.is_idle():
            return False
        asyncio, root = sys.modules.get("asyncio"), self.line[0]
        loop = asyncio._get_running_loop() if asyncio is not None else None
        if asyncio is None or loop is None:
            return root.loop is None
        return loop is root.loop and len(asyncio.all_tasks(loop)) == 1

    def is_idle(self) -> bool:
        """The same, as far as another thread can tell."""
        if not self._main:
            return False
        inside = {self.key, *(each.parent_key for each in self.line[1:])}
        for each in self.line:
            if each.pending or any(key not in inside for key in list(each.recorder.running)):
                return False
        root = self.line[0]
        return all(other in self.line for other in root.engine.below(root))


def is_of_flow(live: LiveRun, scope: Scope) -> bool:
    """Whether a call from there is made by the flow, or by a subflow it has called, and not by a task of theirs."""
    if scope.key is not None:
        return False
    around = [each for each in (live, *live.around()) if each.parent is not None]
    return not any(each.parent_key is None or "/" in each.parent_key for each in around)
