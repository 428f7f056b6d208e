"""Everything that can be wrong with a workflow, each mistake with its place."""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from penstock.core import typed
from penstock.core.calendar import ScheduleSpec
from penstock.core.calendar.cron import ONCE
from penstock.core.documents import DEEPEST, LONGEST_TEXT, json_mistakes, text_mistake
from penstock.core.engines import LOCAL
from penstock.core.errors import BadSchedule, BadWorkflow
from penstock.core.uploads import is_file_id
from penstock.core.words import counted
from penstock.core.workflows import (
    FILE,
    LITERAL,
    MARKS,
    PARAMETER,
    RESULT,
    Check,
    TaskSpec,
    WorkflowSpec,
    mark_of,
    references_in,
    task_and_path,
)

_MOST_TASKS = 1_000
_LONGEST_NAME = 100
_MOST_SECONDS = 366 * 86_400.0
_MOST_RETRIES = 1_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}
_ENGINE = re.compile(r"[a-z][a-z0-9_-]{0,49}")

Mistakes = Iterator[tuple[str, str]]
Kind = TypeVar("Kind", TaskSpec, WorkflowSpec)


def read(data: Any, also: Check | None) -> WorkflowSpec:
    """See `core.workflows.read`."""
    mistakes: list[tuple[str, str]] = []
    spec = _read(WorkflowSpec, data, "", mistakes)
    for check in (mistakes_of, also):
        if spec is not None and check is not None:
            told = tuple(place + end for place, _ in mistakes for end in ("", ".", "["))
            mistakes += [each for each in check(spec) if not _is_told(each[0], told)]
    if mistakes or spec is None:
        name = data.get("name") if isinstance(data, dict) else None
        raise BadWorkflow(name if isinstance(name, str) else "", list(dict.fromkeys(mistakes)))
    return spec


def _is_told(place: str, told: Sequence[str]) -> bool:
    """Whether it was said already what is wrong there, or around it."""
    return any(place == each or (each[-1:] in ".[" and place.startswith(each)) for each in told)


def _read(kind: type[Kind], data: Any, place: str, mistakes: list[tuple[str, str]]) -> Kind | None:
    """One struct, field by field, so that every mistake is found; what cannot be is as if it had not been given."""
    if not isinstance(data, dict):
        mistakes.append((place or "workflow", f"it must be an object, and is {_kind_of(data)}"))
        return None
    fields = _fields(kind)
    for name in data:
        if name not in fields:
            close = difflib.get_close_matches(str(name), fields, n=1)
            told = f"did you mean {close[0]}?" if close else f"there are {', '.join(fields)}"
            mistakes.append((_under(place, str(name)), f"there is no such field; {told}"))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        where = _under(place, name)
        if name not in data:
            if field.required:
                mistakes.append((where, "it is missing"))
                values[name] = ""
        elif name == "tasks":
            values[name] = _tasks(data[name], where, mistakes)
        else:
            given = data[name]
            try:
                values[name] = typed.convert(given, field.type)
            except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
                mistakes.append((where, _wrong(given, error)))
                if field.required:
                    values[name] = ""
    return kind(**values)


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def _tasks(given: Any, where: str, mistakes: list[tuple[str, str]]) -> tuple[TaskSpec, ...]:
    if not isinstance(given, (list, tuple)):
        mistakes.append((where, f"it must be a list, and is {_kind_of(given)}"))
        return ()
    if len(given) > _MOST_TASKS:
        mistakes.append((where, f"there are {len(given):,} tasks; at most {_MOST_TASKS:,} can be"))
        return ()
    found = [_read(TaskSpec, each, f"{where}[{number}]", mistakes) for number, each in enumerate(given)]
    return tuple(each if each is not None else TaskSpec(name="", python_callable="") for each in found)


