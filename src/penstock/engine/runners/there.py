"""What stands for the run and the engine where a task is executed elsewhere: they ask its flow's process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from penstock.core.context import current_scope
from penstock.core.errors import MissingContextError
from penstock.core.states import State
from penstock.engine.live import FlowRun, RunInfo
from penstock.engine.runners.favours import Borrowed
from penstock.engine.runners.pipes import dumps

Ask = Callable[[str, bytes], Any]
"""Asks the flow's process for something, by kind (`task`, `favour`), and gives its answer."""
Log = Callable[[tuple[int, int, str, str]], None]
"""Keeps a log line: when (microseconds), level, logger and message."""


class RecorderThere:
    """Stands where the recorder is: log lines go to the flow's process."""

    def __init__(self, log: Log, run_id: str) -> None:
        self._log = log
        self.run_id = run_id

    def log(self, line: Any) -> None:
        """Keep a line."""
        self._log((line.at, line.level, line.logger, line.message))


class LiveThere:
    """Stands where the live run is.

    Args:
        ask: the flow's process.
        log: keeps log lines.
        where: what the flow's process tells of the step; see `where`.
    """

    def __init__(self, ask: Ask, log: Log, where: dict[str, Any]) -> None:
        self.id = where["run_id"]
        self.where = where
        self.alone = where["alone"]
        self.info = FlowRun(**where["run"])
        self.facts: dict[str, Any] = where["run"]
        self.flow = RunInfo(name=self.facts.get("flow_name"), version=self.facts.get("flow_version"))
        self.recorder = RecorderThere(log, self.id)
        self.call = ask

    def hold(self, request: Any) -> Any:
        """Slots or turns: the flow's process gets and holds them, for its run."""
        return Borrowed(self.ask, self.ask("hold", request))

    def ask(self, kind: str, what: Any) -> Any:
        """Ask the flow's process for something that it does for its run."""
        return self.call("favour", dumps((kind, what), "What a task in a process asks for"))


class EngineThere:
    """Nested tasks: recorded by the flow's process.

    Args:
        ask: asks it for threads that know of no step; None where they cannot.
    """

    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask

    def call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_task`."""
        scope = current_scope.get()
        ask = scope.live.call if scope is not None else self._ask
        if ask is None:
            raise MissingContextError(
                f"{task.name}() was called on a thread that a task has started.",
                hint="call it on the task's own thread, or call its function: .fn()",
            )
        state = ask("task", dumps((task, args, kwargs, wait_for), "A nested task"))
        if task.isasync:
            return _answer(state, return_state)
        return state if return_state else state.result()

    def submit_task(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Any:
        """Refused."""
        raise MissingContextError(
            f"{task.name}.submit() was called inside a task that runs in a process.",
            hint="call it directly, or submit it from the flow",
        )

    def call_flow(
        self, flow: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """Refused."""
        raise MissingContextError(
            f"The flow {flow.name!r} was called inside a task that runs in a process.",
            hint="call it from the flow",
        )

    def call_wait(self, ask: Any, awaited: bool | None = None) -> Any:
        """See `Engine.call_wait`."""
        scope = current_scope.get()
        if scope is None:
            raise MissingContextError(f"{ask.name}() was called outside a task.", hint="call it inside the task")
        value = scope.live.ask("wait", ask)
        return _awaited(value) if (asyncio._get_running_loop() if awaited is None else awaited) else value


async def _awaited(value: Any) -> Any:
    return value


async def _answer(state: State, return_state: bool) -> Any:
    return state if return_state else state.result()


def where(scope: Any) -> dict[str, Any]:
    """What a task that is executed elsewhere may ask of its run and of itself."""
    live = scope.live
    call, state = (scope.info[0], scope.info[1]) if scope.info else (None, None)
    return {
        "run": dict(vars(live.info)) if live.info is not None else {},
        "run_id": live.id,
        "alone": live.alone,
        "key": scope.key,
        "id": call.id if call is not None else None,
        "name": state.step.name if state is not None else None,
        "task_name": call.task.name if call is not None else None,
        "tags": list(state.step.tags) if state is not None else [],
        "run_count": state.attempt if state is not None else 0,
    }
