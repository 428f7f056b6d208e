"""Workflows executed: one flow that does what the spec of its run says, with tasks like any other."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from penstock.authoring.callables import Callables
from penstock.authoring.flows import Flow, flow
from penstock.authoring.registry import forget
from penstock.authoring.tasks import Task
from penstock.core.context import current_scope
from penstock.core.errors import BadWorkflow, ConfigurationError, MissingContextError, WorkflowNotFound
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.core.states import State, StateType
from penstock.core.workflow_events import WorkflowCreated, WorkflowUpdated
from penstock.core.workflows import (
    FACTS,
    PARAMETER,
    TaskSpec,
    WorkflowSpec,
    filled,
    of_data,
    references_in,
    refuse_unknown,
)
from penstock.engine.flows import info_of
from penstock.engine.project import penstock_table, project_file

ENTRYPOINT = f"{__name__}:workflow"
"""Where every workflow is found. Which one a run is of, its flow's name and version say."""


def callables_of(start: Path | None = None) -> Callables:
    """The functions that workflows of a project may call: `[tool.penstock.workflows] modules`.

    Args:
        start: a folder of the project; the current one when left out.

    Raises:
        ConfigurationError: the list is none.
    """
    start = (Path.cwd() if start is None else start).absolute()
    file = project_file(start)
    table = penstock_table(file).get("workflows", {}) if file is not None else {}
    modules = table.get("modules", []) if isinstance(table, dict) else None
    if not isinstance(modules, list) or not all(isinstance(each, str) and each for each in modules):
        raise ConfigurationError(
            f"workflows.modules in {file} is no list of names of modules.",
            hint='write below [tool.penstock.workflows]: modules = ["shop.tasks"]',
        )
    return Callables(modules, str(file.parent if file is not None else start))


def version_of(journal: Journal, name: str, version: int) -> WorkflowSpec:
    """A workflow as it was in this version, also where it was changed or deleted since.

    Raises:
        WorkflowNotFound: there was none.
    """
    for stored in journal.load(stream_of("workflow", name), version - 1):  # a version is never before its own record
        event = stored.event
        if isinstance(event, (WorkflowCreated, WorkflowUpdated)) and event.number == version:
            return of_data(event.spec)
    raise WorkflowNotFound(f"There is no version {version} of the workflow {name!r}.")


@flow(validate_parameters=False)
def workflow(**parameters: Any) -> State:
    """Do what the workflow says that this run is of."""
    scope = current_scope.get()
    live: Any = scope.live if scope is not None else None
    run = live.engine.journal.run(live.id) if live is not None and live.parent is None else None
    if run is None or run.flow_version is None or not run.flow_version.isdecimal():
        raise MissingContextError("A workflow runs only where it was triggered, or by its schedule.")
    spec = version_of(live.engine.journal, run.flow, int(run.flow_version))
    refuse_unknown(spec, parameters)
    given = {**told_facts(live.facts), **parameters}
    live.flow = _named(live.flow, spec.name)
    live.parameters = {name: given.get(name, value) for name, value in spec.parameters.items()}
    live.info = info_of(live)
    tasks = [
        replace(task, params=live.engine.with_files(f"{spec.name}.{task.name}", task.params)) for task in spec.tasks
    ]
    return execute(replace(spec, tasks=tuple(tasks)), callables_of(), live.parameters)


forget(workflow)


def flow_of(spec: WorkflowSpec, signature: inspect.Signature | None = None) -> Flow[..., Any]:
    """A workflow as a flow of its own, which is not to be found by name.

    Args:
        spec: the workflow.
        signature: for engines that ask the flow what it takes.
    """

    def run(**parameters: Any) -> State:
        refuse_unknown(spec, parameters)
        return execute(spec, callables_of(), {**spec.parameters, **parameters})

    if signature is not None:
        run.__signature__ = signature  # type: ignore[attr-defined]
    found = Flow(run, name=spec.name, validate_parameters=False)
    forget(found)
    return found


def _named(one: Any, name: str) -> Any:
    """The flow under the name of the workflow, for whoever asks what is running."""
    found = copy.copy(one)
    found.name = name
    return found


def told_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """What a run was told, as JSON would have it."""
    told = {name: facts[name] for name in FACTS if name in facts}
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in told.items()}


def execute(spec: WorkflowSpec, callables: Callables, values: dict[str, Any]) -> State:
    """Submit every task of a workflow inside a run, and wait for them all; returns how the run ends.

    Args:
        spec: the workflow.
        callables: what it may call.
        values: its parameters.

    Raises:
        BadWorkflow: what it calls is not there (any more), or not allowed.
    """
    ordered = spec.ordered()
    functions, mistakes = {}, []
    for task in ordered:
        try:
            functions[task.name] = callables.load(task.python_callable)
        except BadWorkflow as error:
            mistakes += [(f"{task.name}: {where}", told) for where, told in error.mistakes]
    if mistakes:
        raise BadWorkflow(spec.name, mistakes)
    futures: dict[str, Any] = {}
    for task in ordered:
        taken = task.takes()
        used = {text for mark, text, _ in references_in(task.params) if mark == PARAMETER}
        futures[task.name] = task_of(task, functions[task.name]).submit(
            task.params,
            {name: futures[name] for name in taken},
            {name: values[name] for name in values if name in used},
            wait_for=[futures[name] for name in task.needs() if name not in taken],
        )
    for future in futures.values():
        future.wait()
    return _end_of({name: future.state for name, future in futures.items()})


def task_of(spec: TaskSpec, function: Any) -> Task[..., Any]:
    """The task that calls this function, with what `@task` above it said unless the workflow says otherwise."""
    options: dict[str, Any] = {"name": spec.name, "retries": spec.retry_count, "retry_delay_seconds": spec.retry_delay}
    options["timeout_seconds"] = spec.timeout
    if isinstance(function, Task):
        if not spec.retry_count:
            options |= {"retries": function.retries, "retry_delay_seconds": function.retry_delay_seconds}
            options["retry_condition_fn"] = function.retry_condition_fn
        options["timeout_seconds"] = function.timeout_seconds if spec.timeout is None else spec.timeout
        options |= {"tags": function.tags, "log_prints": function.log_prints}
        function = function.fn
    if inspect.iscoroutinefunction(function) or getattr(function, "isasync", False):

        async def awaited(params: Any, results: Any, parameters: Any) -> Any:
            return await function(**filled(params, results, parameters))

        return Task(awaited, description=inspect.getdoc(function), **options)

    def called(params: Any, results: Any, parameters: Any) -> Any:
        return function(**filled(params, results, parameters))

    return Task(called, description=inspect.getdoc(function), **options)


def _end_of(states: dict[str, State]) -> State:
    """Completed if every task did; cancelled if one was; otherwise failed, with the tasks that say why."""
    bad = {name: state for name, state in states.items() if not state.is_completed()}
    if not bad:
        count = f"{len(states)} tasks" if len(states) > 1 else "1 task"
        return State(StateType.COMPLETED, None, f"{count} completed.")
    kind = StateType.CANCELLED if any(s.type is StateType.CANCELLED for s in bad.values()) else StateType.FAILED
    roots = [f"{name} ({state.message or state.name})" for name, state in bad.items() if state.name != "NotReady"]
    told = "; ".join(roots[:5] or bad) + ("; ..." if len(roots) > 5 else "")
    return State(kind, None, f"{len(bad)} of {len(states)} tasks did not complete: {told}")
