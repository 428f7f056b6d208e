"""Options that may stand anywhere before a `--`, and are as if a variable of the environment had their value."""

from __future__ import annotations

import os

from penstock.core.errors import ConfigurationError


def into_environment(arguments: list[str], option: str, variable: str, hint: str) -> tuple[list[str], list[str]]:
    """Set the variable to the value of the option, where it is given.

    Args:
        arguments: of the command line.
        option: such as `--profile`.
        variable: to be set.
        hint: for whoever leaves the value out.

    Returns:
        The other arguments before a `--`, and those from it on.

    Raises:
        ConfigurationError: no value follows the option.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept: list[str] = []
    before = iter(arguments[:end])
    for argument in before:
        if argument == option or argument.startswith(f"{option}="):
            value = argument.removeprefix(f"{option}=") if "=" in argument else next(before, "")
            if not value or value.startswith("-"):
                raise ConfigurationError(f"{option} names no {option.lstrip('-')}.", hint=hint)
            os.environ[variable] = value
        else:
            kept.append(argument)
    return kept, arguments[end:]
