"""Deployments as people declare them: in Python, or in pyproject.toml."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.authoring.loading import load_flow
from penstock.core import typed
from penstock.core.calendar import ScheduleSpec
from penstock.core.calendar.moments import as_seconds
from penstock.core.deployments import Collision, Deployment, Promises, Schedule, mistakes_of, plain_parameters
from penstock.core.errors import (
    BadSchedule,
    ConfigurationError,
    DeploymentError,
    FlowNotFound,
    ParameterError,
    PenstockError,
)
from penstock.core.words import counted

_KINDS = ("cron", "interval", "rrule", "at")
_CALENDAR = ("timezone", "start", "end", "anchor", "jitter", "missed", "horizon", "day_or")
_OF_A_SCHEDULE = ("name", "parameters", "paused")
_SAME_AS = {
    "work_pool_name": "pool",
    "work_queue_name": "queue",
    "concurrency_limit": "concurrency",
    "global_limit": "concurrency",
}
_FIELDS: dict[str, tuple[Any, str]] = {
    "parameters": (dict[str, Any], "a table of names and values"),
    "tags": (tuple[str, ...], "a list of texts"),
    **dict.fromkeys(("description", "version", "pool", "queue", "folder", "engine"), (str, "a text")),
    **dict.fromkeys(("priority", "concurrency", "crash_retries"), (int, "a whole number")),
    "crash_delay_seconds": (float, "a number"),
    "paused": (bool, "true or false"),
    "collision": (Collision, "wait or skip"),
}
_NO_EFFECT = frozenset({"enforce_parameter_schema", "print_starting_message", "pause_on_shutdown", "entrypoint_type"})
_PROMISES = tuple(name.removesuffix("_seconds") for name in Promises.__struct_fields__)


def deployment_of(flow: Any, name: str | None, options: Mapping[str, Any]) -> Deployment:
    """A deployment of a flow, from options as `flow.to_deployment` takes them.

    Raises:
        DeploymentError: an option that is none, or cannot be; with every mistake.
        BadSchedule: nothing is wrong but a schedule.
        ParameterError: nothing is wrong but parameters, which do not fit the flow.
    """
    made, errors = _read(flow, name or flow.name, options)
    if not errors:
        return made
    told = f"The deployment {made.name!r}"
    if len(errors) > 1:
        lines = lines_of(errors)
        raise DeploymentError(f"{told} has {len(lines)} mistakes:\n" + indented(lines))
    if type(errors[0]) is DeploymentError:
        raise DeploymentError(f"{told} cannot be: {errors[0].message}.", hint=errors[0].hint)
    raise errors[0]


def lines_of(errors: Iterable[PenstockError]) -> list[str]:
    """Mistakes, one text for each."""
    found = []
    for error in errors:
        if isinstance(error, (BadSchedule, ParameterError)):
            kind = "parameter " if isinstance(error, ParameterError) else ""
            found += [f"{kind}{where}: {what}" for where, what in error.mistakes]
        else:
            found.append(f"{error.message} ({error.hint})" if error.hint else error.message)
    return found


def indented(lines: Iterable[str], by: str = "  ") -> str:
    """Texts on lines of their own; what a text goes on with stands further in."""
    return "\n".join(f"{by}{line}".replace("\n", f"\n{by}  ") for line in lines)


def _read(flow: Any, name: Any, options: Mapping[str, Any]) -> tuple[Deployment, list[PenstockError]]:
    """The deployment as far as it can be read, and every mistake."""
    given = {_SAME_AS.get(option, option): value for option, value in options.items() if value is not None}
    given = {option: value for option, value in given.items() if option not in _NO_EFFECT}
    errors: list[PenstockError] = []
    schedules = _schedules(given, errors)
    promises = _promises(given.pop("promises", None), errors)
    for odd in sorted(set(given) - set(_FIELDS)):
        errors.append(_unknown(odd, (*_FIELDS, *_KINDS, *_CALENDAR, "schedules", "promises")))
    fields: dict[str, Any] = {"folder": os.getcwd(), "description": flow.description, "version": flow.version}
    for option, (kind, wanted) in _FIELDS.items():
        if option in given:
            value = given[option]
            try:
                fields[option] = typed.convert(value, kind)
            except msgspec.ValidationError:
                errors.append(DeploymentError(f"{option} must be {wanted}, and is {value!r}"))
    if flow.entrypoint is None:
        told = f"the flow {flow.name!r} is defined inside a function, so no other process could find it"
        errors.append(DeploymentError(told, hint="define it at the top of a file"))
    fields["tags"] = tuple(sorted(fields.get("tags", ())))
    made = Deployment(
        name=name,
        flow=flow.name,
        entrypoint=flow.entrypoint or "",
        schedules=tuple(schedules),
        promises=promises,
        partitions=flow.partitions,
        **fields,
    )
    errors += [DeploymentError(mistake) for mistake in mistakes_of(made)]
    if mistakes := _parameter_mistakes(flow, made):
        return made, [*errors, ParameterError(f"flow {flow.name!r}", mistakes)]
    try:
        return _plain(made), errors
    except ParameterError as error:
        return made, [*errors, error]


def _plain(made: Deployment) -> Deployment:
    target = f"flow {made.flow!r}"
    schedules = tuple(
        msgspec.structs.replace(each, parameters=plain_parameters(target, each.parameters)) for each in made.schedules
    )
    return msgspec.structs.replace(made, parameters=plain_parameters(target, made.parameters), schedules=schedules)


def _unknown(option: str, known: Iterable[str], what: str = "option") -> DeploymentError:
    close = difflib.get_close_matches(option, list(known), 1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
    return DeploymentError(f"there is no {what} {option}", hint=hint)


def _parameter_mistakes(flow: Any, deployment: Deployment) -> list[tuple[str, str]]:
    """What runs by itself must have all its parameters; other runs get the rest when they are triggered."""
    kinds = flow.signature.parameters
    wild = any(each.kind is each.VAR_KEYWORD for each in kinds.values())
    several = {name for name, each in kinds.items() if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}
    needed = {name for name, each in kinds.items() if each.default is each.empty} - several
    found: dict[tuple[str, str], None] = {}

    def check(given: Mapping[str, Any], where: str) -> None:
        for name in sorted(set(given) - (set(kinds) - several)) if not wild else ():
            told = ", ".join(name for name in kinds if name not in several) or "none"
            found[(f"{where}{name}", f"the flow {flow.name!r} has no such parameter (it has: {told})")] = None
        try:
            flow.validated({name: value for name, value in given.items() if name in kinds and name not in several})
        except ParameterError as error:
            found.update(((f"{where}{name}", what), None) for name, what in error.mistakes)

    check(deployment.parameters, "")
    for schedule in deployment.schedules:
        check(schedule.parameters, f"{schedule.name}: ")
        missing = sorted(needed - set(deployment.parameters) - set(schedule.parameters))
        found.update(((name, "missing"), None) for name in missing)
    return list(found)


def _promises(given: Any, errors: list[PenstockError]) -> Promises:
    """Promises: each as a length of time, or as a number of seconds under the name it is stored by."""
    if given is None or isinstance(given, Promises):
        return given or Promises()
    if not isinstance(given, Mapping):
        errors.append(DeploymentError(f"promises must be a table, and are {given!r}", hint='such as finish = "2h"'))
        return Promises()
    found: dict[str, float] = {}
    for option, value in given.items():
        name = str(option).removesuffix("_seconds")
        if name not in _PROMISES:
            errors.append(_unknown(str(option), _PROMISES, "promise"))
            continue
        try:
            found[f"{name}_seconds"] = as_seconds(value)
        except ValueError as error:
            errors.append(DeploymentError(f"the promise {option}: {error}"))
    return Promises(**found)


def _schedules(given: dict[str, Any], errors: list[PenstockError]) -> list[Schedule]:
    """Takes what says when a deployment runs out of the options."""
    calendar = {option: given.pop(option) for option in _CALENDAR if option in given}
    specs: list[Any] = []
    for kind in _KINDS:
        value = given.pop(kind, None)
        several = kind != "at" and isinstance(value, (list, tuple, set, frozenset))
        specs += [{kind: each} for each in value] if several else [] if value is None else [{kind: value}]
    listed = given.pop("schedules", None) or []
    if not isinstance(listed, (list, tuple)):
        errors.append(DeploymentError(f"schedules must be a list, and are {listed!r}"))
        listed = []
    single = given.pop("schedule", None)
    specs += [*listed, *([single] if single is not None else [])]
    if calendar and not specs:
        errors.append(DeploymentError(f"{', '.join(calendar)}: there is no schedule that it could be for"))
    mistakes: dict[tuple[str, str], None] = {}
    found: list[Schedule] = []
    for place, each in enumerate(specs, start=1):
        try:
            found.append(_schedule(each, calendar, "schedule" if len(specs) == 1 else f"schedule-{place}"))
        except BadSchedule as error:
            here = f"schedule {place}: " if len(specs) > 1 else ""
            mistakes.update(((f"{here}{where}", told), None) for where, told in error.mistakes)
        except DeploymentError as error:
            error.message = f"schedule {place}: {error.message}" if len(specs) > 1 else error.message
            errors.append(error)
    if mistakes:
        errors.append(BadSchedule(list(mistakes)))
    return found


def _schedule(given: Any, calendar: Mapping[str, Any], name: str) -> Schedule:
    if isinstance(given, Schedule):
        return given
    if isinstance(given, ScheduleSpec):
        return Schedule(name=name, spec=given)
    if isinstance(given, str):
        return Schedule(name=name, spec=ScheduleSpec.read(given, **calendar))
    if not isinstance(given, Mapping):
        raise DeploymentError(
            f"a schedule cannot be {given!r}", hint='write "0 2 * * *", schedule(...), or a table with cron = ...'
        )
    options = {**calendar, **given}
    own = {key: options.pop(key) for key in _OF_A_SCHEDULE if key in options}
    for odd in sorted(set(options) - {*_KINDS, *_CALENDAR}):
        raise _unknown(str(odd), (*_KINDS, *_CALENDAR, *_OF_A_SCHEDULE), "option of a schedule")
    try:
        return typed.convert({"name": name, **own, "spec": ScheduleSpec.of(**options)}, Schedule)
    except msgspec.ValidationError as error:
        raise DeploymentError(f"a schedule cannot be: {error}") from None


def project_file(start: Path) -> Path | None:
    """The nearest pyproject.toml."""
    return next((f / "pyproject.toml" for f in (start, *start.parents) if (f / "pyproject.toml").is_file()), None)


def declared_in_project(
    file: Path, names: Sequence[str] = (), parameters: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Deployment]:
    """The deployments in `[tool.penstock.deployments]` (those of these names only, if any are given), by name.

    Args:
        file: the pyproject.toml.
        names: which of them; all when left out.
        parameters: of flows, by the flow's name, where a deployment does not say others.

    Raises:
        ConfigurationError: the file cannot be read, or a deployment in it cannot be; every mistake is told.
    """
    tables = tables_in(file, "deployments")
    unknown = [name for name in names if name not in tables]
    if unknown:
        raise ConfigurationError(
            f"{file} declares no deployment {', '.join(map(repr, unknown))}.",
            hint=f"deployments there: {', '.join(tables) or 'none'}",
        )
    found: dict[str, Deployment] = {}
    mistakes: dict[str, list[str]] = {}
    before = os.getcwd()
    os.chdir(file.parent)  # what is declared there is meant from there
    try:
        for name in names or tables:
            made, errors = _declared(name, tables[name], parameters or {})
            if made is not None:
                found[name] = made
            if errors:
                mistakes[name] = lines_of(errors)
    finally:
        os.chdir(before)
    if mistakes:
        count = sum(map(len, mistakes.values()))
        told = "\n".join(f"  {name}\n{indented(lines, '    ')}" for name, lines in mistakes.items())
        raise ConfigurationError(f"{file} cannot be used, for {counted(count, 'mistake')} in deployments:\n{told}")
    return found


def declared_names(file: Path) -> list[str]:
    """Their names; no flow is imported for them.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    return list(tables_in(file, "deployments"))


