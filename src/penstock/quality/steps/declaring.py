"""Checks by declaration, on the function that makes the rows."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from penstock.core.errors import ConfigurationError
from penstock.quality.steps.checking import OnFailure, Plan, checked, planned

F = TypeVar("F", bound=Callable[..., Any])


def validated(
    rules: Any,
    *,
    on_failure: OnFailure = "stop",
    dataset: Any = None,
    keys: str | Sequence[str] = (),
    repairs: Sequence[Any] = (),
    quarantine: Any = None,
    tables: Mapping[str, Any] | None = None,
) -> Callable[[F], F]:
    """Check the rows that a function returns; it stands below `@task` or `@flow`, or alone.

    Args:
        rules: as `DataValidator` takes them. A file is read at the first call, so that it need not be there before.
        on_failure: `stop` raises where a rule of severity `error` fails; `warn` lets everything through;
            `quarantine` the rows that follow these rules. See `check`.
        dataset: what the rows are called: a name, or the `Dataset` that they are for; the function's name otherwise.
        keys: columns that tell rows apart; they are shown with failing rows.
        repairs: what is mended first.
        quarantine: a `Dataset` for failing rows; a place of the project otherwise.
        tables: other tables that rules speak of.

    Raises:
        BadRules: rules or repairs that cannot be; of a file, at the first call.
        ConfigurationError: another option that cannot be.

    Example:
        @task
        @validated("rules/orders.yaml", on_failure="quarantine")
        def load() -> pl.DataFrame: ...
    """

    def decorate(function: F) -> F:
        if not callable(function) or hasattr(function, "submit"):
            raise ConfigurationError(
                "@validated goes on a plain function.", hint="write it below @task or @flow, not above"
            )
        name = getattr(function, "__name__", "data")
        plan = _Once(partial(planned, rules, on_failure, dataset, keys, repairs, quarantine, tables, name))
        if not isinstance(rules, str | Path):
            plan()
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def validating_async(*args: Any, **kwargs: Any) -> Any:
                return checked(await function(*args, **kwargs), plan()).rows

            return validating_async  # type: ignore[return-value]

        @functools.wraps(function)
        def validating(*args: Any, **kwargs: Any) -> Any:
            return checked(function(*args, **kwargs), plan()).rows

        return validating  # type: ignore[return-value]

    return decorate


class _Once:
    """The plan, made when it is first needed."""

    def __init__(self, make: Callable[[], Plan]) -> None:
        self._make = make
        self._plan: Plan | None = None

    def __call__(self) -> Plan:
        if self._plan is None:
            self._plan = self._make()
        return self._plan
