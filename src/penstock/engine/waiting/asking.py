"""What a flow or a task calls to wait: for time to pass, for somebody to say so, or for an answer."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from penstock.core.errors import BadWait
from penstock.core.ports import current_engine
from penstock.engine.waiting.asks import NOTHING, Ask, AskApproval, AskInput, When


def sleep(
    seconds: float | datetime.timedelta | None = None,
    *,
    until: datetime.datetime | None = None,
    awaited: bool | None = None,
) -> Any:
    """Wait some time, as a step of the run: its end is on record, and stays where it is if the process dies.

    In async code it gives something to await.
    Where the flow of a worker waits (and none of its tasks), it takes neither process nor slot.

    Args:
        seconds: how long, in seconds or as a timedelta.
        until: until when instead.
        awaited: whether to give something to await, where that is not to be found out.

    Raises:
        BadWait: a time that cannot be.

    Example:
        sleep(timedelta(hours=6))
    """
    if (seconds is None) == (until is None):
        raise BadWait("sleep takes either seconds or until=.", hint="write sleep(90) or sleep(until=moment)")
    return current_engine().call_wait(Ask("sleep", "sleep", until if seconds is None else seconds), awaited)


def pause_run(
    prompt: str | None = None,
    *,
    timeout: When | None = None,
    key: str | None = None,
    awaited: bool | None = None,
) -> Any:
    """Wait until somebody lets the run go on (`penstock runs answer RUN`).

    In async code it gives something to await.
    Where the flow of a worker waits (and none of its tasks), it takes neither process nor slot.

    Args:
        prompt: what to tell people.
        timeout: how long at most, or until when; None for ever.
        key: a second pause with the same key in a run does not wait.
        awaited: whether to give something to await, where that is not to be found out.

    Raises:
        WaitTimedOut: nobody did in time (it is a TimeoutError).
    """
    return current_engine().call_wait(Ask("pause_run", "pause", timeout, prompt=prompt, key=key), awaited)


def wait_for_input(
    kind: Any,
    prompt: str | None = None,
    *,
    timeout: When | None = None,
    default: Any = NOTHING,
    key: str | None = None,
    awaited: bool | None = None,
) -> Any:
    """Wait for somebody to give a value of a type (`penstock runs answer RUN VALUE`); gives that value.

    An answer that does not fit is refused, and the run goes on waiting. In async code it gives something to await.
    Where the flow of a worker waits (and none of its tasks), it takes neither process nor slot.

    Args:
        kind: a dataclass, a TypedDict, a pydantic model, a Literal, or any other type that JSON can be made into.
        prompt: what to tell people.
        timeout: how long at most, or until when; None for ever.
        default: what to give when nobody has answered in time.
        key: a second wait with the same key in a run gives what the first one gave.
        awaited: whether to give something to await, where that is not to be found out.

    Raises:
        WaitTimedOut: nobody answered in time, and there is no default (it is a TimeoutError).
        BadWait: nobody could give a value of this type.

    Example:
        rows = wait_for_input(int, "How many rows are missing?", timeout=timedelta(days=1), default=0)
    """
    ask = AskInput(kind, when=timeout, prompt=prompt, default=default, key=key)
    return current_engine().call_wait(ask, awaited)


def approve(
    prompt: str,
    *,
    timeout: When | None = None,
    approvers: Iterable[str] | None = None,
    default: Any = NOTHING,
    key: str | None = None,
    awaited: bool | None = None,
) -> Any:
    """Wait for somebody to say yes or no (`penstock runs approve RUN`, `... reject RUN`); gives an `Approval`.

    In async code it gives something to await.
    Where the flow of a worker waits (and none of its tasks), it takes neither process nor slot.

    Args:
        prompt: what is to be decided.
        timeout: how long there is time for it, or until when; None for ever.
        approvers: names of those who may decide; anybody when left out. It is no protection: people say who they are.
        default: True or False, for when nobody has decided in time.
        key: a second approval with the same key in a run gives what the first one gave.
        awaited: whether to give something to await, where that is not to be found out.

    Raises:
        WaitTimedOut: nobody decided in time, and there is no default (it is a TimeoutError).

    Example:
        if approve("Publish the figures?", timeout=timedelta(hours=8), default=False):
            publish()
    """
    ask = AskApproval(prompt, approvers, when=timeout, default=default, key=key)
    return current_engine().call_wait(ask, awaited)
