"""Hooks: functions called when a run or a task run changes state. What they raise is logged, and changes nothing."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from penstock.core.states import State
from penstock.engine.logs import engine_logger, with_prints
from penstock.engine.outcome import Path
from penstock.engine.signals import awaiting, exposed, noted, raise_noted
from penstock.engine.waits import Call


class HookCall(Call):
    """A hook may be async even where the flow is not."""

    __slots__ = ()

    @exposed
    def block(self) -> Any:
        """Call it in this thread."""
        if noted:
            raise_noted()
        value = self.fn(*self.args)
        if inspect.iscoroutine(value):
            import asyncio

            return asyncio.run(value)
        return value

    @awaiting
    async def pause(self) -> Any:
        """Call it, and await what it gives."""
        value = self.fn(*self.args)
        return await value if inspect.isawaitable(value) else value


def run_hooks(hooks: Iterable[Any], subject: Any, info: Any, state: State, inherited: bool | None = None) -> Path[None]:
    """Call each with the flow or task, its run, and the state; prints are logged where the flow's or task's are."""
    for hook in hooks:
        try:
            yield HookCall(with_prints(hook, False, subject.log_prints, inherited), (subject, info, state), {})
        except Exception:
            name = getattr(hook, "__name__", repr(hook))
            engine_logger().exception("The hook %s raised; the run goes on.", name)
