"""Sends a process a signal at one chosen moment of a flow, of all at which Python may look for signals.

CPython looks for signals where a function begins, after every call, and where a loop goes back. A tracing function
counts those moments in the main thread, so that a test can strike each of them, one after the other, whatever the
machine's speed.
"""

from __future__ import annotations

import asyncio
import dis
import functools
import signal
import sys
from types import CodeType, FrameType
from typing import Any

from penstock import flow, get_run_logger, task
from penstock.app import Penstock
from penstock.core.model import RunFilter
from penstock.task_runners import ThreadPoolTaskRunner

_LOOKS_AFTER = {"CALL", "CALL_FUNCTION_EX", "CALL_KW"}


@functools.cache
def _moments_of(code: CodeType) -> frozenset[int]:
    """Offsets of the instructions before which signals are looked for."""
    found = set()
    last = ""
    for instruction in dis.get_instructions(code):
        if last in _LOOKS_AFTER or "JUMP_BACKWARD" in last:
            found.add(instruction.offset)
        if "JUMP_BACKWARD" in instruction.opname and "NO_INTERRUPT" not in instruction.opname:
            found.add(instruction.argval)
        last = instruction.opname
    return frozenset(found)


class Striker:
    """Raises a signal in this thread at one moment of a call.

    There is no moment where nobody handles SIGTERM, for it would kill the process, nor while an event loop is being
    opened or closed, for asyncio itself is not ready for signals then.

    Attributes:
        passed: how many moments there have been.
        where: file, function and line that were struck.
    """

    def __init__(self, number: int, at: int) -> None:
        self.number = number
        self.at = at
        self.passed = 0
        self.where = ""
        self._open = False

    def during(self, flow: Any) -> Any:
        """Call the flow, and strike."""
        sys.settrace(self._trace)
        try:
            if flow.isasync:
                return asyncio.run(self._awaited(flow))
            self._open = True
            return flow()
        finally:
            sys.settrace(None)

    async def _awaited(self, flow: Any) -> Any:
        self._open = True
        try:
            return await flow()
        finally:
            self._open = False

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        looks = event == "call" or (event == "opcode" and frame.f_lasti in _moments_of(frame.f_code))
        if looks and self._open and signal.getsignal(self.number) is not signal.SIG_DFL:
            self.passed += 1
            if self.passed == self.at:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
                sys.settrace(None)
                signal.raise_signal(self.number)
                return None
        return self._trace


@task
def give(value: Any) -> Any:
    return value


@task(retries=1)
def unsteady(value: int, seen: list[int]) -> int:
    seen.append(value)
    if len(seen) == 1:
        raise ValueError("not at once")
    return value


@task(timeout_seconds=60)
def in_time(value: int) -> Any:
    return give(value)


@flow
def inner(value: int) -> Any:
    get_run_logger().warning("inside")
    return give(value)


@flow(on_failure=[lambda *_: None], on_crashed=[lambda *_: None])
def one_by_one() -> Any:
    return give(1), unsteady(2, []), in_time(3), inner(4)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
def side_by_side() -> Any:
    first = give.submit(1)
    return give.map([first, 2, 3]).result(), in_time.submit(4).result(), first.result()


@task
async def agive(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@flow
async def ainner(value: int) -> Any:
    return await agive(value)


@flow
async def gathered() -> Any:
    pair = await asyncio.gather(agive(1), agive(2))
    return pair, give(3), await agive.submit(4), await ainner(5)


SHAPES: dict[str, Any] = {"one_by_one": one_by_one, "side_by_side": side_by_side, "gathered": gathered}


def count(shape: str, number: int) -> int:
    """How many moments the flow has; the first call of all is not counted, for it imports and opens."""
    Striker(number, -1).during(SHAPES[shape])
    striker = Striker(number, -1)
    striker.during(SHAPES[shape])
    return striker.passed


def strike(app: Penstock, shape: str, number: int, at: int) -> str | None:
    """Strike one moment of a flow; what is wrong afterwards, if anything is.

    The signal must come out of the call, no handler may stay behind, and every run that was begun must have its end.
    """
    striker = Striker(number, at)
    told = "nothing"
    try:
        striker.during(SHAPES[shape])
    except BaseException as error:
        told = type(error).__name__
    problems = []
    if striker.where and told != {signal.SIGINT: "KeyboardInterrupt", signal.SIGTERM: "Terminated"}[number]:
        problems.append(f"raised {told}")
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        problems.append("SIGINT is still handled")
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        problems.append("SIGTERM is still handled")
    left = app.journal.runs(RunFilter(states=("Pending", "Running", "Retrying"), children=True, limit=10))
    problems += [f"{run.flow} is {run.state}" for run in left]
    return f"{at} in {striker.where}: {', '.join(problems)}" if problems else None
