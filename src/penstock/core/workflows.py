"""Workflows: flows given as data. What one is, how it is read, and what refers to what in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from penstock.core import typed, uploads
from penstock.core.engines import LOCAL
from penstock.core.errors import BadWorkflow, ParameterError
from penstock.core.extras import LateModule

_checks: Any = LateModule("penstock.core.workflow_checks")

RESULT, PARAMETER, LITERAL = "$result", "$parameter", "$literal"
FILE = uploads.MARK
MARKS = (RESULT, PARAMETER, LITERAL, FILE)
FACTS = ("partition", "data_interval_start", "data_interval_end", "scheduled_start_time")
"""Parameters of these names are filled in by the schedule, where the workflow has them."""

_TASK = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PART = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,9})\]|\[\"((?:[^\"\\]|\\.)*)\"\]")


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task of a workflow.

    Attributes:
        name: letter first, then letters, digits and underscores.
        python_callable: what it calls, `module:function`; the module must be on the project's list.
        params: keyword arguments. `{"$result": "task.path[0].field"}` stands for an earlier result, or a part of one;
            `{"$parameter": "name"}` for a parameter of the run; `{"$file": "id"}` for the path of a file that was sent
            in; `{"$literal": ...}` for what is in it, as it is.
        dependencies: tasks that complete first. Tasks whose results it takes need not be named again.
        retry_count: how often it is tried again when it fails.
        retry_delay: seconds before each of these times.
        timeout: seconds that it may take; None for no limit.
        engine: `local`: with the workflow, wherever that is executed.
    """

    name: str
    python_callable: str
    params: dict[str, Any] = {}
    dependencies: tuple[str, ...] = ()
    retry_count: int = 0
    retry_delay: float = 0.0
    timeout: float | None = None
    engine: str = "local"

    def needs(self) -> tuple[str, ...]:
        """The tasks that must complete before it, each once."""
        return tuple(dict.fromkeys((*self.dependencies, *self.takes())))

    def takes(self) -> tuple[str, ...]:
        """The tasks whose results it takes, each once."""
        found = (str(text) for mark, text, _ in references_in(self.params) if mark == RESULT)
        return tuple(dict.fromkeys(task_and_path(text)[0] for text in found))


class WorkflowSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A flow given as data.

    Attributes:
        name: letter first, then letters, digits and underscores.
        description: for people.
        schedule: a preset such as `@daily`, or a cron expression of five fields; None for no schedule.
        timezone: of the schedule.
        active: the schedule makes runs.
        tags: of every run.
        parameters: what a run may be given, each with the value it has otherwise.
        engine: where its runs are executed; on another engine than `local` its schedule is that engine's.
        tasks: what is done.
    """

    name: str
    description: str | None = None
    schedule: str | None = None
    timezone: str = "UTC"
    active: bool = True
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}
    engine: str = LOCAL
    tasks: tuple[TaskSpec, ...] = ()

    def ordered(self) -> list[TaskSpec]:
        """The tasks, each after those it needs, otherwise as they were given. The workflow has no cycle."""
        known = {task.name: task for task in self.tasks}
        left = {task.name: {name for name in task.needs() if name in known} for task in self.tasks}
        after: dict[str, list[str]] = {}
        for name, needed in left.items():
            for each in needed:
                after.setdefault(each, []).append(name)
        place = {task.name: number for number, task in enumerate(self.tasks)}
        ready = [task.name for task in self.tasks if not left[task.name]]
        found: list[TaskSpec] = []
        for name in ready:  # it grows meanwhile
            found.append(known[name])
            for other in sorted(after.get(name, ()), key=place.__getitem__):
                left[other].discard(name)
                if not left[other]:
                    ready.append(other)
        return found


class StoredWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as the journal has it.

    Attributes:
        spec: see `WorkflowSpec`.
        version: from 1; each change makes another.
        active: its schedule makes runs.
        next_due: when it does so next.
    """

    name: str
    version: int
    spec: dict[str, Any]
    created_at: int
    updated_at: int
    active: bool = False
    next_due: int | None = None


class WorkflowFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which workflows to list, by name.

    Attributes:
        name: the one of this name.
        tag: those with this tag.
        any_tags: those with at least one of these; None for any or none.
        active: those that are, or are not, active.
        text: those with this text in their name.
        after: those whose name sorts after this one (keyset paging).
        skip: leave so many out at the beginning.
        limit: at most so many.
    """

    name: str | None = None
    tag: str | None = None
    any_tags: tuple[str, ...] | None = None
    active: bool | None = None
    text: str = ""
    after: str = ""
    skip: int = 0
    limit: int = 100


def references_in(value: Any, place: str = "params", depth: int = 60) -> Iterator[tuple[str, Any, str]]:
    """What a value refers to: the mark, what is after it, and where that is. Literals are not looked into."""
    if depth and isinstance(value, dict):
        mark = mark_of(value)
        if mark is not None:
            yield mark, value[mark], place
            return
        for name, item in value.items():
            yield from references_in(item, f"{place}.{name}", depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from references_in(item, f"{place}[{number}]", depth - 1)


def mark_of(value: Mapping[str, Any]) -> str | None:
    """The mark of an object that stands for something else; None for any other object."""
    return next((mark for mark in MARKS if mark in value), None) if len(value) == 1 else None


def task_and_path(text: str) -> tuple[str, tuple[str | int, ...]]:
    """What a reference such as `task.path[0]["a field"]` names.

    Raises:
        ValueError: it names nothing.
    """
    begin = _TASK.match(text)
    at = begin.end() if begin else 0
    path: list[str | int] = []
    while begin and at < len(text):
        part = _PART.match(text, at)
        if part is None:
            break
        name, number, quoted = part.groups()
        path.append(name if name is not None else int(number) if number is not None else _unquoted(quoted))
        at = part.end()
    if begin is None or at < len(text):
        told = f"{text!r} is no reference (at character {at + 1})"
        raise ValueError(f'{told}; write task, task.field, task[0] or task["any field"], or several of these parts')
    return begin[0], tuple(path)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def filled(value: Any, results: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    """A value with what it refers to in place of the references.

    Raises:
        BadWorkflow: a result has no such part.
    """
    if isinstance(value, dict):
        mark = mark_of(value)
        if mark == LITERAL:
            return value[mark]
        if mark == PARAMETER:
            return parameters[value[mark]]
        if mark == RESULT:
            name, path = task_and_path(value[mark])
            return _part(results[name], path, value[mark])
        return {name: filled(item, results, parameters) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(item, results, parameters) for item in value]
    return value


def _part(found: Any, path: tuple[str | int, ...], text: str) -> Any:
    for part in path:
        by_name = isinstance(part, str) and isinstance(found, Mapping) and part in found
        by_number = isinstance(part, int) and isinstance(found, (list, tuple)) and part < len(found)
        if not (by_name or by_number):
            what = f"is a {type(found).__name__}"
            if isinstance(found, Mapping):
                what = f"has {', '.join(map(str, list(found)[:10])) or 'nothing in it'}"
            elif isinstance(found, (list, tuple)):
                what = f"has {len(found)} items"
            told = f"there is no {part!r} in what the task returned, which {what}"
            raise BadWorkflow("", [(f"{RESULT} {text}", told)])
        found = found[part]
    return found


def refuse_unknown(spec: WorkflowSpec, parameters: dict[str, Any]) -> None:
    """See that a run is given nothing that the workflow does not know.

    Raises:
        ParameterError: it names each.
    """
    known = ", ".join(spec.parameters) or "none"
    mistakes = [
        (name, f"there is no such parameter (it has: {known})") for name in parameters if name not in spec.parameters
    ]
    if mistakes:
        raise ParameterError(f"the workflow {spec.name!r}", mistakes)


Check = Callable[[WorkflowSpec], list[tuple[str, str]]]
"""Finds mistakes in a workflow: where each is, and what it is. It may have fields that cannot be."""


def read(data: Any, also: Check | None = None) -> WorkflowSpec:
    """A workflow out of plain data.

    Args:
        data: the data.
        also: what else is checked.

    Raises:
        BadWorkflow: it cannot be; it lists every mistake.
    """
    found: WorkflowSpec = _checks.read(data, also)
    return found


def as_data(spec: WorkflowSpec) -> dict[str, Any]:
    """As it is stored and exported: without what is as it would be anyway, always in the same order."""
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(spec))
    return data


def of_data(data: dict[str, Any]) -> WorkflowSpec:
    """As it was stored."""
    return typed.convert(data, WorkflowSpec)
