"""Pausing, suspending and resuming runs, under Prefect's names.

Here the two are the same: a run that waits needs no process where a worker can go on with it, and keeps it otherwise.
"""

from __future__ import annotations

import sys
from typing import Any

from penstock.app import answer_run, current
from penstock.core.errors import NotThereYet
from penstock.engine.recovery import find_run
from penstock.engine.waiting.asking import pause_run, wait_for_input
from penstock.engine.waiting.asks import When

__all__ = [
    "apause_flow_run",
    "aresume_flow_run",
    "asuspend_flow_run",
    "pause_flow_run",
    "resume_flow_run",
    "suspend_flow_run",
]

_Asked = Any


def pause_flow_run(
    wait_for_input: _Asked = None,
    timeout: When | None = 3600,
    poll_interval: float = 10,
    key: str | None = None,
) -> Any:
    """Let the run wait until it is resumed (`resume_flow_run`, or `penstock runs answer RUN`).

    In async code it gives something to await.

    Args:
        wait_for_input: a type of which a value is to be given; that is what the call gives then.
        timeout: how many seconds at most; None for ever.
        poll_interval: Prefect's, and not needed: an answer wakes the run.
        key: a second pause with the same key in a run does not wait.

    Raises:
        WaitTimedOut: it was not resumed in time (`penstock.exceptions.FlowPauseTimeout` is the same).
    """
    return _pause(wait_for_input, timeout, key, None)


async def apause_flow_run(
    wait_for_input: _Asked = None,
    timeout: When | None = 3600,
    poll_interval: float = 10,
    key: str | None = None,
) -> Any:
    """`pause_flow_run` for async code."""
    return await _pause(wait_for_input, timeout, key, True)


def suspend_flow_run(
    wait_for_input: _Asked = None,
    flow_run_id: Any = None,
    timeout: When | None = None,
    key: str | None = None,
) -> Any:
    """`pause_flow_run` without a limit of time.

    Args:
        wait_for_input: a type of which a value is to be given.
        flow_run_id: another run cannot be suspended from here; leave it out.
        timeout: how many seconds at most; None for ever.
        key: a second pause with the same key in a run does not wait.

    Raises:
        NotThereYet: another run was named.
    """
    return _pause(wait_for_input, timeout, key, None, flow_run_id)


async def asuspend_flow_run(
    wait_for_input: _Asked = None,
    flow_run_id: Any = None,
    timeout: When | None = None,
    key: str | None = None,
) -> Any:
    """`suspend_flow_run` for async code."""
    return await _pause(wait_for_input, timeout, key, True, flow_run_id)


def _pause(asked: _Asked, timeout: When | None, key: str | None, awaited: bool | None, other: Any = None) -> Any:
    if other is not None:
        raise NotThereYet(
            "suspend_flow_run(flow_run_id=...) is not there: a run is suspended by its own flow.",
            hint="call it inside the flow, or stop the other run: penstock runs cancel RUN",
        )
    if asked is None:
        return pause_run(timeout=timeout, key=key, awaited=awaited)
    return wait_for_input(asked, timeout=timeout, key=key, awaited=awaited)


def resume_flow_run(flow_run_id: Any, run_input: dict[str, Any] | None = None) -> Any:
    """Let a paused run go on.

    In async code it gives something to await.

    Args:
        flow_run_id: the run.
        run_input: what it asks for: its fields by name.

    Raises:
        NotWaiting: it is not paused (`penstock.exceptions.NotPausedError` is the same).
        AnswerRefused: that is not what it asks for.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return aresume_flow_run(flow_run_id, run_input)
    run = find_run(current().journal, str(flow_run_id))
    schema = run.waiting.answer if run.waiting is not None else None
    given: Any = run_input
    if run_input is not None and run_input.keys() == {"value"} and not (schema or {}).get("properties"):
        given = run_input["value"]  # what Prefect asks for where the type has no fields
    answer_run(run.id, given)
    return None


async def aresume_flow_run(flow_run_id: Any, run_input: dict[str, Any] | None = None) -> None:
    """`resume_flow_run` for async code."""
    import asyncio

    await asyncio.to_thread(resume_flow_run, flow_run_id, run_input)
