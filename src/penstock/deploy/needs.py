"""What a flow needs of an engine, told from its code before anything of it is executed."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.authoring.flows import Flow
from penstock.authoring.tasks import Task

_BLOCKS = "penstock.engine.transactions.blocks"
_ASKING = "penstock.engine.waiting.asking"
_LIMITS = "penstock.engine.limits.calls"
_BY_FUNCTION = {
    (_BLOCKS, "transaction"): "transactions",
    (_BLOCKS, "atransaction"): "transactions",
    ("penstock.engine.transactions.joining", "journal_transaction"): "transactions",
    (_LIMITS, "concurrency"): "limits",
    (_LIMITS, "rate_limit"): "limits",
    (_ASKING, "approve"): "waiting",
    (_ASKING, "pause_run"): "waiting",
    (_ASKING, "sleep"): "waiting",
    (_ASKING, "wait_for_input"): "waiting",
    ("penstock.flow_runs", "pause_flow_run"): "waiting",
    ("penstock.flow_runs", "suspend_flow_run"): "waiting",
}
_MOST = 2000


def needs_of(flow: Any) -> set[str]:
    """Which abilities a flow needs, as far as its code shows it: what it and its tasks call by name.

    What is called through a variable is not seen; an engine that lacks it says so when it is called.
    """
    needs: set[str] = {"parameters"} if flow.signature.parameters else set()
    for found in reached(flow):
        if isinstance(found, Task):
            needs |= _of_task(found)
        elif isinstance(found, Flow):
            needs |= _of_flow(found) | ({"subflows"} if found is not flow else set())
        else:
            needs |= {need for where, need in _BY_FUNCTION.items() if _is(found, *where)}
    return needs


def tasks_of(flow: Any) -> list[Task[..., Any]]:
    """The tasks that a flow, and what it calls, name in their code."""
    return [found for found in reached(flow) if isinstance(found, Task)]


def _of_task(task: Task[..., Any]) -> set[str]:
    wanted = {
        "retries": task.retries,
        "retry_conditions": task.retry_condition_fn,
        "timeouts": task.timeout_seconds,
        "caching": task.caching,
        "asynchronous": task.isasync,
        "transactions": task.on_commit_hooks or task.on_rollback_hooks,
        "hooks": task.on_running_hooks or task.on_completion_hooks or task.on_failure_hooks,
    }
    return {need for need, want in wanted.items() if want}


def _of_flow(flow: Flow[..., Any]) -> set[str]:
    hooks = (flow.on_running_hooks, flow.on_completion_hooks, flow.on_failure_hooks, flow.on_crashed_hooks)
    wanted = {"asynchronous": flow.isasync, "timeouts": flow.timeout_seconds, "hooks": any(hooks)}
    return {need for need, want in wanted.items() if want}


def _is(found: Any, module: str, name: str) -> bool:
    return getattr(found, "__module__", None) == module and getattr(found, "__name__", None) == name


def reached(flow: Any) -> Iterator[Any]:
    """Everything that the code of a flow names, and what the code of that names, each once."""
    waiting, seen = [flow], {id(flow)}
    while waiting and len(seen) < _MOST:
        here = waiting.pop()
        yield here
        for found in _named_in(getattr(here, "fn", here)):
            if id(found) not in seen and isinstance(found, (Task, Flow, types.FunctionType, type)):
                seen.add(id(found))
                waiting.append(found)


def _named_in(fn: Any) -> Iterator[Any]:
    """What a function names. Penstock's own functions are not looked into."""
    target = getattr(fn, "__wrapped__", fn)
    target = getattr(target, "func", target)
    code = getattr(target, "__code__", None)
    if code is None or (getattr(target, "__module__", None) or "").startswith("penstock.engine"):
        return
    known = dict(getattr(target, "__globals__", {}))
    for name, cell in zip(code.co_freevars, getattr(target, "__closure__", None) or (), strict=False):
        try:
            known[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    yield from _loaded(code, known)


def _loaded(code: types.CodeType, known: Mapping[str, Any]) -> Iterator[Any]:
    """What code loads by name: `name`, and `module.name`."""
    here: Any = None
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"):
            here = known.get(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(here, types.ModuleType):
            here = getattr(here, step.argval, None)
        else:
            here = None
        if here is not None:
            yield here
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _loaded(constant, known)