def tables_in(file: Path, kind: str) -> dict[str, Any]:
    """What stands under `[tool.penstock.KIND]`.

    Raises:
        ConfigurationError: the file cannot be read, or that is no table.
    """
    import tomllib

    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.") from None
    for part in ("tool", "penstock", kind):
        found = found.get(part, {})
        if not isinstance(found, dict):
            raise ConfigurationError(
                f"{file}: {part} is no table.",
                hint=f"write a table for each, such as [tool.penstock.{kind}.nightly]",
            )
    return found


def _declared(
    name: str, table: Any, parameters: Mapping[str, Mapping[str, Any]]
) -> tuple[Deployment | None, list[PenstockError]]:
    if not isinstance(table, dict) or not isinstance(table.get("flow"), str):
        told = "it does not say which flow it is"
        return None, [DeploymentError(told, hint=f'write in [tool.penstock.deployments.{name}]: flow = "FILE.py:FLOW"')]
    try:
        flow = load_flow(table["flow"])
    except FlowNotFound as error:
        return None, [error]
    except SystemExit as error:
        told = f"{table['flow']} ended the process while it was imported (sys.exit with {error.code!r})"
        return None, [DeploymentError(told, hint='put what is for `python FILE` below: if __name__ == "__main__":')]
    options = {option: value for option, value in table.items() if option != "flow"}
    own = options.get("parameters", {})
    if flow.name in parameters and isinstance(own, dict):
        options["parameters"] = {**parameters[flow.name], **own}
    return _read(flow, name, options)
