"""Tracing: a flow's function is called with what stands for its parameters and results, and its calls are its plan.

The code between the tasks is executed then, as it is in every replay. A flow whose calls depend on what only a run
knows has no plan, and the trace says why. It takes the place of the process's engine meanwhile: whoever deploys does so
in a process that executes no runs.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, redirect_stdout
from types import CodeType, FrameType, GeneratorType
from typing import Any, NoReturn

from penstock.authoring.flows import Flow
from penstock.authoring.tasks import Task
from penstock.core.context import Scope, current_scope
from penstock.core.ports.running import engine_in_use
from penstock.core.workflows import WorkflowSpec
from penstock.deploy.code import guarded, hidden_test, own_frame
from penstock.deploy.needs import reached
from penstock.deploy.plans import Plan, PlannedStep, plan_of_workflow, planned
from penstock.deploy.symbols import Symbol, SymbolicFuture, Untraceable, futures_within

_MOST_STEPS = 2_000
_LONGEST = 500
_one_at_a_time = threading.RLock()


def plan_of(what: Any) -> Plan:
    """The plan of a flow or of a workflow.

    Args:
        what: a `Flow` or a `WorkflowSpec`.
    """
    if isinstance(what, WorkflowSpec):
        return plan_of_workflow(what)
    if why := _obstacle(what):
        return Plan(why=why)
    with _one_at_a_time:
        first = _traced(what)
        if first.why is not None:
            return first
        again = _traced(what)
    if again != first:
        return Plan(why="calls other tasks each time it is traced")
    return first


def _obstacle(flow: Any) -> str | None:
    """What can be told without calling the flow's function."""
    if flow.retries:
        return "is tried again as a whole when it fails"
    if flow.timeout_seconds is not None:
        return "has a time limit as a whole"
    if not any(isinstance(found, (Task, Flow)) for found in reached(flow) if found is not flow):
        return "names no task"
    code = getattr(flow.fn, "__code__", None)
    if code is None:
        return "is no plain function"
    return hidden_test(code, getattr(flow.fn, "__globals__", {}))


def _traced(flow: Any) -> Plan:
    tracer = Tracer(flow)
    try:
        with tracer.at_work():
            tracer.called()
    except Untraceable:
        pass
    except Exception as error:
        tracer.why = tracer.why or f"raises {type(error).__name__} where its values are not known: {error}"
    if tracer.why is None and not tracer.steps:
        tracer.why = "calls no task"
    if tracer.why is not None:
        return Plan(why=" ".join(tracer.why.split())[:_LONGEST])
    return Plan(steps=tuple(tracer.steps))


class _Awaited:
    """What a direct call of an async task gives: its result, when it is awaited."""

    def __init__(self, tracer: Tracer, key: str) -> None:
        self._tracer = tracer
        self._key = key

    def __await__(self) -> Generator[None, None, Any]:
        self._tracer.asked(self._key, True)
        yield from ()
        return self._tracer.symbol(f"the result of {self._key}")


