"""Names of runs and task runs made from templates."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from penstock.core.errors import AuthoringError, BadOption

NameTemplate = str | Callable[..., str]


def render_name(template: NameTemplate, parameters: dict[str, Any], target: str) -> str:
    """Fill a template in: `{parameter}` fields, or a function of nothing or of `parameters`.

    Raises:
        AuthoringError: the template names something that is no parameter.
        BadOption: the function gives no text.
    """
    if callable(template):
        takes = inspect.signature(template).parameters
        name = template(parameters=parameters) if "parameters" in takes else template()
        if not isinstance(name, str):
            raise BadOption(
                f"The name function of {target} returned {type(name).__name__}, not text.",
                hint="return a str",
            )
        return name
    try:
        return template.format(**parameters)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        known = ", ".join(parameters) or "none"
        raise AuthoringError(
            f"The name template {template!r} of {target} cannot be filled in: {error!r}.",
            hint=f"use the parameters' names in braces (there are: {known})",
        ) from None


def storable(name: str) -> str:
    """A name as a journal keeps it: what no database can hold is escaped visibly."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def display_name(fn: Callable[..., Any]) -> str:
    """A default name for a function or a callable object."""
    name = getattr(fn, "__name__", None) or getattr(getattr(fn, "func", None), "__name__", None)
    return str(name or type(fn).__name__)
