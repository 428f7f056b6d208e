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


def fact(name: str, value: Any = None, **more: Any) -> None:
    """Print one fact."""
    line = {"fact": name, **({} if more else {"value": plain(value)}), **{k: plain(v) for k, v in more.items()}}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call and give back the value, or what was raised, in a printable form."""
    try:
        return plain(call(*args, **kwargs))
    except BaseException as error:  # SystemExit and KeyboardInterrupt are facts too
        return {"raised": type(error).__name__, "text": scrub(str(error))}


def scrub(text: str | None) -> str | None:
    """Replace identifiers that differ from run to run."""
    if text is None:
        return None
    return _IDENTIFIER.sub("<id>", _TASK_RUN.sub("task run '<id>'", text))


def plain(value: Any) -> Any:
    """Turn a value into JSON without losing what matters: states, exceptions, and kinds of containers."""
    if value is None or isinstance(value, (bool, int, float, str)) and type(value).__module__ == "builtins":
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
