"""What calling a flow or a task gives: its value, its state, or a coroutine for either."""

from __future__ import annotations

from typing import Any

from penstock.core.errors import CancelledRun, RunTakenOver
from penstock.core.interruptions import RunCancelled, RunFenced
from penstock.core.states import State
from penstock.engine.live import LiveRun
from penstock.engine.outcome import Path, adrive, drive
from penstock.engine.places import engine_code, placed
from penstock.engine.signals import attended, noted, raise_noted, shielded


@shielded
def answer_within(flow: Any, path: Path[State], return_state: bool) -> Any:
    """What calling a subflow gives: its value or state, or a coroutine for it."""
    if flow.isasync:
        return answer_async(path, return_state)
    try:
        with engine_code():
            state = drive(path)
    finally:
        if noted:
            raise_noted()
    return state if return_state else state.result()


@shielded
def answer(flow: Any, path: Path[State], return_state: bool, live: LiveRun) -> Any:
    """What calling a flow gives: its value or state, or a coroutine for it."""
    if flow.isasync:
        return _answer_root_async(path, return_state, live)
    with attended(live), placed(live):
        try:
            state = drive(path)
        except BaseException as error:
            raise _told(error, live) from None
    return state if return_state else state.result()


async def answer_async(path: Path[State], return_state: bool) -> Any:
    """The coroutine that calling an async task or subflow gives."""
    state = await adrive(path)
    return state if return_state or state._returned else state.result()


async def _answer_root_async(path: Path[State], return_state: bool, live: LiveRun) -> Any:
    import asyncio

    task = asyncio.current_task()
    live.on_loop(asyncio.get_running_loop(), task.cancel if task is not None else None)
    with attended(live):
        try:
            state = await adrive(path)
        except BaseException as error:
            raise _told(error, live) from None
    return state if return_state or state._returned else state.result()


def _told(error: BaseException, live: LiveRun) -> BaseException:
    """What the caller of a flow is told when it was stopped from outside, instead of the signal that stopped it."""
    reason = live.interruption or live.recorder.fault or error
    if isinstance(reason, RunFenced):
        return RunTakenOver(reason.reason, hint=reason.hint)
    if isinstance(reason, RunCancelled):
        return CancelledRun(reason.reason)
    return error


def unwrapped(state: State, return_state: bool) -> Any:
    """The state of the only step of a run, instead of the run's."""
    inner = state._data
    if isinstance(inner, State):
        state = inner
    return state if return_state or state._returned else state.result()
