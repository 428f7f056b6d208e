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
_WHY = re.compile(r"(?m)^( - [^:\n]+): .*$")
_ENGINE = State.__module__.partition(".")[0]
_CARRIES_THE_USERS_TEXT = {"FailedRun", "CrashedRun", "CancelledRun", "ParameterTypeError"}


def fact(name: str, value: Any = None, **more: Any) -> None:
    """Print one fact."""
    line = {"fact": name, **({} if more else {"value": plain(value)}), **{k: plain(v) for k, v in more.items()}}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call and give back the value, or what was raised, in a printable form.

    The engine's own errors are known by their type: how they are worded is its business.
    """
    try:
        return plain(call(*args, **kwargs))
    except BaseException as error:  # SystemExit and KeyboardInterrupt are facts too
        name = type(error).__name__
        if type(error).__module__.partition(".")[0] == _ENGINE and name not in _CARRIES_THE_USERS_TEXT:
            return {"raised": name}
        return {"raised": name, "text": scrub(str(error))}


def raised(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str | None:
    """Call and give back the name of the exception, or None."""
    try:
        call(*args, **kwargs)
    except Exception as error:
        return type(error).__name__
    return None


def scrub(text: str | None) -> str | None:
    """Replace identifiers that differ from run to run, and why a parameter is wrong by where it is wrong."""
    if text is None:
        return None
    return _WHY.sub(r"\1", _IDENTIFIER.sub("<id>", _TASK_RUN.sub("task run '<id>'", text)))


def plain(value: Any) -> Any:
    """Turn a value into JSON without losing what matters: states, exceptions, and kinds of containers."""
    if value is None or (isinstance(value, (bool, int, float, str)) and type(value).__module__ == "builtins"):
        return value
    if isinstance(value, State):
        return describe(value)
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "text": scrub(str(value))}
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
