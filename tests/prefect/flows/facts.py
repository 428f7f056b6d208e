"""What the flows in this folder use to print what can be observed, one JSON object a line.

Nothing here depends on the time, on random identifiers or on where the files live, so that the same flow prints the
same lines under every engine that keeps the same promises.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from prefect.states import State

_IDENTIFIER = re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b")
_TASK_RUN = re.compile(r"task run '[^']*'")
_MISTAKE = re.compile(r"^\s+(?:- )?(\w+)[^\s:]*: ", re.MULTILINE)
_ENGINE = State.__module__.partition(".")[0]
_CARRIES_THE_USERS_TEXT = {"FailedRun", "CrashedRun", "CancelledRun"}
_KNOWN_BY_NAME = _CARRIES_THE_USERS_TEXT | {
    "InvalidNameError",
    "MappingLengthMismatch",
    "MappingMissingIterable",
    "MissingContextError",
    "MissingResult",
    "ParameterBindError",
    "ParameterTypeError",
    "PausedRun",
    "ReservedArgumentError",
    "UnfinishedRun",
    "UpstreamTaskError",
}


def fact(name: str, *value: Any, **more: Any) -> None:
    """Print one fact: a value, or several by name."""
    line = {"fact": name, **({"value": plain(value[0])} if value else {}), **{k: plain(v) for k, v in more.items()}}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call and give back the value, or what was raised, in a printable form."""
    try:
        return plain(call(*args, **kwargs))
    except BaseException as error:  # SystemExit and KeyboardInterrupt are facts too
        return {"raised": kind(error), **words(error)}


def raised(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str | None:
    """Call and give back the name of the exception, or None."""
    try:
        call(*args, **kwargs)
    except Exception as error:
        return kind(error)
    return None


def kind(error: BaseException) -> str:
    """The name by which people catch it: a subclass of the engine's own making is known by what it extends."""
    for cls in type(error).__mro__:
        if cls.__module__.partition(".")[0] != _ENGINE or cls.__name__ in _KNOWN_BY_NAME:
            return cls.__name__
    return type(error).__name__


def words(error: BaseException) -> dict[str, Any]:
    """What it says; how the engine's own errors are worded is its business, but not which parameters are wrong."""
    if kind(error) == "ParameterTypeError":
        return {"parameters": _MISTAKE.findall(str(error))}
    own = type(error).__module__.partition(".")[0] == _ENGINE and kind(error) not in _CARRIES_THE_USERS_TEXT
    return {} if own else {"text": scrub(str(error))}


def scrub(text: str | None) -> str | None:
    """Replace identifiers that differ from run to run, and leave out hints."""
    if text is None:
        return None
    text = text.partition("\nHint: ")[0]
    return _IDENTIFIER.sub("<id>", _TASK_RUN.sub("task run '<id>'", text))


def plain(value: Any) -> Any:
    """Turn a value into JSON without losing what matters: states, exceptions, and kinds of containers."""
    if value is None or (isinstance(value, (bool, int, float, str)) and type(value).__module__ == "builtins"):
        return value
    if isinstance(value, State):
        return describe(value)
    if isinstance(value, BaseException):
        return {"error": kind(value), **words(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if type(value) is list:
        return [plain(item) for item in value]
    if type(value) is tuple:
        return {"tuple": [plain(item) for item in value]}
    if isinstance(value, (set, frozenset)):
        return {"set": sorted((plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))}
    return {type(value).__name__: repr(value)}


def describe(state: Any) -> dict[str, Any]:
    """A state's type, name and message, and what it holds if it is final."""
    shown: dict[str, Any] = {"state": [state.type.value, state.name, scrub(state.message)]}
    if state.is_final() and state.data is not None:
        held = plain(state.result(raise_on_failure=False))
        if held is not None:
            shown["holds"] = held
    return shown