class _Facts:
    """Stands for what a run knows of itself."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._tracer.symbol(f"the run's {name.replace('_', ' ')}")


class _Live:
    """Stands for the run."""

    alone = False
    replay = None
    suspends = False

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.flow = tracer.flow
        self.info = _Facts(tracer)
        self.facts: dict[str, Any] = {"deployment": tracer.symbol("the deployment's name")}

    @property
    def id(self) -> Any:
        """Of the run."""
        return self._tracer.symbol("the run's id")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._tracer.refuse("does outside of its tasks what is recorded with the run")


class Tracer:
    """Takes the engine's place, and notes what is called.

    Args:
        flow: what is traced.
    """

    def __init__(self, flow: Any) -> None:
        self.flow = flow
        self.steps: list[PlannedStep] = []
        self.why: str | None = None
        self._scope = Scope(_Live(self), None)
        self._thread = threading.get_ident()
        self._places: dict[str, int] = {}
        self._before: list[int] = []
        self._surely: list[int] = []
        self._waited: dict[str, bool] = {}
        self._read: dict[CodeType, str | None] = {flow.fn.__code__: None}

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Flows and tasks of this process call the tracer; nothing is logged or printed."""
        token, level = current_scope.set(self._scope), logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        profiler = sys.getprofile()
        try:
            with engine_in_use(self), redirect_stdout(io.StringIO()):
                sys.setprofile(self._entered)
                yield
        finally:
            sys.setprofile(profiler)
            logging.disable(level)
            current_scope.reset(token)
        if self.why is not None:  # the flow's code may have swallowed it
            raise Untraceable(self.why)

    def _entered(self, frame: FrameType, event: str, _: Any) -> None:
        """A function that is given a symbol may not look at it in a way that the symbol does not notice."""
        if event != "call" or str(frame.f_globals.get("__name__", "")).startswith("penstock."):
            return
        if any(type(value) is Symbol for value in frame.f_locals.values()):
            if frame.f_code not in self._read:
                self._read[frame.f_code] = hidden_test(frame.f_code, frame.f_globals)
            if (found := self._read[frame.f_code]) is not None:
                self.refuse(found)

    def called(self) -> None:
        """Call the flow's function."""
        flow = self.flow
        given = {name: self._parameter(name, p) for name, p in flow.signature.parameters.items()}
        if flow._bound:
            given.pop(next(iter(given), ""), None)
        args, kwargs = flow.arguments(given)
        value = flow.fn(*flow._bound, *args, **kwargs)
        if flow.isasync:
            value = self._driven(value)
        if type(value) is GeneratorType:
            self.refuse("returns a generator")

    def _parameter(self, name: str, parameter: Any) -> Any:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            self.refuse(f"takes any number of parameters ({parameter})")
        return self.symbol(f"the parameter {name!r}")

    def _driven(self, coroutine: Any) -> Any:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        coroutine.close()
        self.refuse("awaits something that is no task")

    def symbol(self, what: str) -> Any:
        """What stands for a value."""
        return Symbol(what, self.refuse)

    def refuse(self, reason: str) -> NoReturn:
        """There is no plan, and this is why; what is said first counts."""
        frame = own_frame()
        inside = frame is not None and self.why is None
        line = f" (line {frame.f_lineno} of {frame.f_code.co_name})" if inside and frame is not None else ""
        self.why = self.why or f"{reason}{line}"
        raise Untraceable(self.why)

    def call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_task`."""
        return self._direct(task, args, kwargs, wait_for, return_state)

    def call_flow(
        self, flow: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_flow`."""
        return self._direct(flow, args, kwargs, wait_for, return_state)

    def submit_task(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Any:
        """See `Engine.submit_task`."""
        return SymbolicFuture(self._step(task, args, kwargs, wait_for), self.asked, self.refuse)

    def call_wait(self, ask: Any, awaited: bool | None = None) -> Any:
        """See `Engine.call_wait`."""
        self.refuse("waits")

    def _direct(self, called: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, state: bool) -> Any:
        key = self._step(called, args, kwargs, wait_for)
        if called.isasync:
            if state:
                self.refuse(f"asks for the state of {key}")
            self._unguarded(key)
            return _Awaited(self, key)
        self.asked(key, not state)
        return self.symbol(f"the state of {key}" if state else f"the result of {key}")

    def _step(self, called: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> str:
        if threading.get_ident() != self._thread:
            self.refuse(f"calls {called.name} in a thread of its own")
        called.parameters(args, kwargs)
        key, _ = self._scope.next_key(called.name)
        if len(self.steps) >= _MOST_STEPS:
            self.refuse(f"calls more than {_MOST_STEPS:,} tasks")
        waited = dict(self._waited)
        for future, surely in futures_within((args, kwargs, wait_for)):
            waited[future.key] = waited.get(future.key, False) or surely
        after, place = self._needed(waited), len(self.steps)
        self._places[key] = place
        self._before.append(self._all(waited, self._before))
        self._surely.append(self._all({name: True for name, surely in waited.items() if surely}, self._surely))
        self.steps.append(planned(called, key, after, any(not waited[name] for name in after)))
        return key

    def asked(self, key: str, surely: bool) -> None:
        """The flow goes on when this step has ended, or only if it has completed."""
        if threading.get_ident() != self._thread:
            self.refuse(f"waits for {key} in a thread of its own")
        if surely:
            self._unguarded(key)
        waited = {**self._waited, key: self._waited.get(key, False) or surely}
        self._waited = {name: waited[name] for name in self._needed(waited)}

    def _unguarded(self, key: str) -> None:
        """A failure of the step ends the flow."""
        if guard := guarded(own_frame(), self.flow.fn.__code__):
            self.refuse(f"asks for the result of {key} inside {guard}, which may do something about its failure")

    def _needed(self, waited: dict[str, bool]) -> list[str]:
        """The steps among these that do not follow from the others."""
        kept = []
        for name, surely in waited.items():
            bit = 1 << self._places[name]
            known = self._surely if surely else self._before
            if not any(known[self._places[other]] & bit for other in waited if other != name):
                kept.append(name)
        return sorted(kept, key=self._places.__getitem__)

    def _all(self, waited: dict[str, bool], known: list[int]) -> int:
        found = 0
        for name in waited:
            place = self._places[name]
            found |= known[place] | 1 << place
        return found