def _under(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _kind_of(value: Any) -> str:
    known = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return known.get(type(value), f"a {type(value).__name__}")


def _wrong(given: Any, error: Exception) -> str:
    """What msgspec says, in the words used here."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    found = re.match(r"Expected `([^`]+)`(?:, got `([^`]+)`)?(?: - at `\$([^`]*)`)?", str(error))
    if found is None:
        return str(error)
    wanted = " or ".join(_WORDS.get(each, each).replace("array", "a list") for each in found[1].split(" | "))
    where = f" (at {found[3]})" if found[3] else ""
    got = "" if found[3] else f", and is {_kind_of(given)}"
    return f"it must be {wanted.replace('object', 'an object')}{got}{where}"


def mistakes_of(spec: WorkflowSpec) -> list[tuple[str, str]]:
    """Every mistake of a workflow whose fields have the right types: where it is, and what it is."""
    found = []
    for check in (_texts, _schedule, _parameters, _names, _each_task, _dependencies, _cycles):
        found += list(check(spec))
    return found


def _texts(spec: WorkflowSpec) -> Mistakes:
    if told := name_mistake(spec.name):
        yield "name", told
    if told := text_mistake(spec.description or "", LONGEST_TEXT):
        yield "description", told
    if not _ENGINE.fullmatch(spec.engine):
        yield "engine", f"{spec.engine!r} is no name of an engine, such as local or airflow"
    for number, tag in enumerate(spec.tags):
        if not tag or tag != tag.strip() or not tag.isprintable():
            yield f"tags[{number}]", f"{tag!r} must be a text of one line without space around it"
        elif told := text_mistake(tag, _LONGEST_NAME):
            yield f"tags[{number}]", told
        elif tag in spec.tags[:number]:
            yield f"tags[{number}]", f"{tag!r} is there twice"


def name_mistake(name: str) -> str | None:
    """Why this cannot be the name of a workflow, a task or a parameter; None where it can."""
    if name and _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME:
        return None
    if len(name) > _LONGEST_NAME:
        return f"a name has at most {_LONGEST_NAME} characters, and this has {len(name):,}"
    bad = next((letter for letter in name if not re.fullmatch(r"[A-Za-z0-9_]", letter)), None)
    told = f"{name!r} cannot be a name: it must begin with a letter, and go on with letters, digits and underscores"
    return f"{told} ({bad!r} is none of them)" if bad is not None else told


def _schedule(spec: WorkflowSpec) -> Mistakes:
    yield from (("timezone", told) for told in _of_schedule("@daily", spec.timezone))
    if spec.schedule is None:
        return
    text = spec.schedule.strip()
    count = len(text.split())
    if not text.startswith("@") and count != 5:
        told = "it takes 5 (minute, hour, day of month, month, day of week), or a preset such as @daily"
        yield "schedule", f"{spec.schedule!r} has {counted(count, 'field')}; {told}"
    elif text.lower() == ONCE:
        yield "schedule", f"{ONCE} is no schedule of a workflow; leave the schedule out, and trigger it"
    else:
        yield from (("schedule", told) for told in _of_schedule(text, "UTC"))


def _of_schedule(text: str, timezone: str) -> list[str]:
    try:
        ScheduleSpec.of(text, timezone=timezone)
    except BadSchedule as error:
        return [told for _, told in error.mistakes]
    return []


def _parameters(spec: WorkflowSpec) -> Mistakes:
    for name, value in spec.parameters.items():
        if told := name_mistake(name):
            yield f"parameters.{name}", told
        yield from _values(value, f"parameters.{name}")


def _names(spec: WorkflowSpec) -> Mistakes:
    if not spec.tasks:
        yield "tasks", "there is no task in it"
    first: dict[str, int] = {}
    for number, task in enumerate(spec.tasks):
        if told := name_mistake(task.name):
            yield f"tasks[{number}].name", told
        elif task.name in first:
            yield f"tasks[{number}].name", f"{task.name!r} is the name of tasks[{first[task.name]}] already"
        first.setdefault(task.name, number)


def _each_task(spec: WorkflowSpec) -> Mistakes:
    for number, task in enumerate(spec.tasks):
        place = f"tasks[{number}]"
        if not _CALLABLE.fullmatch(task.python_callable):
            yield f"{place}.python_callable", f"{task.python_callable!r} must be module:function"
        if not 0 <= task.retry_count <= _MOST_RETRIES:
            yield f"{place}.retry_count", f"{task.retry_count} is not between 0 and {_MOST_RETRIES:,}"
        for name in ("retry_delay", "timeout"):
            seconds = getattr(task, name)
            least = 0 if name == "retry_delay" else math.ulp(0.0)
            if seconds is not None and not least <= seconds <= _MOST_SECONDS:
                what = "from 0" if name == "retry_delay" else "above 0"
                yield f"{place}.{name}", f"{seconds:g} must be seconds {what} to {_MOST_SECONDS:,.0f}"
        if task.engine != LOCAL:
            told = f"a task is executed where its workflow is; give the workflow the engine {task.engine!r}"
            yield f"{place}.engine", told
        for name in task.params:
            if not name.isidentifier():
                yield f"{place}.params", f"{name!r} cannot be the name of an argument"
        yield from _values(task.params, f"{place}.params")
        yield from _references(spec, task, place)


def _references(spec: WorkflowSpec, task: TaskSpec, place: str) -> Mistakes:
    names = [each.name for each in spec.tasks]
    for mark, text, where in references_in(task.params, f"{place}.params"):
        if mark == FILE and not is_file_id(text):
            yield where, f"{mark} must be the id of a file that was sent in"
        if mark not in (RESULT, PARAMETER):
            continue
        if not isinstance(text, str):
            yield where, f"{mark} must be a text, and is {_kind_of(text)}"
        elif mark == PARAMETER and text not in spec.parameters:
            yield where, f"there is no parameter {text!r}{_close(text, list(spec.parameters))}"
        elif mark == RESULT:
            try:
                name, _ = task_and_path(text)
            except ValueError as error:
                yield where, str(error)
                continue
            if name not in names:
                yield where, f"there is no task {name!r}{_close(name, names)}"


def _close(name: str, given: Sequence[str]) -> str:
    names = [each for each in dict.fromkeys(given) if each]
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    shown = ", ".join(names[:10])
    return f"; there are {shown}{', ...' if len(names) > 10 else ''}" if names else ""


def _dependencies(spec: WorkflowSpec) -> Mistakes:
    names = [task.name for task in spec.tasks]
    known = set(names)
    for number, task in enumerate(spec.tasks):
        for place, name in enumerate(task.dependencies):
            where = f"tasks[{number}].dependencies[{place}]"
            if name not in known or not name:
                yield where, f"there is no task {name!r}{_close(name, names)}"
            elif name in task.dependencies[:place]:
                yield where, f"{name!r} is there twice"


def _cycles(spec: WorkflowSpec) -> Mistakes:
    needs = {task.name: _needs(task) for task in spec.tasks if task.name}
    places = {task.name: f"tasks[{number}].dependencies" for number, task in reversed(list(enumerate(spec.tasks)))}
    done: set[str] = set()
    for start in needs:
        way: list[str] = []
        here: set[str] = set()
        stack: list[tuple[str, Iterator[str]]] = []
        following: str | None = start if start not in done else None
        while following is not None or stack:
            if following is not None:
                way.append(following)
                here.add(following)
                stack.append((following, iter(needs.get(following, ()))))
            following = next((each for each in stack[-1][1] if each not in done), None)
            if following is None:
                name, _ = stack.pop()
                way.pop()
                here.discard(name)
                done.add(name)
            elif following in here:
                cycle = way[way.index(following) :]
                yield places[cycle[0]], f"these tasks wait for each other: {_told([*cycle, following])}"
                following = None


def _told(cycle: list[str]) -> str:
    return " -> ".join(cycle if len(cycle) <= 20 else [*cycle[:10], "...", *cycle[-9:]])


def _needs(task: TaskSpec) -> tuple[str, ...]:
    try:
        return task.needs()
    except ValueError:  # a reference that is none; that was told
        return task.dependencies


def _values(value: Any, place: str) -> Mistakes:
    yield from json_mistakes(value, place)
    yield from _marks(value, place)


def _marks(value: Any, place: str, depth: int = 0) -> Mistakes:
    """Objects that look like references, and are none. What is in a literal means nothing."""
    if isinstance(value, dict):
        if told := _mark_mistake(value):
            yield place, told
        if mark_of(value) != LITERAL and depth < DEEPEST:
            for name, item in value.items():
                yield from _marks(item, f"{place}.{name}", depth + 1)
    elif isinstance(value, (list, tuple)) and depth < DEEPEST:
        for number, item in enumerate(value):
            yield from _marks(item, f"{place}[{number}]", depth + 1)


def _mark_mistake(value: dict[str, Any]) -> str | None:
    marks = [name for name in value if isinstance(name, str) and name.startswith("$")]
    if not marks or mark_of(value) is not None:
        return None
    told = f"{marks[0]!r} must be alone in its object, and one of {', '.join(MARKS)}"
    return f'{told}; write {{"$literal": {{...}}}} around what is meant as it is'
